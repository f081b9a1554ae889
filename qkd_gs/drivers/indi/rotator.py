"""Rotator behind an INDI server, with the half-wave plate in it."""

from __future__ import annotations

from math import degrees, isfinite, pi, radians

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.hwp import HwpReading, HwpRotator
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.errors import DeviceFault

_ANGLE, _ABORT = 'ABS_ROTATOR_ANGLE', 'ROTATOR_ABORT_MOTION'


class IndiRotatorOptions(IndiOptions):
    """Options of the driver ``hwp.indi``."""

    reverse: bool = Field(False, description='the angle grows clockwise seen against the light')


class IndiRotator(IndiDevice):
    """Implements `HwpRotator`."""

    def __init__(self, options: IndiRotatorOptions) -> None:
        super().__init__('hwp', options, (_ANGLE, _ABORT))
        self._sign = -1.0 if options.reverse else 1.0

    def open(self) -> None:
        """Connect and wait for the angle; nothing moves."""
        super().open()
        self.wait()

    def read(self, now_ns: int) -> HwpReading:
        """Angle; ``hwp.silent`` when the rotator does not answer."""
        if not self.step(now_ns):
            raise DeviceFault('hwp.silent', f'{self._options.device} was disconnected')
        found = self.prop(_ANGLE)
        if found.state == 'Alert':
            raise DeviceFault('hwp.fault', f'{self._options.device}: {self._client.said or "a move failed"}')
        angle = radians(self._sign * found.number('ANGLE')) % pi
        return HwpReading(min(found.stamp_ns, now_ns), 0.0 if angle == pi else angle, found.state == 'Busy')

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to the nearer of the two angles of the rotator that turn the polarization alike."""
        self._state.require()
        if not isfinite(angle_rad):
            raise DeviceFault('hwp.command', f'an angle of {angle_rad}')
        self.step(now_ns)
        here = self.prop(_ANGLE).number('ANGLE')
        wanted = degrees(self._sign * angle_rad) % 180
        target = min((wanted, wanted + 180), key=lambda one: abs(one - here))
        self._client.send(_ANGLE, {'ANGLE': round(target, 4)})

    def stop(self, now_ns: int) -> None:
        """Stop at once; allowed in every state."""
        if self._state.is_open and _ABORT in self._client.properties:
            self._client.switch(_ABORT, 'ABORT')

    def close(self) -> None:
        """Stop and disconnect."""
        if self._state.is_open:
            try:
                self.stop(0)
            except DeviceFault:  # the connection is broken
                self._state.is_open = False
        super().close()


@driver(IndiRotatorOptions)
def indi_rotator(context: DriverContext[IndiRotatorOptions]) -> HwpRotator:
    """Driver ``hwp.indi``."""
    return IndiRotator(context.options)
