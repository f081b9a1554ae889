"""Which topics tell the station's own tracking figures, and how: the same from live topics, a replay or a bag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import isclose, radians
from typing import Any

from qkd_gs.recording.reader import Bag
from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.running import RunningFigures
from qkd_gs.tracking.session_book import finite
from qkd_gs.tracking.statistics import TrackingFigures

STATE, TARGET, GUIDE = 'session/state', 'target', 'guiding_camera/spot'

# topic -> (message type, what its messages tell); a message is anything with the fields of that type
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


def figures_of_bag(bag: Bag, tracking: TrackingSettings) -> TrackingFigures:
    """The station's own tracking figures of a recorded pass."""
    figures = running_figures(tracking)
    for topic, _, message in bag.messages(FEEDS):
        feed(figures, topic, message)
    return figures.figures()


def differences(recorded: Mapping[str, Any], again: TrackingFigures) -> dict[str, tuple[Any, Any]]:
    """Figures that are not the same: name -> (recorded, again).

    Parameters
    ----------
    recorded : mapping
        As the manifest has them (None: not measured); only names in it that both know are compared.
    """
    return {
        name: (recorded[name], value)
        for name, value in finite(asdict(again)).items()
        if name in recorded and not _same(recorded[name], value)
    }


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return isclose(one, other, rel_tol=1e-12, abs_tol=0)  # decimal digits of a file
