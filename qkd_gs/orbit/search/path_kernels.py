"""Compiled positions between the nodes of a table, and elevations seen from a site.

Between nodes the Earth-fixed position is the polynomial of degree 11 through six nodes and their velocities.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit

ROWS = 6  # of one polynomial
_TERMS = 2 * ROWS


def _hermite() -> FloatArray:
    """Matrix (_TERMS, _TERMS) from positions and derivatives per step, at ROWS nodes, to coefficients."""
    rows = np.arange(ROWS) - (ROWS - 1) / 2
    columns = np.zeros((_TERMS, _TERMS))
    for k, at in enumerate(rows):
        others = np.delete(rows, k)
        lagrange = Polynomial.fromroots(others) / np.prod(at - others)
        square, since = lagrange**2, Polynomial([-at, 1])
        columns[:, k] = (square * (1 - 2 * lagrange.deriv()(at) * since)).coef
        columns[:, ROWS + k] = np.pad((square * since).coef, (0, _TERMS))[:_TERMS]
    return columns


_HERMITE = _hermite()


@njit(cache=True, error_model='numpy')
def polynomials(r: FloatArray, v: FloatArray, step: float) -> FloatArray:
    """Positions between nodes as polynomials.

    Parameters
    ----------
    r, v : (3, n) array
        Positions at the nodes, and their derivatives.
    step : float
        Time between nodes.

    Returns
    -------
    (n - ROWS + 1, 3, 2 ROWS) array
        For each run of nodes the coefficients of powers of the time from its middle, in steps.
    """
    runs = r.shape[1] - ROWS + 1
    path = np.empty((runs, 3, _TERMS))
    for w in range(runs):
        for i in range(3):
            for j in range(_TERMS):
                value, slope = 0.0, 0.0
                for k in range(ROWS):
                    value += _HERMITE[j, k] * r[i, w + k]
                    slope += _HERMITE[j, ROWS + k] * v[i, w + k]
                path[w, i, j] = value + step * slope
    return path


class Nodes(NamedTuple):
    """A satellite's path and a site, as the functions here take them; all Earth-fixed."""

    step: float  # s, between nodes; the first is at 0
    r: FloatArray  # (3, n) m, n at least ROWS
    v: FloatArray  # (3, n) m/s, derivative of r
    radius: FloatArray  # (n,) m, length of r
    site: FloatArray  # (3,) m
    enu: FloatArray  # (3, 3) from Earth-fixed to east, north, up
    path: FloatArray  # from `polynomials`


@njit(cache=True, error_model='numpy', forceinline=True)
def sight(t: float, sky: Nodes, out: FloatArray) -> float:
    """Earth-fixed vector from the site to the satellite at `t` into `out` (3,), m; returns its length."""
    w = min(max(int(t / sky.step) - 2, 0), sky.path.shape[0] - 1)
    u = t / sky.step - (w + 2.5)
    square = 0.0
    for i in range(3):
        p = sky.path[w, i, _TERMS - 1]
        for j in range(_TERMS - 2, -1, -1):
            p = p * u + sky.path[w, i, j]
        out[i] = p - sky.site[i]
        square += out[i] * out[i]
    return sqrt(square)


@njit(cache=True, error_model='numpy', forceinline=True)
def motion(t: float, sky: Nodes, out: FloatArray) -> None:
    """Earth-fixed vector from the site to the satellite, m, its derivative and the second one, into `out` (3, 3)."""
    w = min(max(int(t / sky.step) - 2, 0), sky.path.shape[0] - 1)
    u = t / sky.step - (w + 2.5)
    for i in range(3):
        p, d, e = sky.path[w, i, _TERMS - 1], 0.0, 0.0
        for j in range(_TERMS - 2, -1, -1):
            e = e * u + d
            d = d * u + p
            p = p * u + sky.path[w, i, j]
        out[0, i], out[1, i], out[2, i] = p - sky.site[i], d / sky.step, 2 * e / (sky.step * sky.step)


@njit(cache=True, error_model='numpy', forceinline=True)
def sine_and_slopes(t: float, sky: Nodes, out: FloatArray) -> tuple[float, float, float]:
    """Sine of the elevation at `t`, its derivative and the second one; `out` (3, 3) is as `motion` leaves it."""
    motion(t, sky, out)
    square, radial, speed2, pull = 0.0, 0.0, 0.0, 0.0
    up0, up1, up2 = 0.0, 0.0, 0.0
    for i in range(3):
        x, v, a, up = out[0, i], out[1, i], out[2, i], sky.enu[2, i]
        square += x * x
        radial += x * v
        speed2 += v * v
        pull += x * a
        up0, up1, up2 = up0 + up * x, up1 + up * v, up2 + up * a
    inverse = 1 / sqrt(square)
    rate = radial * inverse
    bend = (speed2 + pull - rate * rate) * inverse
    f = up0 * inverse
    f1 = (up1 - f * rate) * inverse
    return f, f1, (up2 - f * bend - 2 * f1 * rate) * inverse


@njit(cache=True, error_model='numpy', forceinline=True)
def along(axis: int, sky: Nodes, vector: FloatArray) -> float:
    """Part of an Earth-fixed vector towards east (0), north (1) or up (2)."""
    return float(sky.enu[axis, 0] * vector[0] + sky.enu[axis, 1] * vector[1] + sky.enu[axis, 2] * vector[2])


@njit(cache=True, error_model='numpy', forceinline=True)
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
