"""Frames and things to draw as messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from geometry_msgs.msg import Point, Quaternion, TransformStamped, Vector3
from geometry_msgs.msg import Transform as TransformMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

import qkd_gs.msg as m
from qkd_gs.monitoring.kinematics import Transform
from qkd_gs.monitoring.markers import Kind, Shape
from qkd_gs.monitoring.scene import TargetPosition
from qkd_gs.nodes.conversions.cdr import build
from qkd_gs.nodes.conversions.messages import header, stamp_of


def positions(message: JointState) -> dict[str, float]:
    """Position by name of the joint, rad; without those that are not measured."""
    return {name: at for name, at in zip(message.name, message.position, strict=True) if isfinite(at)}


def seen(message: m.Target) -> TargetPosition:
    """Place at which the satellite appears."""
    return TargetPosition(message.satellite, stamp_of(message), message.az_rad, message.el_rad, message.range_m)


def transforms(t_ns: int, steps: Sequence[Transform]) -> TFMessage:
    """TFMessage of all steps, at one time."""
    return TFMessage(transforms=[_transform(t_ns, step) for step in steps])


def markers(t_ns: int, things: Sequence[Shape], gone: Iterable[str]) -> MarkerArray:
    """MarkerArray that draws `things` and takes away what is `gone`."""
    away = [Marker(header=header(t_ns), ns=name, action=Marker.DELETE) for name in sorted(gone)]
    return MarkerArray(markers=[*away, *(_marker(t_ns, thing) for thing in things)])


def _transform(t_ns: int, step: Transform) -> TransformStamped:
    x, y, z, w = step.quaternion
    return build(
        TransformStamped,
        header=header(t_ns, step.parent),
        child_frame_id=step.child,
        transform=build(
            TransformMessage,
            translation=build(Vector3, x=step.xyz_m[0], y=step.xyz_m[1], z=step.xyz_m[2]),
            rotation=build(Quaternion, x=x, y=y, z=z, w=w),
        ),
    )


def _marker(t_ns: int, thing: Shape) -> Marker:
    marker = Marker(
        header=header(t_ns, thing.frame),
        ns=thing.name,
        type=int(thing.kind),
        action=Marker.ADD,
        frame_locked=True,  # what is fixed to a moving frame moves with it between two messages
        text=thing.text,
        points=[build(Point, x=x, y=y, z=z) for x, y, z in thing.points_m],
    )
    colour = thing.colour
    marker.color = build(ColorRGBA, r=colour.red, g=colour.green, b=colour.blue, a=colour.opacity)
    marker.pose.position = build(Point, x=thing.at_m[0], y=thing.at_m[1], z=thing.at_m[2])
    size = 1.0 if thing.kind is Kind.TRIANGLE_LIST else thing.size_m
    marker.scale = build(Vector3, x=size, y=size, z=size)
    return marker
