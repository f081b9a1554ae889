"""Calibration light behind an INDI server: a light box, with or without a dust cap."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite

from qkd_gs.devices.calibration_light import (
    NO_READING,
    CalibrationLight,
    CalibrationLightReading,
    Cover,
    checked_brightness,
)
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.errors import DeviceFault

_CONTROL, _ON, _OFF = 'FLAT_LIGHT_CONTROL', 'FLAT_LIGHT_ON', 'FLAT_LIGHT_OFF'
_INTENSITY, _VALUE = 'FLAT_LIGHT_INTENSITY', 'FLAT_LIGHT_INTENSITY_VALUE'
_CAP, _PARK, _UNPARK = 'CAP_PARK', 'PARK', 'UNPARK'


class IndiLightBox(IndiDevice):
    """Implements `CalibrationLight`; a dust cap is told, not moved."""

    def __init__(self, options: IndiOptions) -> None:
        super().__init__('calibration_light', options, (_CONTROL, _INTENSITY))
        self._was_dark = False

    def open(self) -> None:
        """Begin to connect; a light that is on goes off as soon as the device is connected."""
        self._was_dark = False
        super().open()

    def on(self, now_ns: int, brightness: float) -> None:
        """Shine; the brightness goes out before and after, since not every driver takes it in the dark."""
        self._state.require()
        least, most = self.prop(_INTENSITY).limits.get(_VALUE, (0.0, 0.0))
        value = {_VALUE: max(round(least + checked_brightness(brightness) * (most - least)), least + 1)}
        self._client.send(_INTENSITY, value)
        self._client.switch(_CONTROL, _ON)
        self._client.send(_INTENSITY, value)

    def off(self, now_ns: int) -> None:
        """Switch off; a box that is not connected cannot be told."""
        if self._state.is_open and _CONTROL in self._client.properties:
            with suppress(DeviceFault):  # the connection is broken: `read` tells it
                self._client.switch(_CONTROL, _OFF)

    def read(self, now_ns: int) -> CalibrationLightReading:
        """State of light and cap, none until the box is connected; silent when it does not answer."""
        if not self.step(now_ns):
            return NO_READING
        control, intensity = self.prop(_CONTROL), self.prop(_INTENSITY)
        if not self._was_dark:
            self._was_dark = True
            if control.on(_ON):
                self.off(now_ns)
        if control.state == 'Alert':
            raise DeviceFault(
                'calibration_light.fault', f'{self._options.device}: {self._client.said or "a switch failed"}'
            )
        lit, stamp_ns = control.on(_ON), min(control.stamp_ns, now_ns)
        ready = lit and control.state != 'Busy' and intensity.state != 'Busy'
        return CalibrationLightReading(stamp_ns, lit, self._share() if lit else 0.0, ready, self._cover())

    def _share(self) -> float:
        found = self.prop(_INTENSITY)
        least, most = found.limits.get(_VALUE, (0.0, 0.0))
        share = (found.number(_VALUE) - least) / (most - least) if most > least else 0.0
        return share if isfinite(share) else 0.0

    def _cover(self) -> Cover:
        found = self._client.properties.get(_CAP)
        if found is None:
            return Cover.NONE
        if found.state == 'Busy':
            return Cover.MOVING
        if found.state == 'Alert' or found.on(_PARK) is found.on(_UNPARK):
            return Cover.UNKNOWN
        return Cover.CLOSED if found.on(_PARK) else Cover.OPEN

    def close(self) -> None:
        """Switch off, and disconnect."""
        self.off(0)
        super().close()


@driver(IndiOptions)
def indi_lightbox(context: DriverContext[IndiOptions]) -> CalibrationLight:
    """Driver ``calibration_light.indi``."""
    return IndiLightBox(context.options)
