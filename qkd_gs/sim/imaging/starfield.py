"""Stars behind the satellite: a seeded random field fixed on the celestial sphere, plus named stars."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, dist, pi, radians, sin
from typing import Protocol

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit.diurnal import diurnal_rates
from qkd_gs.orbit.refraction import site_refraction
from qkd_gs.orbit.vectors import horizon_rotation
from qkd_gs.settings.site import Site
from qkd_gs.settings.twin_plant import SkySettings

_AHEAD_RAD = 0.05  # margin of the search
_REFRACTION_RAD = 0.003  # above 5 deg; the cone is about an apparent direction, the vectors are not refracted


@dataclass(frozen=True)
class StarsInView:
    """Stars near a direction at one time; arrays (n,)."""

    az_rad: FloatArray  # apparent
    el_rad: FloatArray
    az_rate_rad_s: FloatArray  # due to Earth rotation
    el_rate_rad_s: FloatArray
    magnitude: FloatArray


NO_STARS = StarsInView(*(np.empty(0) for _ in range(5)))


class Stars(Protocol):
    """Source of stars."""

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""


def towards(az_rad: float, el_rad: float) -> FloatArray:
    """Unit vector (east, north, up) towards a direction, (3,)."""
    return np.array([sin(az_rad) * cos(el_rad), cos(az_rad) * cos(el_rad), sin(el_rad)])


class RandomField:
    """Random stars with the observed growth of numbers with magnitude, turning with the Earth.

    Their number brighter than m is N6 10^(slope (m - 6)) on the whole sphere.  They represent anonymous faint
    stars: precession, aberration and colour are neglected, refraction is not.
    """

    def __init__(self, settings: SkySettings, site: Site, rng: np.random.Generator) -> None:
        faint, bright = (
            settings.stars_brighter_than_6 * 10 ** (settings.stars_slope * (m - 6))
            for m in (settings.stars_mag_limit, settings.stars_brightest_mag)
        )
        count = round(faint - bright)
        number = np.sort(rng.uniform(bright, faint, count))
        self._magnitude = 6 + np.log10(number / settings.stars_brighter_than_6) / settings.stars_slope
        z, turn = rng.uniform(-1, 1, count), rng.uniform(0, 2 * pi, count)
        across = np.sqrt(1 - z * z)
        self._vectors = np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
        self._site, self._latitude = site, radians(site.latitude_deg)
        self._refraction = site_refraction(site)
        self._centre, self._reach_rad = np.zeros(3), -1.0
        self._near, self._near_magnitude = np.empty((0, 3)), np.empty(0)

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, faintest_mag: float) -> StarsInView:
        """Stars within a cone about an apparent direction, down to a magnitude."""
        rotation = horizon_rotation(self._site, t_ns)
        direction = towards(az_rad, el_rad) @ rotation
        self._search_around(direction, radius_rad)
        count = self._near_magnitude.searchsorted(faintest_mag)
        inside = np.flatnonzero(self._near[:count] @ direction > cos(radius_rad + _REFRACTION_RAD))
        if not len(inside):
            return NO_STARS
        east, north, up = rotation @ self._near[inside].T
        el: FloatArray = self._refraction.apparent(np.arcsin(np.clip(up, -1, 1)))
        az: FloatArray = np.arctan2(east, north)
        return StarsInView(az, el, *diurnal_rates(self._latitude, az, el), self._near_magnitude[inside])

    def _search_around(self, direction: FloatArray, radius_rad: float) -> None:
        """Keep the stars of a wide cone, searched again only when the narrow cone touches its edge."""
        if dist(direction, self._centre) + radius_rad + _REFRACTION_RAD > self._reach_rad:
            self._centre, self._reach_rad = direction, radius_rad + _REFRACTION_RAD + _AHEAD_RAD
            nearby = np.flatnonzero(self._vectors @ direction > cos(self._reach_rad))
            self._near, self._near_magnitude = self._vectors[nearby], self._magnitude[nearby]
