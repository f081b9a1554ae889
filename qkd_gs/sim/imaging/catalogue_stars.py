"""Stars of the catalogue for the simulated cameras."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, dist, floor, radians

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.calibration.stars import Star, load_stars, star_azel
from qkd_gs.orbit.diurnal import diurnal_rates
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.settings.site import Site
from qkd_gs.sim.imaging.starfield import NO_STARS, StarsInView, towards

_STEP_NS = 5 * 10**9  # a chord of the sky's turning in 5 s lies 0.02 urad inside its arc
_TURN_RAD = 4e-4  # of the sky in that time
_AHEAD_RAD = 0.05
_KEPT = 4  # steps: time goes on, and two are needed


class NamedStars:
    """Apparent positions of stars.

    Parameters
    ----------
    start_ns : int
        UTC; steps of positions are counted from it.
    stars : sequence of Star, optional
        All of the station's catalogue if not given.
    """

    def __init__(self, site: Site, start_ns: int, stars: Sequence[Star] | None = None) -> None:
        self._start_ns = start_ns
        self._latitude_rad = radians(site.latitude_deg)
        self._site, self._stars = site, load_stars() if stars is None else stars
        self._magnitude = np.array([star.mag for star in self._stars])
        self._vectors: dict[int, FloatArray] = {}  # by step, computed on demand; of the last steps asked for
        self._centre, self._first, self._reach_rad = np.zeros(3), 0, -1.0
        self._nearby = np.empty(0, np.int64)

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""
        place = (t_ns - self._start_ns) / _STEP_NS
        first = floor(place)
        direction = towards(az_rad, el_rad)
        nearby = self._around(first, direction, radius_rad)
        if not len(nearby):
            return NO_STARS
        before, after = self._at(first)[nearby], self._at(first + 1)[nearby]
        vectors = before + (after - before) * (place - first)
        inside = (vectors @ direction > cos(radius_rad)) & (self._magnitude[nearby] <= faintest_mag)
        if not inside.any():
            return NO_STARS
        az, el = azel_from_enu(vectors[inside])
        return StarsInView(az, el, *diurnal_rates(self._latitude_rad, az, el), self._magnitude[nearby[inside]])

    def _around(self, first: int, direction: FloatArray, radius_rad: float) -> IntArray:
        """Stars within a wide cone; searched again only when the narrow cone, or the sky, has moved to its edge."""
        moved = dist(direction, self._centre) + abs(first - self._first) * _TURN_RAD
        if moved + radius_rad > self._reach_rad:
            self._centre, self._first, self._reach_rad = direction, first, radius_rad + _AHEAD_RAD
            self._nearby = np.flatnonzero(self._at(first) @ direction > cos(self._reach_rad))
        return self._nearby

    def _at(self, step: int) -> FloatArray:
        """Unit vectors of all stars at a step, (n, 3)."""
        if step not in self._vectors:
            place = star_azel(self._stars, self._site, self._start_ns + step * _STEP_NS)
            if len(self._vectors) >= _KEPT:
                del self._vectors[next(iter(self._vectors))]
            self._vectors[step] = enu_from_azel(*place)
        return self._vectors[step]
