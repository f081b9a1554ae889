"""Topics from which the station measures its tracking metrics: the same for a live pass, a replay or a bag.

A message is any object with the fields of its type: from ROS, or read from a bag without ROS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import radians
from typing import Any

from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.record.live_statistics import RunningMetrics

STATION_METRICS = 'station_metrics'  # key in the manifest's `run`
STATE, TARGET, GUIDE = 'session/state', 'target', 'guiding_camera/spot'

# topic -> (message type, how to add its messages)
FEEDS: Mapping[str, tuple[str, Callable[[RunningMetrics, Any], None]]] = {
    STATE: (
        'SessionState',
        lambda metrics, m: metrics.state(stamp_ns(m), m.phase, m.error_x_urad, m.error_y_urad),
    ),
    TARGET: ('Target', lambda metrics, m: metrics.target(stamp_ns(m), m.el_rad)),
    GUIDE: ('Spot', lambda metrics, m: metrics.guide(stamp_ns(m), m.found)),
}


def stamp_ns(message: Any) -> int:
    """Stamp of a message's header, UTC ns."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def feed(metrics: RunningMetrics, topic: str, message: Any) -> None:
    """Add a message; `topic` is one of `FEEDS`."""
    FEEDS[topic][1](metrics, message)


def running_metrics(tracking: TrackingSettings) -> RunningMetrics:
    """Metrics without a message yet."""
    return RunningMetrics(radians(tracking.data_el_deg))
