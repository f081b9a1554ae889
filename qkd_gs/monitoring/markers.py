"""Shapes of the scene without ROS; `nodes/conversions/scene.py` converts them to markers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import cos, pi, sin, tan

import numpy as np
from numpy.typing import ArrayLike

from qkd_gs.arrays import FloatArray

Point = tuple[float, float, float]

_SIDES = 24


class Kind(IntEnum):
    """Types of visualization_msgs/Marker."""

    SPHERE = 2
    LINE_STRIP = 4
    TEXT_VIEW_FACING = 9
    TRIANGLE_LIST = 11


@dataclass(frozen=True)
class Colour:
    """Red, green, blue and opacity, 0 to 1."""

    red: float
    green: float
    blue: float
    opacity: float = 1.0


@dataclass(frozen=True)
class Shape:
    """One shape of the scene; `name` is the namespace of the marker, its id is always 0.

    Attributes
    ----------
    frame : str
        TF frame of `at_m` and `points_m`; the shape moves with it.
    at_m : tuple
        Centre of a sphere or text, m.
    points_m : tuple of tuple
        Corners of a line, or of triangles three by three, m.
    size_m : float
        Diameter of a sphere, height of a text, width of a line, m; triangles have none.
    """

    name: str
    kind: Kind
    frame: str
    colour: Colour
    at_m: Point = (0.0, 0.0, 0.0)
    points_m: tuple[Point, ...] = ()
    size_m: float = 0.1
    text: str = ''


def cone(towards: ArrayLike, length_m: float, half_angle_rad: float) -> tuple[Point, ...]:
    """Corners of the triangles of a cone with its tip in the origin.

    Parameters
    ----------
    towards : array_like (3,)
        Unit vector of its axis.
    """
    axis = np.asarray(towards, dtype=float)
    aside = np.zeros(3)
    aside[np.argmin(np.abs(axis))] = 1.0
    first = np.cross(axis, aside)
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    radius_m = length_m * tan(half_angle_rad)
    rim = [
        length_m * axis + radius_m * (cos(angle) * first + sin(angle) * second)
        for angle in np.arange(_SIDES) * (2 * pi / _SIDES)
    ]
    corners: list[Point] = []
    for here, there in zip(rim, [*rim[1:], rim[0]], strict=True):
        corners += [(0.0, 0.0, 0.0), point(here), point(there)]
    return tuple(corners)


def point(vector: FloatArray) -> Point:
    """A vector (3,) as plain numbers."""
    x, y, z = map(float, vector)
    return x, y, z
