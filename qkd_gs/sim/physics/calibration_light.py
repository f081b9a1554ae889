"""Simulated calibration light; what its photons do is `sim.photons.calibration_photons`."""

from __future__ import annotations

from qkd_gs.devices.calibration_light import CalibrationLightReading, Cover, checked_brightness
from qkd_gs.devices.open_state import OpenState
from qkd_gs.settings.twin_surroundings import TrueCalibrationLight


class SimCalibrationLight:
    """Implements `CalibrationLight`: a source behind the shutter, which takes its time to be steady."""

    def __init__(self, settings: TrueCalibrationLight) -> None:
        self._ready_ns = round(settings.ready_s * 1e9)
        self._state = OpenState('calibration_light')
        self._brightness, self._lit_ns = 0.0, 0

    def open(self) -> None:
        """Connect, and switch off."""
        self._state.is_open = True
        self._brightness = 0.0

    def on(self, now_ns: int, brightness: float) -> None:
        """Shine."""
        self._state.require()
        checked_brightness(brightness)
        self._lit_ns = now_ns if not self._brightness else self._lit_ns
        self._brightness = brightness

    def off(self, now_ns: int) -> None:
        """Switch off."""
        self._brightness = 0.0

    def read(self, now_ns: int) -> CalibrationLightReading:
        """Brightness, and whether it is steady."""
        self._state.require()
        lit = self._brightness > 0
        ready = lit and now_ns - self._lit_ns >= self._ready_ns
        return CalibrationLightReading(now_ns, lit, self._brightness, ready, Cover.NONE)

    def close(self) -> None:
        """Switch off, and disconnect."""
        self._brightness = 0.0
        self._state.is_open = False
