"""Dome or roof behind an INDI server: its shutter."""

from __future__ import annotations

from qkd_gs.devices.dome import Dome, DomeReading, Shutter
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions

_SHUTTER, _OPEN, _CLOSE = 'DOME_SHUTTER', 'SHUTTER_OPEN', 'SHUTTER_CLOSE'


class IndiDome(IndiDevice):
    """Implements `Dome`."""

    def __init__(self, options: IndiOptions) -> None:
        super().__init__('dome', options, (_SHUTTER,))

    def read(self, now_ns: int) -> DomeReading:
        """State of the shutter, unknown until the dome is connected; ``dome.silent`` when it does not answer."""
        if not self.step(now_ns):
            return DomeReading(0, Shutter.UNKNOWN)
        found = self.prop(_SHUTTER)
        opened, closed = found.on(_OPEN), found.on(_CLOSE)
        shutter = Shutter.UNKNOWN
        if opened is not closed and found.state == 'Busy':
            shutter = Shutter.OPENING if opened else Shutter.CLOSING
        elif opened is not closed and found.state == 'Ok':
            shutter = Shutter.OPEN if opened else Shutter.CLOSED
        return DomeReading(min(found.stamp_ns, now_ns), shutter)

    def open_shutter(self, now_ns: int) -> None:
        """Begin to open."""
        self._state.require()
        self._client.switch(_SHUTTER, _OPEN)

    def close_shutter(self, now_ns: int) -> None:
        """Begin to close; a dome that is not there closes by itself, or not at all."""
        if self._state.is_open and _SHUTTER in self._client.properties:
            self._client.switch(_SHUTTER, _CLOSE)


@driver(IndiOptions)
def indi_dome(context: DriverContext[IndiOptions]) -> Dome:
    """Driver ``dome.indi``."""
    return IndiDome(context.options)
