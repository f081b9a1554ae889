"""Protocol of the GPS receiver, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


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


@runtime_checkable
class Gps(Protocol):
    """Open, read, close."""

    def open(self) -> None: ...

    def read(self, now_ns: int) -> GpsReading: ...

    def close(self) -> None: ...
