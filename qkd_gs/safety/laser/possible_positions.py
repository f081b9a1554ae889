"""Smallest angle between the beam and the places where an aircraft may be.

The places at a time are those within a radius of an upright line: the line spans the altitudes that its messages
leave open, the radius what its motion and the errors of the messages leave open.
"""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import FloatArray


def angle_to_segments(beam: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Smallest angle at the origin between directions and points of segments.

    Parameters
    ----------
    beam : ndarray, (..., 3)
        Unit vectors.
    low, high : ndarray, (..., 3)
        Ends of the segments, metres.

    Returns
    -------
    ndarray, (...)
        Radians.
    """
    ends = np.minimum(_angle(beam, low), _angle(beam, high))
    normal = np.cross(low, high)
    length = np.linalg.norm(normal, axis=-1)
    flat = length > 1e-9 * np.linalg.norm(low, axis=-1) * np.linalg.norm(high, axis=-1)  # seen end-on: a point
    unit = normal / np.where(flat, length, 1.0)[..., None]
    off = np.einsum('...i,...i->...', beam, unit)
    foot = beam - off[..., None] * unit  # of the beam on the great circle through both ends
    between = (np.einsum('...i,...i->...', np.cross(low, foot), unit) >= 0) & (
        np.einsum('...i,...i->...', np.cross(foot, high), unit) >= 0
    )
    across = np.arcsin(np.clip(np.abs(off), 0.0, 1.0))
    angles: FloatArray = np.where(flat & between, np.minimum(across, ends), ends)
    return angles


def distance_to_segments(low: FloatArray, high: FloatArray) -> FloatArray:
    """Distance of the origin from segments, metres."""
    along = high - low
    squared = np.einsum('...i,...i->...', along, along)
    part = -np.einsum('...i,...i->...', low, along) / np.where(squared > 0, squared, 1.0)
    nearest = low + np.clip(part, 0.0, 1.0)[..., None] * along
    distance: FloatArray = np.linalg.norm(nearest, axis=-1)
    return distance


def clearance(beam: FloatArray, low: FloatArray, high: FloatArray, radius_m: FloatArray) -> FloatArray:
    """Lower bound of the angle between the beam and every point within `radius_m` of a segment; 0: it may be hit.

    A point q within r of a point s is seen within asin(r / |s|) of it.
    """
    share = radius_m / np.maximum(distance_to_segments(low, high), 1e-3)
    around = np.where(share < 1, np.arcsin(np.minimum(share, 1.0)), np.pi)
    found: FloatArray = np.maximum(angle_to_segments(beam, low, high) - around, 0.0)
    return found


def _angle(one: FloatArray, other: FloatArray) -> FloatArray:
    """Angle between vectors; accurate for small ones."""
    angle: FloatArray = np.arctan2(
        np.linalg.norm(np.cross(one, other), axis=-1), np.einsum('...i,...i->...', one, other)
    )
    return angle
