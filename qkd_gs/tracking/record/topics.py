"""Which topics tell the station's own tracking figures, and how: the same from live topics, a replay or a bag.

A message is anything with the fields of its type: one of ROS's, or one that was read from a bag without ROS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import radians
from typing import Any

from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.record.live_statistics import RunningFigures

OWN = 'own_figures'  # key of the manifest's `run` under which a live pass keeps them
STATE, TARGET, GUIDE = 'session/state', 'target', 'guiding_camera/spot'

# topic -> (message type, what its messages tell)
FEEDS: Mapping[str, tuple[str, Callable[[RunningFigures, Any], None]]] = {
    STATE: (
        'SessionState',
        lambda figures, m: figures.state(stamp_ns(m), m.phase, m.error_x_urad, m.error_y_urad),
    ),
    TARGET: ('Target', lambda figures, m: figures.target(stamp_ns(m), m.el_rad)),
    GUIDE: ('Spot', lambda figures, m: figures.guide(stamp_ns(m), m.found)),
}


def stamp_ns(message: Any) -> int:
    """Stamp of a message's header, UTC ns."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def feed(figures: RunningFigures, topic: str, message: Any) -> None:
    """Tell what a message says; `topic` is one of `FEEDS`."""
    FEEDS[topic][1](figures, message)


def running_figures(tracking: TrackingSettings) -> RunningFigures:
    """Figures still without a message."""
    return RunningFigures(radians(tracking.data_el_deg))
