"""Right ascension and declination of date, as mounts have them, and azimuth and elevation of a site.

It is a change of coordinates alone: no refraction, no aberration, no polar motion.  What the mount's axes add belongs
to the pointing model of the station.
"""

from __future__ import annotations

from math import asin, atan2, cos, degrees, pi, radians, sin, tau

from qkd_gs.orbit.timescale import to_time
from qkd_gs.settings.site import Site

_TURNS_PER_DAY = 1.00273790935  # of the Earth, against the equinox
_EXACT_NS = 600 * 10**9  # so long the sidereal time is carried on at that rate: less than 1e-8 turns of error


class Sky:
    """Sky over a site."""

    def __init__(self, site: Site) -> None:
        self._latitude_rad, self._longitude_rad = radians(site.latitude_deg), radians(site.longitude_deg)
        self._reference_ns, self._reference_rad = 0, 0.0

    def sidereal_rad(self, t_ns: int) -> float:
        """Apparent local sidereal time at UTC `t_ns`."""
        if not self._reference_ns or abs(t_ns - self._reference_ns) > _EXACT_NS:
            self._reference_ns, self._reference_rad = t_ns, float(to_time(t_ns).gast) * pi / 12
        turned_rad = (t_ns - self._reference_ns) * 1e-9 / 86400 * _TURNS_PER_DAY * tau
        return (self._reference_rad + turned_rad + self._longitude_rad) % tau

    def horizontal(self, t_ns: int, ra_h: float, dec_deg: float) -> tuple[float, float]:
        """Azimuth (from north through east, -pi to pi) and elevation, rad."""
        hour, dec = self.sidereal_rad(t_ns) - ra_h * pi / 12, radians(dec_deg)
        az, el = _turned(hour, dec, self._latitude_rad)
        return az, el

    def equatorial(self, t_ns: int, az_rad: float, el_rad: float) -> tuple[float, float]:
        """Right ascension (0 to 24 h) and declination (deg)."""
        hour, dec = _turned(az_rad, el_rad, self._latitude_rad)
        return (self.sidereal_rad(t_ns) - hour) % tau * 12 / pi, degrees(dec)


def _turned(angle: float, height: float, latitude: float) -> tuple[float, float]:
    """Hour angle and declination to azimuth and elevation, or back: the formula is the same both ways."""
    up = sin(height) * sin(latitude) + cos(height) * cos(latitude) * cos(angle)
    north = sin(height) * cos(latitude) - cos(height) * sin(latitude) * cos(angle)
    east = -cos(height) * sin(angle)
    return atan2(east, north), asin(min(max(up, -1.0), 1.0))
