"""Simulated weather station and shutter."""

from __future__ import annotations

from qkd_gs.devices.dome import DomeReading, Shutter
from qkd_gs.devices.open_state import OpenState
from qkd_gs.devices.weather import WeatherReading
from qkd_gs.sim.simulation_setup import SimulationSetup

_PERIOD_NS = 10**9


class SimWeather:
    """Implements `Weather`: a fine night but for the showers of the settings."""

    def __init__(self, setup: SimulationSetup) -> None:
        self._state = OpenState('weather')
        culmination_ns = setup.window.found.culmination_ns
        self._showers = [
            (culmination_ns + round(one.begins_s * 1e9), round(one.duration_s * 1e9), one.rain_mm_h)
            for one in setup.settings.surroundings.showers
        ]

    def open(self) -> None:
        """Begin to measure."""
        self._state.is_open = True

    def close(self) -> None:
        """End."""
        self._state.is_open = False

    def read(self, now_ns: int) -> WeatherReading:
        """The reading of the last full second."""
        self._state.require()
        stamp_ns = now_ns // _PERIOD_NS * _PERIOD_NS
        rain = sum(rate for begin_ns, lasts_ns, rate in self._showers if 0 <= stamp_ns - begin_ns < lasts_ns)
        return WeatherReading(stamp_ns, not rain, rain, 2.0, 3.0, 0.1, 0.5)


class SimDome:
    """Implements `Dome`: a shutter that takes its time and is open at the beginning."""

    def __init__(self, setup: SimulationSetup) -> None:
        self._state = OpenState('dome')
        self._way_ns = round(setup.settings.surroundings.shutter_s * 1e9)
        self._open_ns = float(self._way_ns)  # how long it would have opened from closed
        self._opens = True
        self._last_ns: int | None = None

    def open(self) -> None:
        """Connect; nothing moves."""
        self._state.is_open = True

    def close(self) -> None:
        """Disconnect."""
        self._state.is_open = False

    def open_shutter(self, now_ns: int) -> None:
        """Begin to open."""
        self._state.require()
        self._move(now_ns)
        self._opens = True

    def close_shutter(self, now_ns: int) -> None:
        """Begin to close."""
        self._move(now_ns)
        self._opens = False

    def read(self, now_ns: int) -> DomeReading:
        """State of the shutter."""
        self._state.require()
        self._move(now_ns)
        if self._opens:
            return DomeReading(now_ns, Shutter.OPEN if self._open_ns >= self._way_ns else Shutter.OPENING)
        return DomeReading(now_ns, Shutter.CLOSED if self._open_ns <= 0 else Shutter.CLOSING)

    def _move(self, now_ns: int) -> None:
        since_ns = max(now_ns - self._last_ns, 0) if self._last_ns is not None else 0
        self._last_ns = now_ns
        self._open_ns = min(max(self._open_ns + (since_ns if self._opens else -since_ns), 0.0), float(self._way_ns))
