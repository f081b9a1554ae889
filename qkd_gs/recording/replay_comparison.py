"""Comparison of the tracking metrics of a replay with those of the live pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.recording.metrics import differences, metrics_of_bag
from qkd_gs.recording.reader import Bag
from qkd_gs.session.manifest import FILE_NAME, load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings, TrackingSettings
from qkd_gs.tracking.record.manifest_writer import finite
from qkd_gs.tracking.record.statistics import TrackingMetrics
from qkd_gs.tracking.record.topics import STATION_METRICS


@dataclass(frozen=True)
class ReplayComparison:
    """Metrics of a replay compared with those of the live pass.

    Attributes
    ----------
    metrics : dict
        Of the replay; None: not measured.
    reference : str
        Origin of the metrics compared with.
    different : dict
        Metrics that differ: name -> (before, replayed).
    """

    metrics: dict[str, Any]
    reference: str
    different: dict[str, tuple[Any, Any]]

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if not self.different:
            return f'the tracking metrics equal those of {self.reference}'
        changes = ', '.join(f'{name} {again} instead of {before}' for name, (before, again) in self.different.items())
        return f'the tracking metrics differ from those of {self.reference}: {changes}'


def compare_replay(bag: Bag, tracking: TrackingSettings, again: TrackingMetrics) -> ReplayComparison:
    """Compare with the metrics that the live pass kept in its session, or else with those of the bag."""
    kept = _kept(bag)
    reference = 'the live pass' if kept is not None else 'the bag'
    before = kept if kept is not None else finite(asdict(metrics_of_bag(bag, tracking)))
    return ReplayComparison(finite(asdict(again)), reference, differences(before, again))


def settings_of(bag: Bag, otherwise: Path) -> StationSettings:
    """Settings of the station during the pass, from the session of the bag, or else from a file.

    Raises
    ------
    StationError
        A damaged manifest or file.
    """
    session = _session(bag)
    return load_manifest(session).station if session is not None else load_yaml(otherwise, StationSettings)


def _session(bag: Bag) -> Path | None:
    folder = bag.folder.absolute().parent
    return folder if (folder / FILE_NAME).exists() else None


def _kept(bag: Bag) -> Mapping[str, Any] | None:
    session = _session(bag)
    if session is None:
        return None
    manifest = load_manifest(session)
    if manifest.session_id != bag.about.session_id:
        raise StationError('belongs to another pass than its session', where=bag.folder)
    kept = manifest.run.get(STATION_METRICS)
    return kept if isinstance(kept, dict) else None
