"""Smallest angle between the beam and the places where an aircraft may be.

The places at a time are those within a radius of an upright line: the line spans the altitudes that its messages
leave open, the radius what its motion and the errors of the messages leave open.

Compiled, since the supervisor asks for every aircraft, every second ahead, 20 times a second.
"""

from __future__ import annotations

from math import asin, atan2, pi, sqrt
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit


@njit(cache=True)
def angle_to_segment(beam: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Smallest angle at the origin between a direction and the points of a segment.

    Parameters
    ----------
    beam : ndarray, (3,)
        Unit vector.
    low, high : ndarray, (3,)
        Ends of the segment, metres.

    Returns
    -------
    float
        Radians.
    """
    ends: float = min(_angle(beam, low), _angle(beam, high))
    normal = _cross(low, high)
    length = _length(normal)
    if not length > 1e-9 * _length(low) * _length(high):  # seen end-on: a point
        return ends
    unit = (normal[0] / length, normal[1] / length, normal[2] / length)
    off = _dot(beam, unit)
    # of the beam on the great circle through both ends
    foot = (beam[0] - off * unit[0], beam[1] - off * unit[1], beam[2] - off * unit[2])
    if _dot(_cross(low, foot), unit) >= 0 and _dot(_cross(foot, high), unit) >= 0:
        return min(asin(min(abs(off), 1.0)), ends)
    return ends


@njit(cache=True)
def distance_to_segment(low: FloatArray, high: FloatArray) -> float:
    """Distance of the origin from a segment, metres."""
    along = (high[0] - low[0], high[1] - low[1], high[2] - low[2])
    squared = _dot(along, along)
    part = min(max(-_dot(low, along) / squared, 0.0), 1.0) if squared > 0 else 0.0
    distance: float = _length((low[0] + part * along[0], low[1] + part * along[1], low[2] + part * along[2]))
    return distance


@njit(cache=True)
def clearance(beam: FloatArray, low: FloatArray, high: FloatArray, radius_m: FloatArray) -> FloatArray:
    """Lower bound of the angle between the beam and every point within `radius_m` of a segment; 0: it may be hit.

    A point q within r of a point s is seen within asin(r / |s|) of it.

    Parameters
    ----------
    beam : ndarray, (m, 3)
        Unit vector of each time.
    low, high : ndarray, (n, m, 3)
        Ends of the segment of each aircraft at each time, metres.
    radius_m : ndarray, (n, m)

    Returns
    -------
    ndarray, (n, m)
        Radians.
    """
    found = np.empty(radius_m.shape)
    for k in range(radius_m.shape[0]):
        for i in range(radius_m.shape[1]):
            share = radius_m[k, i] / max(distance_to_segment(low[k, i], high[k, i]), 1e-3)
            around = asin(share) if share < 1 else pi
            found[k, i] = max(angle_to_segment(beam[i], low[k, i], high[k, i]) - around, 0.0)
    return found


@njit(cache=True)
def _cross(one: Any, other: Any) -> tuple[float, float, float]:  # of arrays or tuples of three numbers
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


@njit(cache=True)
def _dot(one: Any, other: Any) -> float:
    product: float = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return product


@njit(cache=True)
def _length(vector: Any) -> float:
    return sqrt(_dot(vector, vector))


@njit(cache=True)
def _angle(one: Any, other: Any) -> float:
    """Angle between vectors; accurate for small ones."""
    return atan2(_length(_cross(one, other)), _dot(one, other))
