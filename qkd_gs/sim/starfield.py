"""Stars behind the satellite: a seeded random field fixed on the celestial sphere, and named stars on top."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qkd_gs.orbit.refraction import site_refraction
from qkd_gs.settings.site import Site
from qkd_gs.settings.twin_body import SkySettings

Floats = NDArray[np.float64]

_NOON_2000_NS = 946_728_000_000_000_000  # JD 2451545.0, taken as UT1
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class StarsInView:
    """Stars near a direction at one time; arrays (n,)."""

    az_rad: Floats
    el_rad: Floats
    magnitude: Floats


class Stars(Protocol):
    """Anything that knows stars."""

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float) -> StarsInView:
        """Stars within a cone about an apparent direction."""


class RandomField:
    """Random stars with the observed growth of numbers with magnitude, turning with the Earth.

    Their number brighter than m is N6 10^(slope (m - 6)) on the whole sphere.  They stand for faint stars of no name:
    precession, aberration and colour are left out, refraction is not.
    """

    def __init__(self, settings: SkySettings, site: Site, rng: np.random.Generator) -> None:
        faint, bright = (
            settings.stars_brighter_than_6 * 10 ** (settings.stars_slope * (m - 6))
            for m in (settings.stars_mag_limit, settings.stars_brightest_mag)
        )
        count = round(faint - bright)
        self._magnitude = 6 + np.log10(rng.uniform(bright, faint, count) / settings.stars_brighter_than_6) / (
            settings.stars_slope
        )
        z, turn = rng.uniform(-1, 1, count), rng.uniform(0, 2 * pi, count)
        across = np.sqrt(1 - z * z)
        self._vectors = np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
        self._latitude, self._longitude = radians(site.latitude_deg), radians(site.longitude_deg)
        self._refraction = site_refraction(site)
        self._held: tuple[float, float, float, float] | None = None
        self._near = np.empty(0, np.int64)

    def near(self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float) -> StarsInView:
        """Stars within a cone about an apparent direction."""
        rotation = self._horizon(t_ns)
        candidates = self._candidates(t_ns, az_rad, el_rad, radius_rad, rotation)
        east, north, up = rotation @ self._vectors[candidates].T
        az = np.arctan2(east, north)
        el: Floats = self._refraction.apparent(np.arcsin(np.clip(up, -1, 1)))
        return StarsInView(az, el, self._magnitude[candidates])

    def _candidates(
        self, t_ns: int, az_rad: float, el_rad: float, radius_rad: float, rotation: Floats
    ) -> NDArray[np.int64]:
        """Indices within a wider cone, looked up again only when the direction has left the middle of the last one."""
        direction = (
            np.array([np.sin(az_rad) * np.cos(el_rad), np.cos(az_rad) * np.cos(el_rad), np.sin(el_rad)]) @ rotation
        )  # in the celestial frame
        key = (*direction.tolist(), radius_rad)
        if self._held is not None and self._held[3] == radius_rad:
            moved = np.sqrt(sum((a - b) ** 2 for a, b in zip(self._held[:3], key[:3], strict=True)))
            if moved < _REUSE_RAD:
                return self._near
        self._held = key
        self._near = np.flatnonzero(self._vectors @ direction > np.cos(radius_rad + _REUSE_RAD + _REFRACTION_RAD))
        return self._near

    def _horizon(self, t_ns: int) -> Floats:
        """Rotation from the celestial frame to east, north, up; by the Earth rotation angle (IERS Conventions 2010, 5.15)."""
        days = (t_ns - _NOON_2000_NS) / _DAY_NS
        turn = 2 * pi * ((0.7790572732640 + 0.00273781191135448 * days + days % 1.0) % 1.0) + self._longitude
        s, c = np.sin(turn), np.cos(turn)
        sp, cp = np.sin(self._latitude), np.cos(self._latitude)
        return np.array([[-s, c, 0.0], [-sp * c, -sp * s, cp], [cp * c, cp * s, sp]])


_REUSE_RAD = 0.02
_REFRACTION_RAD = 0.003  # the candidates' cone is about an apparent direction, the vectors are not refracted
