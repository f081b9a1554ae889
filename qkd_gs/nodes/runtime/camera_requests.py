"""Requests to both cameras: sent at once on a change, repeated every second, since a camera stops without them."""

from __future__ import annotations

import qkd_gs.msg as m
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.tracking.types import CameraRequest, CameraRole

_REPEAT_NS = 900_000_000


class CameraRequests:
    """Publishes the camera requests of one node; no two nodes may send requests at the same time."""

    def __init__(self, node: StationMixin) -> None:
        self._publishers = {
            role: node.publisher(m.CameraRequest, f'{messages.frame_of(role)}/request') for role in CameraRole
        }
        self._sent: dict[CameraRole, tuple[int, CameraRequest | None]] = {}

    def ask(self, now_ns: int, role: CameraRole, request: CameraRequest | None) -> None:
        """Request images of a camera, None for none; to be called in every step."""
        last_ns, last = self._sent.get(role, (0, None))
        if request != last or now_ns - last_ns >= _REPEAT_NS:
            self._sent[role] = now_ns, request
            self._publishers[role].publish(messages.camera_request(now_ns, role, request))

    def stop(self, now_ns: int) -> None:
        """Stop both cameras."""
        self._sent.clear()
        for role, publisher in self._publishers.items():
            publisher.publish(messages.camera_request(now_ns, role, None))
