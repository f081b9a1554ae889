"""Focuser behind an Alpaca server, with an absolute position."""

from __future__ import annotations

from math import isnan

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.focuser import Focuser, FocuserReading
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.errors import DeviceFault

_ASKED = ('position', 'ismoving', 'maxstep', 'temperature')


class AlpacaFocuser:
    """Implements `Focuser`."""

    def __init__(self, options: AlpacaOptions) -> None:
        self._session = AlpacaSession('focuser', options, 'focuser', _ASKED, frozenset({'temperature'}))

    def open(self) -> None:
        """Begin to connect; nothing moves."""
        self._session.open()

    def close(self) -> None:
        """Halt and disconnect."""
        self._session.urgent('halt')
        self._session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._session.health()

    def travel(self) -> tuple[int, int]:
        """Lowest and highest position, steps."""
        self._session.state.require()
        most = self._session.number('maxstep')
        if isnan(most):
            raise DeviceFault('focuser.silent', 'the focuser has not told its travel')
        return 0, round(most)

    def move(self, now_ns: int, position: int) -> None:
        """Begin to move."""
        low, high = self.travel()
        if not low <= position <= high:
            raise DeviceFault('focuser.command', f'position {position} is outside {low} to {high}')
        self._session.command('move', Position=position)

    def halt(self, now_ns: int) -> None:
        """Stop at once."""
        self._session.urgent('halt')

    def read(self, now_ns: int) -> FocuserReading:
        """Position and temperature, none until they are told; ``focuser.silent`` when the server does not answer."""
        session = self._session
        if not session.step(now_ns):
            return FocuserReading(0, 0, False)
        position = round(session.number('position'))
        return FocuserReading(session.oldest_ns(), position, session.moving, session.number('temperature'))


@driver(AlpacaOptions)
def alpaca_focuser(context: DriverContext[AlpacaOptions]) -> Focuser:
    """Driver ``focuser.alpaca``."""
    return AlpacaFocuser(context.options)
