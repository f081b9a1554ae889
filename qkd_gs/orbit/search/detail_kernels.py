"""Compiled details of a pass: directions, smallest range, and the angles to Sun and Moon."""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S
from qkd_gs.orbit.search.path_kernels import Nodes, along, motion, sight

DETAILS = 10  # columns of `details`
_SAMPLES = 8  # of the distance to Sun and Moon in a pass, before the smallest is refined
_LONG_PASS_S = 1800.0
_GOLDEN = 0.6180339887498949
_FINE, _COARSE = 10, 5  # steps of the golden section
_CLOSE = 0.7  # cosine: within 45 deg
_SMALL_TURN = 0.07
_EARTH_M = 6378136.6
_RISEN = -0.0145  # sine of -0.83 deg: refraction and half the disk
_NEAR_RISEN = -0.18  # sine of an elevation below which a body does not rise in a pass of half an hour


@njit(cache=True, error_model='numpy')
def details(arcs: FloatArray, bodies_m: FloatArray, sky: Nodes) -> FloatArray:
    """Table of each interval (rise, culmination, set).

    Parameters
    ----------
    bodies_m : (n, 2, 3) array
        Earth-fixed places of Sun and Moon at culmination; they are taken to stand still among the stars.

    Returns
    -------
    (n, DETAILS) array
        Azimuth at rise, culmination and set (rad), sine of the largest elevation, smallest range (m), sine of the
        elevation of Sun and Moon at culmination, cosine of the smallest angle to each of them while it is up (-1: it is
        not), and whether the Sun's centre is seen from the satellite past the Earth's sphere (1 or 0).
    """
    table = np.empty((arcs.shape[0], DETAILS))
    out, state = np.empty(3), np.empty((3, 3))
    bodies = np.empty((2, 3))
    for i in range(arcs.shape[0]):
        rise, top, down = arcs[i]
        for body in range(2):
            towards = bodies_m[i, body] - sky.site
            bodies[body] = towards / sqrt(towards[0] ** 2 + towards[1] ** 2 + towards[2] ** 2)
        for j in range(3):
            rho = sight(arcs[i, j], sky, out)
            table[i, j] = atan2(along(0, sky, out), along(1, sky, out)) % (2 * pi)
            table[i, 4] = rho if j == 0 else min(table[i, 4], rho)
            if j == 1:
                table[i, 3] = along(2, sky, out) / rho
                table[i, 9] = _lit(bodies[0], sky, out)
        table[i, 4] = min(table[i, 4], _vertex(rise, top, down, sky, out, state))
        for body in range(2):
            table[i, 5 + body] = along(2, sky, bodies[body])
            table[i, 7 + body] = -1.0
        if max(table[i, 5], table[i, 6]) > _NEAR_RISEN or down - rise > _LONG_PASS_S:
            _nearest(rise, top, down, bodies, sky, out, table[i, 7:9])
    return table


@njit(cache=True, error_model='numpy', forceinline=True)
def _vertex(rise: float, top: float, down: float, sky: Nodes, out: FloatArray, state: FloatArray) -> float:
    """Smallest range: near culmination its square is a parabola in time, within metres."""
    motion(top, sky, state)
    radial, bend = 0.0, 0.0
    for i in range(3):
        radial += state[0, i] * state[1, i]
        bend += state[1, i] * state[1, i] + state[0, i] * state[2, i]
    t = min(max(top - radial / bend, rise), down) if bend > 0 else top
    smallest: float = sight(t, sky, out)
    return smallest


@njit(cache=True, error_model='numpy', forceinline=True)
def _lit(sun: FloatArray, sky: Nodes, line: FloatArray) -> float:
    """1 where the straight line from the satellite, at `line` from the site, to the Sun passes the Earth, else 0."""
    along, square = 0.0, 0.0
    for i in range(3):
        x = sky.site[i] + line[i]
        along += x * sun[i]
        square += x * x
    return 1.0 if along > 0 or square - along * along > _EARTH_M**2 else 0.0


@njit(cache=True, error_model='numpy')
def _nearest(
    ta: float, top: float, tb: float, bodies: FloatArray, sky: Nodes, out: FloatArray, found: FloatArray
) -> None:
    """Cosine of the smallest angle of satellite and Sun, and Moon, from `ta` to `tb` while they are up; else -1."""
    count = _SAMPLES if tb - ta < _LONG_PASS_S else 10 * _SAMPLES
    spacing = (tb - ta) / count
    at = (top, top)
    for j in range(count + 1):
        t = ta + j * spacing
        rho = sight(t, sky, out)
        c0 = _cosine(t - top, bodies[0], rho, sky, out)
        c1 = _cosine(t - top, bodies[1], rho, sky, out)
        if c0 > found[0]:
            found[0], at = c0, (t, at[1])
        if c1 > found[1]:
            found[1], at = c1, (at[0], t)
    for k in range(2):
        if found[k] > -1:
            a, b = max(at[k] - spacing, ta), min(at[k] + spacing, tb)
            m1, m2 = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
            c1 = _cosine(m1 - top, bodies[k], sight(m1, sky, out), sky, out)
            c2 = _cosine(m2 - top, bodies[k], sight(m2, sky, out), sky, out)
            for _ in range(_FINE if found[k] > _CLOSE else _COARSE):
                found[k] = max(found[k], c1, c2)
                if c1 > c2:
                    b, m2, c2 = m2, m1, c1
                    m1 = b - _GOLDEN * (b - a)
                    c1 = _cosine(m1 - top, bodies[k], sight(m1, sky, out), sky, out)
                else:
                    a, m1, c1 = m1, m2, c2
                    m2 = a + _GOLDEN * (b - a)
                    c2 = _cosine(m2 - top, bodies[k], sight(m2, sky, out), sky, out)
            found[k] = max(found[k], c1, c2)


@njit(cache=True, error_model='numpy', forceinline=True)
def _cosine(since_s: float, body: FloatArray, rho: float, sky: Nodes, line: FloatArray) -> float:
    """Cosine of the angle of a line of sight and a body, whose place was known `since_s` before; -1: it is not up."""
    turn = EARTH_RATE_RAD_S * since_s
    half = turn * turn / 2  # of a pass of half an hour: the next terms are 1e-5
    c, s = (1 - half, turn - turn * half / 3) if abs(turn) < _SMALL_TURN else (cos(turn), sin(turn))
    x, y, z = c * body[0] + s * body[1], c * body[1] - s * body[0], body[2]
    if sky.enu[2, 0] * x + sky.enu[2, 1] * y + sky.enu[2, 2] * z < _RISEN:
        return -1.0
    return float((line[0] * x + line[1] * y + line[2] * z) / rho)
