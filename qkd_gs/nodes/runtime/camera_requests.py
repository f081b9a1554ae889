"""Say what is wanted of both cameras: on a change at once, and again every second, since silence lets a camera rest."""

from __future__ import annotations

import qkd_gs.msg as m
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.tracking.types import CameraRequest, CameraRole

_AGAIN_NS = 900_000_000


class CameraRequests:
    """Of one node; another one that asks for something else at the same time is that node's mistake."""

    def __init__(self, node: StationMixin) -> None:
        self._publishers = {
            role: node.publisher(m.CameraRequest, f'{messages.frame_of(role)}/request') for role in CameraRole
        }
        self._asked: dict[CameraRole, tuple[int, CameraRequest | None]] = {}

    def ask(self, now_ns: int, role: CameraRole, wanted: CameraRequest | None) -> None:
        """To be called in every step; None lets the camera rest."""
        told_ns, told = self._asked.get(role, (0, None))
        if wanted != told or now_ns - told_ns >= _AGAIN_NS:
            self._asked[role] = now_ns, wanted
            self._publishers[role].publish(messages.camera_request(now_ns, role, wanted))

    def rest(self, now_ns: int) -> None:
        """Nobody exposes any more."""
        self._asked.clear()
        for role, publisher in self._publishers.items():
            publisher.publish(messages.camera_request(now_ns, role, None))
