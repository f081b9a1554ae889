"""Tracking metrics from the station's topics: the same code in a live station and in a replay."""

from __future__ import annotations

from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy

import qkd_gs.msg as m
from qkd_gs.nodes.runtime.base import StationMixin
from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.record.statistics import TrackingMetrics
from qkd_gs.tracking.record.topics import FEEDS, feed, running_metrics

_DEEP = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)


class StationMetrics:
    """Accumulates tracking metrics from the topics of a pass.

    Attributes
    ----------
    received : dict
        Number of messages by topic.
    """

    def __init__(self, node: StationMixin, tracking: TrackingSettings) -> None:
        self._tracking = tracking
        self._metrics = running_metrics(tracking)
        self.received = dict.fromkeys(FEEDS, 0)
        for topic, (kind, _) in FEEDS.items():
            node.listen(getattr(m, kind), topic, self._take(topic), _DEEP)

    def _take(self, topic: str) -> Any:
        def take(message: Any) -> None:
            self.received[topic] += 1
            feed(self._metrics, topic, message)

        return take

    def reset(self) -> None:
        """Discard everything received: another pass begins."""
        self._metrics = running_metrics(self._tracking)
        self.received = dict.fromkeys(FEEDS, 0)

    def metrics(self) -> TrackingMetrics:
        """Metrics of the messages so far."""
        return self._metrics.metrics()
