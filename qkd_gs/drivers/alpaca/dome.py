"""Dome or roof behind an Alpaca server: its shutter."""

from __future__ import annotations

from qkd_gs.devices.dome import Dome, DomeReading, Shutter
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession

_STATES = {0: Shutter.OPEN, 1: Shutter.CLOSED, 2: Shutter.OPENING, 3: Shutter.CLOSING}  # 4: error


class AlpacaDome:
    """Implements `Dome`."""

    def __init__(self, options: AlpacaOptions) -> None:
        self._session = AlpacaSession('dome', options, 'dome', ('shutterstatus',))

    def open(self) -> None:
        """Begin to connect; nothing moves."""
        self._session.open()

    def close(self) -> None:
        """Disconnect; the shutter goes on with the last order."""
        self._session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._session.health()

    def read(self, now_ns: int) -> DomeReading:
        """State of the shutter, unknown until it is told; ``dome.silent`` when the server does not answer."""
        if not self._session.step(now_ns):
            return DomeReading(0, Shutter.UNKNOWN)
        told = self._session.values['shutterstatus']
        return DomeReading(told.stamp_ns, _STATES.get(told.value, Shutter.UNKNOWN))

    def open_shutter(self, now_ns: int) -> None:
        """Begin to open."""
        self._session.command('openshutter')

    def close_shutter(self, now_ns: int) -> None:
        """Begin to close; one that is not connected cannot be told."""
        self._session.urgent('closeshutter')


@driver(AlpacaOptions)
def alpaca_dome(context: DriverContext[AlpacaOptions]) -> Dome:
    """Driver ``dome.alpaca``."""
    return AlpacaDome(context.options)
