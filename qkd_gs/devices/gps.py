"""Protocol of the GPS receiver, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

_SECOND_S = 1.0
_DELAY_S = 0.5  # of a message


@dataclass(frozen=True)
class GpsReading:
    """The latest navigation message."""

    stamp_ns: int  # station time at which the message was received
    pps_utc_ns: int  # UTC of the last PPS edge; a whole second; 0 before the first fix
    latitude_deg: float  # WGS-84, north positive
    longitude_deg: float  # east positive
    altitude_m: float  # above the ellipsoid
    satellites: int  # -1: a fix, but their number is not told
    time_accuracy_s: float  # receiver's own one-sigma estimate of the PPS edge

    @property
    def clock_off_s(self) -> float:
        """Least time by which station time is off UTC, ahead positive, s; 0: it may be right, or there is no fix.

        The message says which second began last, and comes up to half a second later.
        """
        if self.pps_utc_ns == 0 or self.satellites == 0:
            return 0.0
        since_s = (self.stamp_ns - self.pps_utc_ns) * 1e-9
        return since_s if since_s < 0 else max(since_s - _SECOND_S - _DELAY_S, 0.0)


@runtime_checkable
class Gps(Protocol):
    """Open, read, close."""

    def open(self) -> None: ...

    def read(self, now_ns: int) -> GpsReading: ...

    def close(self) -> None: ...
