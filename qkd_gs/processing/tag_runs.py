"""The runs of the TDC in a session: first reading of each run's tags, and a report on each run.

A detector process that is restarted during a pass begins a new run with its own clock.  A fault of a run affects that
run only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.processing.light_path import FixedDelay, LightPath
from qkd_gs.session.manifest import Manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.settings.station import DetectorSettings
from qkd_gs.timing.clocks.pps import PpsTimescale, fit_pps
from qkd_gs.timing.clocks.thinned import Thinned
from qkd_gs.timing.sealed import SealedFile, has_end
from qkd_gs.timing.sealed.hybrid import SealingKey
from qkd_gs.timing.spans import Spans, intersect, spans, where_true
from qkd_gs.timing.tags import Channel, TagBlock

_STEP_NS = 100_000_000
MARGIN_NS = 2_000_000_000
_AROUND_PS = 2 * 10**12  # the clock's curve is best a little inside its ends


@dataclass
class RunReport:
    """Report on a run of the TDC.

    Attributes
    ----------
    file : str
        Name of its tag file.
    started : str, optional
        UTC of its start.
    tags : int
        Tags read.
    cut_short : bool
        Its writer died: the last half second is missing.
    unused : str
        Reason why the run is not used; empty if it is.
    """

    file: str
    started: str | None = None
    tags: int = 0
    cut_short: bool = False
    unused: str = ''

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class RunReports:
    """Reports on all runs; a fault of one run is raised only if no run is usable."""

    runs: list[RunReport] = field(default_factory=list)
    _first_fault: StationError | None = None

    @contextmanager
    def confine_faults(self, report: RunReport) -> Iterator[None]:
        """Context in which a `StationError` is stored in the report and not raised."""
        try:
            yield
        except StationError as error:
            report.unused = error.what  # without the folder: a result says nothing of the machine
            self._first_fault = self._first_fault or error

    def require(self, usable: int, folder: Path) -> None:
        """Raise the first fault unless there is a usable run.

        Raises
        ------
        StationError
            There is none.
        """
        if usable:
            return
        if self._first_fault is None:
            raise StationError('has no tag files', where=folder, hint='the TDC never ran')
        if len(self.runs) == 1:
            raise self._first_fault
        raise StationError(
            f'none of the {len(self.runs)} runs of the TDC can be used; {self._first_fault}', where=folder
        )


@dataclass
class ScannedRun:
    """A run after the first reading of its tags, before any message to the satellite.

    Attributes
    ----------
    report : RunReport
    sealed : SealedFile
    scale : PpsTimescale
        UTC of TDC times.
    path : LightPath
        Predicted, with the errors that tracking has found.
    usable_ps : (m, 2) int64
        Locked TDC time above the data elevation.
    seen_ns : (int, int)
        UTC of the first and last of `beacon_ps`, ns.
    beacon_ps : (n,) int64
        Tags of the beacon about it, cable delay taken off; without a beacon, the ends of the blocks of tags.
    last_ps : int or None
        Tags behind this time are not looked at, whether they are there yet or not.
    """

    report: RunReport
    sealed: SealedFile
    scale: PpsTimescale
    path: LightPath
    usable_ps: Spans
    seen_ns: tuple[int, int]
    beacon_ps: IntArray
    last_ps: int | None = None

    def blocks(self) -> Iterator[TagBlock]:
        """Its tags once more."""
        return _until(self.sealed.blocks(require_end=not self.report.cut_short), self.last_ps)

    def release_beacon(self) -> IntArray:
        """Return `beacon_ps` and free them: only the clock fit needs them."""
        taken, self.beacon_ps = self.beacon_ps, self.beacon_ps[:0].copy()
        return taken


@dataclass(frozen=True)
class Scanned:
    """All runs that can be used, in the order of time.

    Attributes
    ----------
    runs : list of ScannedRun
    reports : RunReports
        Of the others as well.
    delay_ps : (7,) int64
        Known delay by channel.
    """

    folder: Path
    runs: list[ScannedRun]
    reports: RunReports
    delay_ps: IntArray

    @property
    def log_span_ns(self) -> tuple[int, int]:
        """UTC between which the satellite's beacon log is needed."""
        seen = [run.seen_ns for run in self.runs]
        return min(first for first, _ in seen) - MARGIN_NS, max(last for _, last in seen) + MARGIN_NS


def scan_session(folder: Path, manifest: Manifest, private_key: SealingKey, until_ns: int | None = None) -> Scanned:
    """Read the tags through once.

    Parameters
    ----------
    until_ns : int, optional
        UTC up to which they are looked at, by the start of each run.

    Raises
    ------
    StationError
        No run can be used: tags damaged or missing, no PPS pulses, no beacon, never locked.
    """
    paths, reports, runs = tags_paths(folder), RunReports(), []
    delay_ps = delays_of(manifest.station.detectors)
    for path in paths:
        report = RunReport(path.name)
        reports.runs.append(report)
        with reports.confine_faults(report):
            sealed = SealedFile(path, private_key, bytes.fromhex(manifest.session_id), manifest.station.frozen_digest)
            # a writer that was followed by another one has died; that of a whole session has not
            report.cut_short = not (has_end(path) or (manifest.closed and path == paths[-1]))
            runs.append(_scan(folder, manifest, sealed, report, delay_ps, until_ns))
    reports.require(len(runs), folder)
    return Scanned(folder, sorted(runs, key=lambda run: run.seen_ns), reports, delay_ps)


def delays_of(detectors: DetectorSettings) -> IntArray:
    """Known delays by channel, ps."""
    delay_ps = np.zeros(len(Channel) + 1, np.int64)
    for channel in Channel:
        delay_ps[channel] = round(detectors.delay_ns[channel.name] * 1e3)
    return delay_ps


def predicted(folder: Path, manifest: Manifest, first_ns: int, last_ns: int) -> LightPath:
    """Predicted path of the light over an interval of UTC plus a margin: an orbit as tracked, or a fixed delay."""
    if manifest.delay_s is not None:
        return FixedDelay(first_ns - 2 * MARGIN_NS, last_ns + 2 * MARGIN_NS, round(manifest.delay_s * 1e12))
    return _trajectory(folder, manifest, first_ns, last_ns)


def _trajectory(folder: Path, manifest: Manifest, first_ns: int, last_ns: int) -> Trajectory:
    if manifest.site is None:
        raise StationError('has an orbit and no site', where=folder)
    elements = load_elements(manifest.orbit_path(folder))
    if len(elements.satellites()) > 1:
        elements = elements.only(manifest.satellite)
    return Trajectory.predict(
        elements.nearest(manifest.culmination_ns, force=True),
        manifest.site,
        first_ns - 2 * MARGIN_NS,
        last_ns + 2 * MARGIN_NS,
        cross_track_m=manifest.cross_track_m,
        along_track_s=manifest.time_bias_s,
    )


def _until(blocks: Iterator[TagBlock], last_ps: int | None) -> Iterator[TagBlock]:
    """Tags up to a time; what lies behind is not read."""
    for block in blocks:
        number = len(block) if last_ps is None else int(np.searchsorted(block.time_ps, last_ps, side='right'))
        yield block if number == len(block) else TagBlock(block.time_ps[:number], block.channel[:number])
        if number < len(block):
            return


def _scan(
    folder: Path,
    manifest: Manifest,
    sealed: SealedFile,
    report: RunReport,
    delay_ps: IntArray,
    until_ns: int | None,
) -> ScannedRun:
    start_ns = sealed.start_ns()
    last_ps = None if until_ns is None else (until_ns - start_ns) * 1000
    pps_pulses, clock = [np.empty(0, np.int64)], Thinned()
    with_beacon = manifest.station.source.public_pulses is None
    for block in _until(sealed.blocks(require_end=not report.cut_short), last_ps):
        pps_pulses.append(block.of(Channel.PPS))
        clock.add(block.of(Channel.BEACON) if with_beacon else block.time_ps[[0, -1]] if len(block) else block.time_ps)
        report.tags += len(block)
    report.started = format_utc(start_ns)
    beacon_ps = clock.times_ps()
    if len(beacon_ps) == 0:
        raise StationError(f'holds no {"beacon " if with_beacon else ""}tags', where=sealed.path)
    detectors = manifest.station.detectors
    scale = fit_pps(np.concatenate(pps_pulses), int(delay_ps[Channel.PPS]), start_ns, detectors.pps_edge)
    path = predicted(folder, manifest, *_utc_of_ends(scale, beacon_ps))
    usable_ps = scale.tdc_ps(_usable(manifest, path).ravel()).reshape(-1, 2)
    beacon_ps -= delay_ps[Channel.BEACON] if with_beacon else 0
    if len(usable_ps):  # neither the log nor the clock of the rest is of any use
        around_ps = usable_ps[[0, -1], [0, 1]] + np.array([-_AROUND_PS, _AROUND_PS])
        first, end = np.searchsorted(beacon_ps, around_ps)
        beacon_ps = beacon_ps[first:end]
    if not len(usable_ps) or not len(beacon_ps):
        raise StationError('the satellite was never locked while its beacon was seen', where=sealed.path)
    return ScannedRun(report, sealed, scale, path, usable_ps, _utc_of_ends(scale, beacon_ps), beacon_ps, last_ps)


def _utc_of_ends(scale: PpsTimescale, tdc_ps: IntArray) -> tuple[int, int]:
    """UTC of the first and last of some TDC times, ns."""
    first, last = scale.first_utc_ns + scale.utc_ps(tdc_ps[[0, -1]]) // 1000
    return int(first), int(last)


def _usable(manifest: Manifest, path: LightPath) -> Spans:
    """Locked UTC, above the data elevation if there is an orbit, ns."""
    locked = spans([(s.start_ns, s.end_ns) for s in manifest.locked])
    if not isinstance(path, Trajectory):
        return locked
    t_ns = np.arange(path.start_ns, path.end_ns, _STEP_NS, dtype=np.int64)
    above = path.table(t_ns).el_rad >= np.radians(manifest.station.tracking.data_el_deg)
    return intersect(locked, where_true(t_ns, above))
