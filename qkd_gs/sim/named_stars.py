"""The catalogue's stars for the twin's cameras."""

from __future__ import annotations

from math import radians

import numpy as np

from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.pointing.stars import load_stars, star_azel
from qkd_gs.settings.site import Site
from qkd_gs.sim.starfield import StarsInView, diurnal_rates

_STEP_NS = 5 * 10**9  # a chord of the sky's turning in 5 s lies 0.02 urad inside its arc


class NamedStars:
    """Apparent places of all catalogue stars over a stretch of time.

    Parameters
    ----------
    start_ns, end_ns : int
        Stretch of UTC; before and after it the stars stand still.
    """

    def __init__(self, site: Site, start_ns: int, end_ns: int) -> None:
        stars = load_stars()
        self._start_ns = start_ns
        self._latitude_rad = radians(site.latitude_deg)
        times_ns = range(start_ns, end_ns + 2 * _STEP_NS, _STEP_NS)
        azel = [star_azel(stars, site, t_ns) for t_ns in times_ns]
        self._vectors = np.array([enu_from_azel(az, el) for az, el in azel])
        self._magnitude = np.array([star.mag for star in stars])

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""
        place = min(max((t_ns - self._start_ns) / _STEP_NS, 0.0), len(self._vectors) - 1.001)
        first = int(place)
        vectors = self._vectors[first] + (self._vectors[first + 1] - self._vectors[first]) * (place - first)
        inside = (vectors @ enu_from_azel(az_rad, el_rad) > np.cos(radius_rad)) & (self._magnitude <= faintest_mag)
        az, el = azel_from_enu(vectors[inside])
        return StarsInView(az, el, *diurnal_rates(self._latitude_rad, az, el), self._magnitude[inside])
