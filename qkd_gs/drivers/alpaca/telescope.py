"""Telescope mount behind an Alpaca server: told where to go in azimuth and elevation, a few times a second."""

from __future__ import annotations

from math import degrees, radians

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.mount import Mount
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.drivers.slewed_mount import SlewedMount, SlewedOptions, Winding, capability_of
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import MountSettings

_MAY_REFUSE = frozenset({'abortslew', 'unpark', 'tracking'})  # a parked mount, one that cannot be parked or held


class AlpacaTelescopeOptions(AlpacaOptions, SlewedOptions):
    """Options of the driver ``mount.alpaca``."""

    command_rate_hz: float = Field(4.0, gt=0, le=50, description='set-points a second that the mount takes')
    step_deg: float = Field(0.02, gt=0, le=10, description='accuracy of its positions, from its data sheet')


class AlpacaTelescope:
    """Implements `SlewLink`."""

    def __init__(self, options: AlpacaTelescopeOptions, settings: MountSettings) -> None:
        self._session = AlpacaSession('mount', options, 'telescope', ('azimuth', 'altitude'), _MAY_REFUSE)
        self._winding = Winding(settings.azimuth)
        self.position_rad: tuple[float, float] | None = None
        self.asked_ns, self.refused = 0, ''

    def open(self) -> None:
        """Connect and wait for the position; nothing moves."""
        self.position_rad, self.asked_ns, self.refused = None, 0, ''
        self._winding.near_rad = 0.0
        self._session.open()
        self._session.wait()
        self._take()

    def close(self) -> None:
        """Disconnect; allowed in every state."""
        self._session.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._session.health() | ({'refused': self.refused} if self.refused else {})

    def enable(self) -> None:
        """Unpark; no motion with the stars."""
        self._session.command('unpark')
        self._session.command('tracking', Tracking=False)

    def go(self, now_ns: int, az_rad: float, el_rad: float) -> None:
        """Slew there."""
        self._winding.near_rad = az_rad
        self._session.command(
            'slewtoaltazasync', Azimuth=round(degrees(az_rad) % 360, 5), Altitude=round(degrees(el_rad), 5)
        )

    def stop(self) -> None:
        """Abort the slew."""
        self._session.urgent('abortslew')

    def step(self, now_ns: int) -> None:
        """Take an answer, and ask the next question.

        Raises
        ------
        DeviceFault
            ``mount.silent``: the server does not answer.
        """
        try:
            self._session.step(now_ns)
        except DeviceFault as fault:
            if fault.code != 'mount.refused':
                raise
            self.refused = str(fault)
        self._take()

    def _take(self) -> None:
        az_rad, el_rad = radians(self._session.number('azimuth')), radians(self._session.number('altitude'))
        self.position_rad, self.asked_ns = (self._winding.of(az_rad), el_rad), self._session.oldest_ns()


@driver(AlpacaTelescopeOptions, capability=capability_of)
def alpaca_telescope(context: DriverContext[AlpacaTelescopeOptions]) -> Mount:
    """Driver ``mount.alpaca``."""
    return SlewedMount(AlpacaTelescope(context.options, context.station.mount), context.options, context.station.mount)
