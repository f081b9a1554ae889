"""Tree of frames of a URDF for /tf_static and /tf: robot_state_publisher as plain functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import cos, pi, sin
from xml.etree import ElementTree

import numpy as np
from transforms3d.axangles import axangle2mat
from transforms3d.euler import euler2mat
from transforms3d.quaternions import axangle2quat, mat2quat, qmult

from qkd_gs.arrays import FloatArray


@dataclass(frozen=True)
class Transform:
    """Pose of the frame `child` in the frame `parent`."""

    parent: str
    child: str
    xyz_m: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]  # x, y, z, w


@dataclass(frozen=True)
class Joint:
    """One joint of the URDF; `axis` is None for a fixed joint."""

    name: str
    parent: str
    child: str
    xyz_m: tuple[float, float, float]
    rotation: FloatArray  # (3, 3), parent from child at position 0
    axis: tuple[float, float, float] | None
    lower_rad: float
    upper_rad: float
    rate_rad_s: float

    @cached_property
    def _quaternions(self) -> tuple[list[float], list[float]]:
        """Of `rotation`, and that times half a turn about the axis: w, x, y, z."""
        quaternion: FloatArray = mat2quat(self.rotation)
        half = quaternion if self.axis is None else qmult(quaternion, axangle2quat(self.axis, pi))
        return quaternion.tolist(), half.tolist()

    def turned(self, position_rad: float) -> FloatArray:
        """Rotation (3, 3), parent from child, at a position."""
        if self.axis is None:
            return self.rotation
        turn: FloatArray = self.rotation @ axangle2mat(self.axis, position_rad)
        return turn

    def transform(self, position_rad: float) -> Transform:
        """The joint at a position."""
        at_zero, half_a_turn = self._quaternions
        c, s = (1.0, 0.0) if self.axis is None else (cos(position_rad / 2), sin(position_rad / 2))
        w, x, y, z = (c * a + s * b for a, b in zip(at_zero, half_a_turn, strict=True))
        return Transform(self.parent, self.child, self.xyz_m, (x, y, z, w))


class FrameTree:
    """All frames of a URDF with fixed and revolute joints.

    Parameters
    ----------
    urdf : str
        Text of the URDF, without xacro macros.
    """

    def __init__(self, urdf: str) -> None:
        robot = ElementTree.fromstring(urdf)
        self.links = tuple(str(link.get('name')) for link in robot.iter('link'))
        self.joints = tuple(_joint(element) for element in robot.iter('joint'))
        self._above = {joint.child: joint for joint in self.joints}

    def fixed(self) -> tuple[Transform, ...]:
        """Transforms of the fixed joints: /tf_static."""
        return tuple(joint.transform(0.0) for joint in self.joints if joint.axis is None)

    def moving(self, positions_rad: Mapping[str, float]) -> tuple[Transform, ...]:
        """Transforms of the moving joints: /tf.

        Parameters
        ----------
        positions_rad : mapping
            Position by name of the joint; joints without a position are omitted.
        """
        return tuple(
            joint.transform(positions_rad[joint.name])
            for joint in self.joints
            if joint.axis is not None and joint.name in positions_rad
        )

    def pose(self, link: str, positions_rad: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
        """Rotation (3, 3) and origin (3,), m, of a link in the root frame."""
        rotation, origin = np.eye(3), np.zeros(3)
        while link in self._above:
            joint = self._above[link]
            turn = joint.turned(positions_rad.get(joint.name, 0.0))
            rotation, origin = turn @ rotation, turn @ origin + joint.xyz_m
            link = joint.parent
        return rotation, origin


def _joint(element: ElementTree.Element) -> Joint:
    origin, limit = _attributes(element, 'origin'), _attributes(element, 'limit')
    moves = element.get('type') != 'fixed'
    return Joint(
        name=str(element.get('name')),
        parent=_attributes(element, 'parent')['link'],
        child=_attributes(element, 'child')['link'],
        xyz_m=_three(origin.get('xyz', '0 0 0')),
        rotation=euler2mat(*_three(origin.get('rpy', '0 0 0')), 'sxyz'),
        axis=_three(_attributes(element, 'axis')['xyz']) if moves else None,
        lower_rad=float(limit.get('lower', 0.0)),
        upper_rad=float(limit.get('upper', 0.0)),
        rate_rad_s=float(limit.get('velocity', 0.0)),
    )


def _attributes(element: ElementTree.Element, tag: str) -> dict[str, str]:
    found = element.find(tag)
    return {} if found is None else dict(found.attrib)


def _three(text: str) -> tuple[float, float, float]:
    x, y, z = map(float, text.split())
    return x, y, z
