"""Tracking metrics of a bag as the station measured them, and their comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isclose
from typing import Any

from qkd_gs.recording.reader import Bag
from qkd_gs.settings.station import TrackingSettings
from qkd_gs.tracking.record.manifest_writer import finite
from qkd_gs.tracking.record.statistics import TrackingMetrics
from qkd_gs.tracking.record.topics import FEEDS, feed, running_metrics


def metrics_of_bag(bag: Bag, tracking: TrackingSettings) -> TrackingMetrics:
    """Tracking metrics of a recorded pass, as the station measured them."""
    metrics = running_metrics(tracking)
    for topic, _, message in bag.messages(FEEDS):
        feed(metrics, topic, message)
    return metrics.metrics()


def differences(recorded: Mapping[str, Any], again: TrackingMetrics) -> dict[str, tuple[Any, Any]]:
    """Metrics that differ: name -> (recorded, again).

    Parameters
    ----------
    recorded : mapping
        As in the manifest (None: not measured); only names that both have are compared.
    """
    return {
        name: (recorded[name], value)
        for name, value in finite(asdict(again)).items()
        if name in recorded and not _same(recorded[name], value)
    }


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return isclose(one, other, rel_tol=1e-12, abs_tol=0)  # rounding of decimal digits in the file
