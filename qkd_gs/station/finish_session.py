"""Finish the session of a pass: collect the files of other processes, make the key, write the report."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.processing.session_run import Progress
from qkd_gs.recording import Bag, metrics_of_bag, open_bag, telemetry_of_bag
from qkd_gs.report import write_report
from qkd_gs.session.durable_file import release_left_behind
from qkd_gs.session.manifest import load_manifest, update_manifest
from qkd_gs.session.telemetry import FILE_NAME as TELEMETRY
from qkd_gs.session.writers import wait_until_written
from qkd_gs.sim.remote.realtime_world import TRUTH_FILE
from qkd_gs.station.satellite_link import make_key
from qkd_gs.tracking.record.manifest_writer import finite
from qkd_gs.tracking.record.topics import STATION_METRICS


def after_pass(folder: Path, keys: KeyFolder, own: dict[str, Any] | None, progress: Progress) -> dict[str, Any] | None:
    """Finish a session once nobody writes into it any more; the result as `process_session` gives it.

    None for a pass in which the satellite was never locked: there is nothing to make a key of.

    Parameters
    ----------
    own : dict or None
        The station's own tracking metrics of the pass; None: not received from its start.

    Raises
    ------
    StationError
        The session allows no key; with the reason.
    """
    wait_until_written(folder)
    release_left_behind(folder)
    bag = open_bag(folder / 'bag') if (folder / 'bag').is_dir() else None
    keep_telemetry(folder, bag)
    keep_figures(folder, own if own is not None else metrics_from_bag(folder, bag))
    result = make_key(folder, keys, progress) if load_manifest(folder).locked else None
    progress('writing the report', 0.0)
    write_report(folder)
    return result


def keep_telemetry(folder: Path, bag: Bag | None) -> None:
    """Write the telemetry of a real pass from its bag; the twin has written that of a simulated one."""
    if bag is not None and not (folder / TELEMETRY).exists():
        telemetry_of_bag(bag, load_manifest(folder).station, load_pointing(folder).model).save(folder)


def metrics_from_bag(folder: Path, bag: Bag | None) -> dict[str, Any]:
    """Tracking metrics from the bag, for a pass not received from its start; empty without a bag."""
    if bag is None:
        return {}
    return finite(asdict(metrics_of_bag(bag, load_manifest(folder).station.tracking)))


def keep_figures(folder: Path, own: dict[str, Any]) -> None:
    """Store the metrics of a pass in its manifest: the station's own, and those of the truth if simulated."""
    path = folder / TRUTH_FILE
    truth = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    update_manifest(folder, lambda now: {'run': now.run | {STATION_METRICS: own}, 'tracking': own, **truth})
