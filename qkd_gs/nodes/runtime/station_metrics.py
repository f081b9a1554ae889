"""The station's own tracking figures, heard from its topics: in a live station and in a replay by the same code."""

from __future__ import annotations

from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy

import qkd_gs.msg as m
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.record.statistics import TrackingFigures
from qkd_gs.tracking.record.topics import FEEDS, feed, running_figures

_DEEP = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)


class OwnFigures:
    """Listens as long as the node lives.

    Attributes
    ----------
    heard : dict
        Messages by topic.
    """

    def __init__(self, node: StationMixin, tracking: TrackingSettings) -> None:
        self._tracking = tracking
        self._figures = running_figures(tracking)
        self.heard = dict.fromkeys(FEEDS, 0)
        for topic, (kind, _) in FEEDS.items():
            node.listen(getattr(m, kind), topic, self._take(topic), _DEEP)

    def _take(self, topic: str) -> Any:
        def take(message: Any) -> None:
            self.heard[topic] += 1
            feed(self._figures, topic, message)

        return take

    def begin_anew(self) -> None:
        """Forget what was heard: another pass begins."""
        self._figures = running_figures(self._tracking)
        self.heard = dict.fromkeys(FEEDS, 0)

    def figures(self) -> TrackingFigures:
        """So far."""
        return self._figures.figures()
