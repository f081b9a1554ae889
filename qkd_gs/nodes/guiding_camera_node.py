"""Guiding-camera node."""

from __future__ import annotations

from qkd_gs.nodes.runtime.base import BESIDE_THE_LOOP
from qkd_gs.nodes.runtime.camera import CameraNode
from qkd_gs.nodes.runtime.process import run
from qkd_gs.tracking.types import CameraRole


class GuidingCameraNode(CameraNode):
    """See `CameraNode`."""

    name = 'guiding_camera'
    role = CameraRole.GUIDING
    priority = BESIDE_THE_LOOP


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(GuidingCameraNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
