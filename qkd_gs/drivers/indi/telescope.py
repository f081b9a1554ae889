"""Telescope mount behind an INDI server: told where to go in right ascension and declination, a few times a second."""

from __future__ import annotations

from contextlib import suppress

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.mount import Mount
from qkd_gs.drivers.indi.device import IndiDevice, IndiOptions
from qkd_gs.drivers.indi.equatorial import Sky
from qkd_gs.drivers.slewed_mount import SlewedMount, SlewedOptions, Winding, capability_of
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import MountSettings

_WHERE, _ABORT, _TRACKING = 'EQUATORIAL_EOD_COORD', 'TELESCOPE_ABORT_MOTION', 'TELESCOPE_TRACK_STATE'
_AFTER, _PARK, _SITE, _POLLING = 'ON_COORD_SET', 'TELESCOPE_PARK', 'GEOGRAPHIC_COORD', 'POLLING_PERIOD'
_AGAIN_NS = 500_000_000


class IndiTelescopeOptions(IndiOptions, SlewedOptions):
    """Options of the driver ``mount.indi``."""

    command_rate_hz: float = Field(4.0, gt=0, le=50, description='set-points a second that the mount takes')
    step_deg: float = Field(0.02, gt=0, le=10, description='accuracy of its positions, from its data sheet')
    polling_s: float = Field(0.1, ge=0.01, le=10, description='period at which its INDI driver reads the mount')
    set_site: bool = Field(True, description="write the station's position into the mount when it is opened")


class IndiTelescope(IndiDevice):
    """Implements `SlewLink`."""

    def __init__(self, options: IndiTelescopeOptions, site: Site, settings: MountSettings) -> None:
        super().__init__('mount', options, (_WHERE, _ABORT))
        self._telescope, self._site = options, site
        self._sky, self._winding = Sky(site), Winding(settings.azimuth)
        self.position_rad: tuple[float, float] | None = None
        self.asked_ns, self.refused = 0, ''

    def open(self) -> None:
        """Connect and wait for the position; nothing moves."""
        super().open()
        self.position_rad, self.asked_ns, self.refused = None, 0, ''
        self._held = True  # no set-point is being followed: nor are the stars
        self._held_ns = 0
        self._winding.near_rad = 0.0
        self.wait()
        self._client.send(_POLLING, {'PERIOD_MS': self._telescope.polling_s * 1e3}, needed=False)
        if self._telescope.set_site:
            place = {
                'LAT': self._site.latitude_deg,
                'LONG': self._site.longitude_deg % 360,
                'ELEV': self._site.altitude_m,
            }
            self._client.send(_SITE, place, needed=False)

    def enable(self) -> None:
        """Unpark; a slew ends at rest, not with the stars."""
        park = self._client.properties.get(_PARK)
        if park is not None and park.on('PARK'):
            self._client.switch(_PARK, 'UNPARK')
        if _AFTER in self._client.properties:
            self._client.switch(_AFTER, 'SLEW')
        self._held = True

    def go(self, now_ns: int, az_rad: float, el_rad: float) -> None:
        """Slew there."""
        self._held, self._winding.near_rad = False, az_rad
        ra_h, dec_deg = self._sky.equatorial(now_ns, az_rad, el_rad)
        self._client.send(_WHERE, {'RA': round(ra_h, 7), 'DEC': round(dec_deg, 6)})

    def stop(self) -> None:
        """Abort the motion."""
        self._held, self._held_ns = True, 0
        if self._state.is_open and _ABORT in self._client.properties:
            with suppress(DeviceFault):  # the connection is broken: `step` tells it
                self._client.switch(_ABORT, 'ABORT')

    def step(self, now_ns: int) -> bool:
        """Take what has arrived; a mount that follows the stars by itself is held.

        Raises
        ------
        DeviceFault
            ``mount.silent``: see `IndiDevice.step`; or the mount was disconnected at the server.
        """
        known = self.position_rad is not None
        if not super().step(now_ns):
            if known:
                raise DeviceFault('mount.silent', f'{self._options.device} was disconnected')
            return False
        found = self.prop(_WHERE)
        if found.state == 'Alert' and not self._held:
            self.refused = self._client.said or 'the mount refuses the set-point'
        stamp_ns = min(found.stamp_ns, now_ns)
        az_rad, el_rad = self._sky.horizontal(stamp_ns, found.number('RA'), found.number('DEC'))
        self.position_rad, self.asked_ns = (self._winding.of(az_rad), el_rad), stamp_ns
        self._hold(now_ns)
        return True

    def _hold(self, now_ns: int) -> None:
        """Some mounts begin to follow the stars after a stop; end that, too."""
        tracking = self._client.properties.get(_TRACKING)
        if self._held and tracking is not None and tracking.on('TRACK_ON') and now_ns - self._held_ns > _AGAIN_NS:
            self._held_ns = now_ns
            self._client.switch(_TRACKING, 'TRACK_OFF')


@driver(IndiTelescopeOptions, capability=capability_of)
def indi_telescope(context: DriverContext[IndiTelescopeOptions]) -> Mount:
    """Driver ``mount.indi``."""
    link = IndiTelescope(context.options, context.site, context.station.mount)
    return SlewedMount(link, context.options, context.station.mount)
