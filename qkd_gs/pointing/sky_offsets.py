"""Small offsets on the sky, exact near the zenith too: tangent-plane coordinates about a direction, and back."""

from __future__ import annotations

from math import cos, nan, sin

import numpy as np

from qkd_gs.arrays import FloatOrArray
from qkd_gs.jit import njit


def offset_direction(
    az_rad: FloatOrArray, el_rad: FloatOrArray, x_rad: FloatOrArray, y_rad: FloatOrArray
) -> tuple[FloatOrArray, FloatOrArray]:
    """Direction that appears at (x, y) in the image of an ideal camera pointed at (az, el).

    Parameters
    ----------
    az_rad, el_rad : float or ndarray
        Direction of the image centre.  Elevation beyond 90 deg: over the top, the image upside down.
    x_rad, y_rad : float or ndarray
        Tangent-plane (gnomonic) coordinates, as pixels of an undistorted lens are: x across the elevation
        towards growing azimuth, y towards growing elevation.

    Returns
    -------
    az_rad, el_rad : float or ndarray
        On the same side of the zenith as the elevation given (below or beyond 90 deg); azimuth within half
        a turn of the one given.
    """
    side = np.where(np.cos(el_rad) >= 0, 1.0, -1.0)
    forward = side * (np.cos(el_rad) - y_rad * np.sin(el_rad))
    up = np.sin(el_rad) + y_rad * np.cos(el_rad)
    turn = np.arctan2(side * x_rad, forward)
    elevation = np.arctan2(up, np.hypot(x_rad, forward))
    return az_rad + turn, np.where(side > 0, elevation, np.pi - elevation)[()]


def offset_between(
    az_rad: FloatOrArray, el_rad: FloatOrArray, to_az_rad: FloatOrArray, to_el_rad: FloatOrArray
) -> tuple[FloatOrArray, FloatOrArray]:
    """Coordinates of (to_az, to_el) in the image of a camera pointed at (az, el); inverse of `offset_direction`.

    Returns
    -------
    x_rad, y_rad : float or ndarray
        Tangent-plane coordinates.  NaN for a direction 90 deg or more away.
    """
    seen: tuple[FloatOrArray, FloatOrArray]
    if all(isinstance(angle, float) for angle in (az_rad, el_rad, to_az_rad, to_el_rad)):
        seen = offset(az_rad, el_rad, to_az_rad, to_el_rad)
    else:
        angles = np.broadcast_arrays(az_rad, el_rad, to_az_rad, to_el_rad)
        x, y = _offsets(*(np.ravel(angle).astype(float) for angle in angles))
        seen = x.reshape(angles[0].shape)[()], y.reshape(angles[0].shape)[()]
    return seen


@njit(cache=True)
def offset(az, el, to_az, to_el):  # type: ignore[no-untyped-def]
    """`offset_between` of floats; compiled, because the tracker asks for it hundreds of times a second."""
    turn, rise = to_az - az, to_el - el
    # 1 - cos(turn) by the half angle: the plain difference would lose the digits of a small offset
    fold = 2 * sin(turn / 2) ** 2 * cos(to_el)
    along = cos(rise) - fold * cos(el)
    if not along > 0:
        return nan, nan
    return cos(to_el) * sin(turn) / along, (sin(rise) + fold * sin(el)) / along


@njit(cache=True)
def _offsets(az, el, to_az, to_el):  # type: ignore[no-untyped-def]
    """`offset` of arrays (n,)."""
    x, y = np.empty(az.size), np.empty(az.size)
    for i in range(az.size):
        x[i], y[i] = offset(az[i], el[i], to_az[i], to_el[i])
    return x, y


def separation(
    az_rad: FloatOrArray, el_rad: FloatOrArray, to_az_rad: FloatOrArray, to_el_rad: FloatOrArray
) -> FloatOrArray:
    """Angle between two directions, radians in [0, pi]; accurate for small and large ones (haversine formula)."""
    half_el = np.sin(np.subtract(to_el_rad, el_rad) / 2) ** 2
    half_az = np.cos(el_rad) * np.cos(to_el_rad) * np.sin(np.subtract(to_az_rad, az_rad) / 2) ** 2
    near = np.clip(half_el + half_az, 0.0, 1.0)
    angle: FloatOrArray = 2 * np.arctan2(np.sqrt(near), np.sqrt(1 - near))
    return angle
