"""Focuser behind an INDI server, with an absolute position."""

from __future__ import annotations

from contextlib import suppress
from math import isfinite

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.focuser import Focuser, FocuserReading
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions, finite
from qkd_gs.errors import DeviceFault

_POSITION, _MEMBER, _ABORT = 'ABS_FOCUS_POSITION', 'FOCUS_ABSOLUTE_POSITION', 'FOCUS_ABORT_MOTION'
_MOST, _TEMPERATURE = 'FOCUS_MAX', 'FOCUS_TEMPERATURE'


class IndiFocuser(IndiDevice):
    """Implements `Focuser`."""

    def __init__(self, options: IndiOptions) -> None:
        super().__init__('focuser', options, (_POSITION,))

    def travel(self) -> tuple[int, int]:
        """Lowest and highest position, steps."""
        self._state.require()
        low, high = self.prop(_POSITION).limits.get(_MEMBER, (0.0, 0.0))
        most = finite(self._client.properties.get(_MOST), 'FOCUS_MAX_VALUE')
        return round(low), round(min(high, most) if isfinite(most) else high)

    def move(self, now_ns: int, position: int) -> None:
        """Begin to move."""
        low, high = self.travel()
        if not low <= position <= high:
            raise DeviceFault('focuser.command', f'position {position} is outside {low} to {high}')
        self._client.send(_POSITION, {_MEMBER: position})

    def halt(self, now_ns: int) -> None:
        """Stop at once; a focuser without a stop is sent to where it was last."""
        if not self._state.is_open:
            return
        with suppress(DeviceFault):  # the connection is broken: `read` tells it
            if _ABORT in self._client.properties:
                self._client.switch(_ABORT, 'ABORT')
            elif (found := self._client.properties.get(_POSITION)) is not None and found.state == 'Busy':
                self._client.send(_POSITION, {_MEMBER: found.values[_MEMBER]})

    def read(self, now_ns: int) -> FocuserReading:
        """Position and temperature, none until the focuser is connected; ``focuser.silent`` when it does not answer."""
        if not self.step(now_ns):
            return FocuserReading(0, 0, False)
        found = self.prop(_POSITION)
        if found.state == 'Alert':
            raise DeviceFault('focuser.fault', f'{self._options.device}: {self._client.said or "a move failed"}')
        temperature_c = finite(self._client.properties.get(_TEMPERATURE), 'TEMPERATURE')
        position = round(found.number(_MEMBER))
        return FocuserReading(min(found.stamp_ns, now_ns), position, found.state == 'Busy', temperature_c)

    def close(self) -> None:
        """Halt and disconnect."""
        self.halt(0)
        super().close()


@driver(IndiOptions)
def indi_focuser(context: DriverContext[IndiOptions]) -> Focuser:
    """Driver ``focuser.indi``."""
    return IndiFocuser(context.options)
