"""Driver of the simulated calibration light for a process of its own; the light itself is part of the world."""

from __future__ import annotations

from qkd_gs.devices.calibration_light import NO_READING, CalibrationLightReading, checked_brightness
from qkd_gs.devices.open_state import OpenState
from qkd_gs.sim.remote.actuators import Link, require_fresh

OFF = 0.0  # in the place of a brightness


class RemoteCalibrationLight:
    """Calibration light driver; like real equipment, the light stays on when its driver dies."""

    def __init__(self, link: Link) -> None:
        self._state = OpenState('calibration_light')
        self._link = link
        self._last = NO_READING

    def open(self) -> None:
        """Subscribe to the light, and switch it off."""
        self._state.is_open = True
        self._link.listen('calibration_light/state', CalibrationLightReading, self._take)
        self.off(0)

    def _take(self, reading: CalibrationLightReading) -> None:
        self._last = reading

    def on(self, now_ns: int, brightness: float) -> None:
        """Shine; see the Protocol."""
        self._state.require()
        self._link.send('calibration_light/on', checked_brightness(brightness), now_ns)

    def off(self, now_ns: int) -> None:
        """Switch off at once."""
        if self._state.is_open:
            self._link.send('calibration_light/on', OFF, now_ns)

    def read(self, now_ns: int) -> CalibrationLightReading:
        """Newest reading; without a stamp before the first.

        Raises
        ------
        DeviceFault
            ``calibration_light.silent``: none for two seconds.
        """
        self._state.require()
        self._link.poll()
        last = self._last
        if last.stamp_ns:
            require_fresh('calibration_light', 'light', last.stamp_ns, now_ns)
        return last

    def close(self) -> None:
        """Switch off."""
        self.off(0)
        self._state.is_open = False
