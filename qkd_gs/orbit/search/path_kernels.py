"""Compiled positions between the nodes of a table, and elevations seen from a site.

Between nodes the Earth-fixed position is the polynomial of degree 11 through six nodes and their velocities.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit

ROWS = 6  # of one polynomial


class Nodes(NamedTuple):
    """A satellite's path and a site, as the functions here take them; all Earth-fixed."""

    step: float  # s, between nodes; the first is at 0
    r: FloatArray  # (3, n) m, n at least ROWS
    v: FloatArray  # (3, n) m/s, derivative of r
    radius: FloatArray  # (n,) m, length of r
    site: FloatArray  # (3,) m
    enu: FloatArray  # (3, 3) from Earth-fixed to east, north, up


@njit(cache=True, error_model='numpy')
def sight(t: float, sky: Nodes, out: FloatArray) -> float:
    """Earth-fixed vector from the site to the satellite at `t` into `out` (3,), m; returns its length."""
    w = min(max(int(t / sky.step) - 2, 0), sky.r.shape[1] - ROWS)
    x = t / sky.step - w
    x1, x2, x3, x4, x5 = x - 1, x - 2, x - 3, x - 4, x - 5
    a, b, c = x * x1, x2 * x3, x4 * x5
    ab, ac, bc = a * b, a * c, b * c
    l0, l1, l2 = x1 * bc / -120, x * bc / 24, ac * x3 / -12
    l3, l4, l5 = ac * x2 / 12, ab * x5 / -24, ab * x4 / 120
    q0, q1, q2, q3, q4, q5 = l0 * l0, l1 * l1, l2 * l2, l3 * l3, l4 * l4, l5 * l5
    h0, h1, h2 = (1 + 137 / 30 * x) * q0, (1 + 13 / 6 * x1) * q1, (1 + 2 / 3 * x2) * q2
    h3, h4, h5 = (1 - 2 / 3 * x3) * q3, (1 - 13 / 6 * x4) * q4, (1 - 137 / 30 * x5) * q5
    d0, d1, d2 = sky.step * x * q0, sky.step * x1 * q1, sky.step * x2 * q2
    d3, d4, d5 = sky.step * x3 * q3, sky.step * x4 * q4, sky.step * x5 * q5
    r, v = sky.r, sky.v
    square = 0.0
    for i in range(3):
        p = h0 * r[i, w] + h1 * r[i, w + 1] + h2 * r[i, w + 2] + h3 * r[i, w + 3] + h4 * r[i, w + 4] + h5 * r[i, w + 5]
        p += d0 * v[i, w] + d1 * v[i, w + 1] + d2 * v[i, w + 2] + d3 * v[i, w + 3] + d4 * v[i, w + 4] + d5 * v[i, w + 5]
        out[i] = p - sky.site[i]
        square += out[i] * out[i]
    return sqrt(square)


@njit(cache=True, error_model='numpy')
def along(axis: int, sky: Nodes, vector: FloatArray) -> float:
    """Part of an Earth-fixed vector towards east (0), north (1) or up (2)."""
    return float(sky.enu[axis, 0] * vector[0] + sky.enu[axis, 1] * vector[1] + sky.enu[axis, 2] * vector[2])


@njit(cache=True, error_model='numpy')
def sine_at(t: float, sky: Nodes, out: FloatArray) -> float:
    """Sine of the elevation at `t`."""
    rho: float = sight(t, sky, out)
    return float(along(2, sky, out) / rho)


@njit(cache=True, error_model='numpy')
def sights(t: FloatArray, sky: Nodes, out: FloatArray) -> None:
    """East, north, up (n, 3), m, at times (n,)."""
    vector = np.empty(3)
    for i in range(t.size):
        sight(t[i], sky, vector)
        for axis in range(3):
            out[i, axis] = along(axis, sky, vector)
