"""The guiding camera's process."""

from __future__ import annotations

from qkd_gs.nodes.base import run
from qkd_gs.nodes.camera import CameraNode
from qkd_gs.tracking.types import CameraRole


class GuidingCameraNode(CameraNode):
    """See `CameraNode`."""

    name = 'guiding_camera'
    role = CameraRole.GUIDING


def main() -> int:
    """Run the node."""
    return run(GuidingCameraNode)


if __name__ == '__main__':
    raise SystemExit(main())
