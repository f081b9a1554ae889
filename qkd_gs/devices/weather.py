"""Protocol of a weather station, or of a device that only says whether it is safe, real or simulated."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class WeatherReading:
    """One reading; NaN or None: it does not measure that."""

    stamp_ns: int  # station time of the measurement; 0: none yet
    safe: bool | None = None  # the equipment's own verdict
    rain_mm_h: float = nan
    wind_m_s: float = nan
    gust_m_s: float = nan
    cloud: float = nan  # covered part of the sky, 0 to 1
    humidity: float = nan  # 0 to 1


@runtime_checkable
class Weather(Protocol):
    """Open, read, close.  `read` returns at once."""

    def open(self) -> None: ...

    def read(self, now_ns: int) -> WeatherReading:
        """Newest reading; raises ``weather.silent`` if there is none for the driver's time-out."""

    def close(self) -> None: ...
