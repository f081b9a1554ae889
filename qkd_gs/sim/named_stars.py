"""The catalogue's stars for the twin's cameras."""

from __future__ import annotations

from math import radians

import numpy as np
from numpy.typing import NDArray

from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.pointing.stars import load_stars, star_azel
from qkd_gs.settings.site import Site
from qkd_gs.sim.starfield import NO_STARS, StarsInView, diurnal_rates

_STEP_NS = 5 * 10**9  # a chord of the sky's turning in 5 s lies 0.02 urad inside its arc
_TURN_RAD = 4e-4  # of the sky in that time
_AHEAD_RAD = 0.05


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
        self._centre, self._first, self._reach_rad = np.zeros(3), 0, -1.0
        self._nearby = np.empty(0, np.int64)
        self._magnitude = np.array([star.mag for star in stars])

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""
        place = min(max((t_ns - self._start_ns) / _STEP_NS, 0.0), len(self._vectors) - 1.001)
        first = int(place)
        direction = enu_from_azel(az_rad, el_rad)
        nearby = self._around(first, direction, radius_rad)
        if not len(nearby):
            return NO_STARS
        before, after = self._vectors[first, nearby], self._vectors[first + 1, nearby]
        vectors = before + (after - before) * (place - first)
        inside = (vectors @ direction > np.cos(radius_rad)) & (self._magnitude[nearby] <= faintest_mag)
        az, el = azel_from_enu(vectors[inside])
        return StarsInView(az, el, *diurnal_rates(self._latitude_rad, az, el), self._magnitude[nearby[inside]])

    def _around(self, first: int, direction: NDArray[np.float64], radius_rad: float) -> NDArray[np.int64]:
        """Stars within a wide cone; looked up again only when the narrow one, or the sky, has moved to its edge."""
        moved = float(np.linalg.norm(direction - self._centre)) + abs(first - self._first) * _TURN_RAD
        if moved + radius_rad > self._reach_rad:
            self._centre, self._first, self._reach_rad = direction, first, radius_rad + _AHEAD_RAD
            self._nearby = np.flatnonzero(self._vectors[first] @ direction > np.cos(self._reach_rad))
        return self._nearby
