"""Protocol of a receiver of aircraft positions (ADS-B), real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class AircraftReport:
    """Contents of one message about an aircraft; None: it does not tell."""

    stamp_ns: int  # station time at which the message was sent at the earliest: its data may be older by its latency
    icao: str  # address of the transponder, six hexadecimal digits
    callsign: str | None = None
    latitude_deg: float | None = None  # WGS-84; latitude and longitude come together
    longitude_deg: float | None = None
    altitude_m: float | None = None  # pressure altitude unless `geometric`
    geometric: bool = False  # the altitude is above the ellipsoid
    on_ground: bool = False
    speed_m_s: float | None = None  # over ground
    track_deg: float | None = None  # direction of the motion, from true north through east
    climb_m_s: float | None = None


@dataclass(frozen=True)
class AircraftReading:
    """Everything since the last reading."""

    stamp_ns: int  # station time at which the receiver was last heard; 0: not yet
    reports: tuple[AircraftReport, ...]
    refused: int = 0  # messages since the last reading that are nonsense


@runtime_checkable
class AircraftReceiver(Protocol):
    """Open, read, close.  `read` returns at once."""

    def open(self) -> None: ...

    def read(self, now_ns: int) -> AircraftReading:
        """Messages since the last call.

        Raises
        ------
        DeviceFault
            ``aircraft.silent``: the receiver is gone, or has sent nothing for the driver's time-out.
        """

    def close(self) -> None: ...
