"""Residuals of observed stars and their derivatives by the terms; compiled, since a robust fit needs thousands."""

from __future__ import annotations

from math import cos, sin

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.jit import njit
from qkd_gs.pointing.mount_kernels import decode

_STEP_RAD = 1e-6  # of the differences; terms enter through sines, so the error is 1e-12 of the slope
_FAR_RAD = 1.0  # residual of a star 90 deg away and more


@njit(cache=True)
def residuals(stars: FloatArray, p: FloatArray, out: FloatArray) -> None:
    """Star minus line of sight on the sky: `stars` (4, n) az, el, enc_az, enc_el; `out` (2 n,), first all x, then y.

    The tangent-plane formulas of `sky_offsets.offset_between`.
    """
    n = stars.shape[1]
    for i in range(n):
        az, el, _ = decode(stars[2, i], stars[3, i], 0.0, 0.0, p)
        turn, rise = stars[0, i] - az, stars[1, i] - el
        fold = 2 * sin(turn / 2) ** 2 * cos(stars[1, i])
        along = cos(rise) - fold * cos(el)
        if along > 0:
            out[i] = cos(stars[1, i]) * sin(turn) / along
            out[n + i] = (sin(rise) + fold * sin(el)) / along
        else:
            out[i] = out[n + i] = _FAR_RAD


@njit(cache=True)
def slopes(stars: FloatArray, p: FloatArray, free: IntArray, out: FloatArray) -> None:
    """Derivatives of `residuals` by the terms `free` (k,), by central differences; `out` (2 n, k)."""
    above, below = np.empty((2, out.shape[0]))
    for j in range(free.size):
        moved = p.copy()
        moved[free[j]] = p[free[j]] + _STEP_RAD
        residuals(stars, moved, above)
        moved[free[j]] = p[free[j]] - _STEP_RAD
        residuals(stars, moved, below)
        out[:, j] = (above - below) / (2 * _STEP_RAD)
