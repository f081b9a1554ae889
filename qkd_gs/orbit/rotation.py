"""Rotations of many vectors at once."""

from __future__ import annotations

import numpy as np
from skyfield.timelib import Time

from qkd_gs.arrays import FloatArray


def turn_z(vectors: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Turn vectors (n, 3) about the z axis by angles (n,), counter-clockwise seen from +z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    x, y, z = vectors.T
    return np.column_stack((c * x - s * y, s * x + c * y, z))


def polar_motion(tirs: FloatArray, time: Time) -> FloatArray:
    """From the frame of the rotation pole (TIRS) to the crust-fixed one (ITRS), vectors (n, 3) at n times."""
    return np.asarray(np.einsum('ijn,nj->ni', time.polar_motion_matrix(), tirs))


def turned(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    """Apply one matrix (3, 3), or one for each vector (3, 3, n), to vectors (n, 3)."""
    subscripts = 'ijn,nj->ni' if matrix.ndim == 3 else 'ij,nj->ni'
    product: FloatArray = np.einsum(subscripts, matrix, vectors)
    return product
