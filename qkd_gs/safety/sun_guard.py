"""Distance of the line of sight from the Sun, and time until a stalled mount becomes unsafe."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, inf, pi, radians, sin

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray

SunPlace = tuple[float, float]  # apparent azimuth and elevation, radians
BELOW_RAD = radians(-1.0)  # refraction and the disc's radius: below this no sunlight reaches the telescope
STEP_NS = 10_000_000_000  # the Sun moves by 0.7 mrad meanwhile: linear in between
AHEAD = 60  # steps looked ahead


class SunGuard:
    """Distance from the Sun now, and time until it is too close for a stalled mount.

    Parameters
    ----------
    sun : callable
        Apparent azimuth and elevation (rad) of the Sun at a time (ns); called once per ten seconds.
    exclusion_rad : float
        Smallest angle between line of sight and Sun.
    stall_margin_s : float
        Smallest time that must remain.
    """

    def __init__(self, sun: Callable[[int], SunPlace], exclusion_rad: float, stall_margin_s: float):
        self._sun = sun
        self._exclusion_rad = exclusion_rad
        self.stall_margin_s = stall_margin_s
        self._first = 0  # step at which the table begins
        self._places: FloatArray = np.empty((0, 3))
        self._up: BoolArray = np.empty(0, dtype=bool)
        self._night = True  # the Sun is down at all of these steps, as on every pass

    def distance_rad(self, t_ns: int, az_rad: float, el_rad: float) -> float:
        """Angle between a direction and the Sun; pi if the Sun is down."""
        self._look_ahead(t_ns // STEP_NS)
        return pi if self._night else float(self._distances(t_ns, az_rad, el_rad)[0])

    def margin_s(self, now_ns: int, az_rad: float, el_rad: float) -> float:
        """Seconds until the Sun is too close to a fixed direction: 0 if it is now, inf if not within ten minutes."""
        self._look_ahead(now_ns // STEP_NS)
        if self._night:
            return inf
        distances = self._distances(now_ns, az_rad, el_rad)
        margin = np.where(distances < pi, distances - self._exclusion_rad, inf)  # no zone is wide enough for the night
        near = np.flatnonzero(margin <= 0)
        if not len(near):
            return inf
        k = int(near[0])
        if k == 0:
            return 0.0
        until_s = ((self._first + k) * STEP_NS - now_ns) * 1e-9
        since_s = max(until_s - STEP_NS * 1e-9, 0.0)
        if margin[k - 1] == inf:  # it rises meanwhile, and counts from then on
            return since_s
        return float(since_s + (until_s - since_s) * margin[k - 1] / (margin[k - 1] - margin[k]))

    def _distances(self, now_ns: int, az_rad: float, el_rad: float) -> FloatArray:
        """Angles to the Sun now (first) and at the coming steps of the table, which begins now; pi where it is down."""
        looks = np.array([cos(el_rad) * sin(az_rad), cos(el_rad) * cos(az_rad), sin(el_rad)])
        part = now_ns % STEP_NS / STEP_NS
        places = self._places.copy()
        places[0] = (1 - part) * places[0] + part * places[1]
        up = self._up.copy()
        up[0] = up[0] or up[1]
        # chord, not cosine: good at small angles too
        angles = 2 * np.arcsin(np.minimum(0.5 * np.linalg.norm(places - looks, axis=1), 1.0))
        distances: FloatArray = np.where(up, angles, pi)
        return distances

    def _look_ahead(self, first: int) -> None:
        """Move the table to start at the step before now, reusing the steps it has."""
        have = len(self._places)
        keep = have - (first - self._first) if have and 0 <= first - self._first < have else 0
        if keep == AHEAD + 2:
            return
        rows = [self._sun((first + k) * STEP_NS) for k in range(keep, AHEAD + 2)]
        az, el = np.array(rows).T
        fresh = np.stack([np.cos(el) * np.sin(az), np.cos(el) * np.cos(az), np.sin(el)], axis=1)
        self._places = np.concatenate([self._places[have - keep :], fresh])
        self._up = np.concatenate([self._up[have - keep :], el >= BELOW_RAD])
        self._first, self._night = first, not self._up.any()
