"""Tracking-camera node."""

from __future__ import annotations

from qkd_gs.nodes.runtime.camera import CameraNode
from qkd_gs.nodes.runtime.process import run
from qkd_gs.tracking.types import CameraRole


class TrackingCameraNode(CameraNode):
    """See `CameraNode`."""

    name = 'tracking_camera'
    role = CameraRole.TRACKING


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(TrackingCameraNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
