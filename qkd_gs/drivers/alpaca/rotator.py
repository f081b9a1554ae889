"""Rotator behind an Alpaca server, with the half-wave plate in it."""

from __future__ import annotations

from math import degrees, isfinite, pi, radians

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.hwp import HwpReading, HwpRotator
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.errors import DeviceFault


class AlpacaRotatorOptions(AlpacaOptions):
    """Options of the driver ``hwp.alpaca``."""

    reverse: bool = Field(False, description='the angle grows clockwise seen against the light')


class AlpacaRotator:
    """Implements `HwpRotator`."""

    def __init__(self, options: AlpacaRotatorOptions) -> None:
        self._sign = -1.0 if options.reverse else 1.0
        self._session = AlpacaSession('hwp', options, 'rotator', ('position', 'ismoving'))

    def open(self) -> None:
        """Connect and wait for the angle; nothing moves."""
        self._session.open()
        self._session.wait()

    def close(self) -> None:
        """Stop and disconnect."""
        self._session.urgent('halt')
        self._session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._session.health()

    def read(self, now_ns: int) -> HwpReading:
        """Angle; ``hwp.silent`` when the server does not answer."""
        if not self._session.step(now_ns):
            raise DeviceFault('hwp.silent', 'the rotator does not tell its angle')
        angle = radians(self._sign * self._session.number('position')) % pi
        return HwpReading(self._session.oldest_ns(), 0.0 if angle == pi else angle, self._session.moving)

    def move(self, now_ns: int, angle_rad: float) -> None:
        """Go to the nearer of the two angles of the rotator that turn the polarization alike."""
        self._session.state.require()
        if not isfinite(angle_rad):
            raise DeviceFault('hwp.command', f'an angle of {angle_rad}')
        here = self._session.number('position')
        wanted = degrees(self._sign * angle_rad) % 180
        target = min((wanted, wanted + 180), key=lambda one: abs((one - here + 180) % 360 - 180))
        self._session.command('moveabsolute', Position=round(target, 4))

    def stop(self, now_ns: int) -> None:
        """Stop at once; allowed in every state."""
        self._session.urgent('halt')


@driver(AlpacaRotatorOptions)
def alpaca_rotator(context: DriverContext[AlpacaRotatorOptions]) -> HwpRotator:
    """Driver ``hwp.alpaca``."""
    return AlpacaRotator(context.options)
