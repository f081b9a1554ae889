"""Tracking metrics from the station's topics: the same code in a live station and in a replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy

import qkd_gs.msg as m
from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.record.statistics import TrackingMetrics
from qkd_gs.tracking.record.topics import FEEDS, feed, running_metrics

_DEEP = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)


class StationMetrics:
    """Accumulates tracking metrics from the topics of a pass.

    Parameters
    ----------
    subscribe : callable
        The node's `listen` or `gather`.

    Attributes
    ----------
    heard : dict
        Messages by topic.
    lost : int
        Messages that were sent and will never be heard, as DDS counts them.
    """

    def __init__(self, subscribe: Callable[..., Any], tracking: TrackingSettings) -> None:
        self._tracking = tracking
        self._metrics = running_metrics(tracking)
        self.received = dict.fromkeys(FEEDS, 0)
        self.lost = 0
        told = SubscriptionEventCallbacks(message_lost=self._count_lost)
        self._subscriptions = [
            subscribe(getattr(m, kind), topic, self._take(topic), _DEEP, event_callbacks=told)
            for topic, (kind, _) in FEEDS.items()
        ]

    @property
    def matched(self) -> bool:
        """Whether somebody who publishes was found for every topic: what is sent from now on is heard."""
        return all(one.handle.get_publisher_count() for one in self._subscriptions)

    def _count_lost(self, told: Any) -> None:
        self.lost += told.total_count_change

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
