"""A pass that is sifted and corrected in parts, while its light is still to come, or afterwards as it was begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qkd_gs.arrays import BoolArray
from qkd_gs.errors import StationError
from qkd_gs.keys.store import KeyStore
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.processing.agreement import tie_breaker_of
from qkd_gs.processing.click_checks import click_figures, examination, receiver_of
from qkd_gs.processing.parts_plan import BEHIND_NS, LAST_BEHIND_NS, Part, PartsPlan, load_plan, part_of
from qkd_gs.processing.session_run import RunResult, SessionRun, report_unused
from qkd_gs.processing.tag_runs import RunReports, predicted, scan_session
from qkd_gs.processing.timing_stage import NumberedRun, Timed, naming
from qkd_gs.qkd.finite_key.counts import MOST_PARTS
from qkd_gs.qkd.protocol.session_record import name_of_part
from qkd_gs.qkd.sifting.states import BeaconLog
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.session.manifest import Manifest, load_manifest
from qkd_gs.timing.clicks import ClickStatistics

_LOG_NS = 4_000_000_000  # of the log before a part, and behind one that others follow
_LAST_LOG_NS = 2 * LAST_BEHIND_NS  # of the log behind the last part: it is waited for
_STEP_NS = 1_000_000_000
_MATCHING = 0.5  # of the detections, those in the basis of their pulse


class Recording(Protocol):
    """A pass that is being recorded.

    Attributes
    ----------
    start_ns : int
        UTC from which on its light is used.
    ends_ns : sequence of int
        UTC up to which each part reaches, at most `MOST_PARTS`; the last one is the end of the light that is used.
    """

    start_ns: int
    ends_ns: Sequence[int]

    def wait(self, until_ns: int, behind_ns: int) -> None:
        """Return once everything up to this UTC is recorded, and tags for so long behind it.

        Raises
        ------
        StationError
            The recording has ended before.
        """


@dataclass
class Recorded:
    """A pass that is over; attributes as of `Recording`."""

    start_ns: int
    ends_ns: Sequence[int]

    def wait(self, until_ns: int, behind_ns: int) -> None:
        """All is recorded."""


def check_parts(terms: Terms) -> None:
    """Refuse a pass that has to be processed as a whole.

    Raises
    ------
    StationError
        With the reason.
    """
    if terms.one_way or terms.public_pulses or terms.keep != 'never':
        raise StationError(
            'is made with interactive reconciliation, of a source with a beacon, and of bits that are not kept for'
            ' other passes',
            where='a key in parts',
        )


def as_begun(folder: Path, manifest: Manifest, store: KeyStore) -> Recorded | None:
    """The parts in which a session was announced, and one for the rest; None if it was not announced in parts."""
    plan = load_plan(folder) if store.has_announced(manifest.session_id) else None
    if plan is None:
        return None
    names = [name_of_part(manifest.session_id, number + 1) for number in range(len(plan.parts))]
    ends_ns = [part.until_ns for part, name in zip(plan.parts, names, strict=True) if store.has_announced(name)]
    last_ns = max(span.end_ns for span in manifest.locked)
    rest = [last_ns] if len(ends_ns) < MOST_PARTS and last_ns > ends_ns[-1] else []
    return Recorded(plan.parts[0].log_ns[0] + _LOG_NS, ends_ns + rest)


def make_key_in_parts(run: SessionRun, recording: Recording) -> RunResult:
    """Make the key of a pass part after part; behind the last one all are hashed into one key.

    Parts of an earlier run are announced again as they were.

    Raises
    ------
    StationError
        A part allows no key, or the recording has ended before.
    ProtocolError
        As of `GroundSession.add_part`.
    """
    parts = _Parts(run, recording)
    for number in range(len(recording.ends_ns) - 1):
        parts.add(number)
    return parts.finish(len(recording.ends_ns) - 1)


@dataclass(frozen=True)
class _Ready:
    """A part whose clicks are numbered, and what was looked at in all parts so far."""

    timed: Timed
    whole: Timed
    reports: RunReports
    watched: dict[str, Any]


class _Parts:
    def __init__(self, run: SessionRun, recording: Recording) -> None:
        self._run, self._recording = run, recording
        self._begun = load_plan(run.folder)
        self._plan = PartsPlan(expected=1, parts=[])
        self._tie_breaker = tie_breaker_of(run.manifest, run.tape)
        self._timed: list[Timed] = []
        self._offsets_ps: dict[str, int] = {}

    def add(self, number: int) -> None:
        """Announce a part behind which others follow, and correct its bits."""
        ready = self._ready(number)
        self._run.session.add_part(
            ready.timed.detections,
            ready.timed.pulse_spans,
            [self._run.window(ready.timed)],
            examination(self._run.manifest, ready.whole),
            self._plan.expected,
        )

    def finish(self, number: int) -> RunResult:
        """Announce the last part, and make the key."""
        ready = self._ready(number)
        made = self._run.session.make_key(
            ready.timed.detections,
            ready.timed.pulse_spans,
            [self._run.window(ready.timed)],
            examination(self._run.manifest, ready.whole),
            receiver_of(self._run.manifest, ready.whole),
            self._plan.expected,
            few_trips=bool(self._plan.few_trips),
        )
        report_unused(ready.reports)
        return RunResult(ready.whole, ready.reports, made, ready.watched)

    def _ready(self, number: int) -> _Ready:
        """Number the clicks of a part, and look at all parts so far, before a word is said about it."""
        run = self._run
        part, log = self._logged(number)
        manifest = part.of(run.manifest)
        run.progress('reading the sealed tags', 0.0)
        scanned = scan_session(run.folder, manifest, run.private_key, part.read_until_ns)
        timed = run.numbered(manifest, scanned, log, self._tie_breaker, self._offsets_ps)
        self._offsets_ps |= {one.scanned.report.file: one.gate.offset_ps for one in timed.runs}
        self._timed.append(timed)
        whole = _joined(run.folder, manifest, self._timed, log)
        run.progress('looking for anomalies', 0.0)
        watched = click_figures(run.manifest, whole)
        self._keep(part, timed, self._is_last(number))
        return _Ready(timed, whole, scanned.reports, watched)

    def _logged(self, number: int) -> tuple[Part, BeaconLog]:
        """The satellite's log of a part, which it sends while that is under way, and the part as it is known then."""
        run, recording = self._run, self._recording
        before_ns, until_ns = recording.ends_ns[number - 1] if number else None, recording.ends_ns[number]
        begun = self._begun.parts[number] if self._begun and number < len(self._begun.parts) else None
        if begun and begun.until_ns != until_ns:
            begun = None  # it was planned, but never announced
        last = self._is_last(number)
        behind_ns, log_behind_ns = (LAST_BEHIND_NS, _LAST_LOG_NS) if last else (BEHIND_NS, _LOG_NS)
        log_ns = begun.log_ns if begun else ((before_ns or recording.start_ns) - _LOG_NS, until_ns + log_behind_ns)
        log = run.session.request_beacon_log(*log_ns, run.manifest.station.source.beacon_rate_hz)
        if begun:
            return begun, log
        recording.wait(until_ns, behind_ns)
        part = part_of(load_manifest(run.folder), before_ns, until_ns, behind_ns, log_ns)
        if not part.locked:
            raise StationError(f'the satellite was not locked in part {number + 1} of the pass', where=run.folder)
        return part, log

    def _is_last(self, number: int) -> bool:
        return number == len(self._recording.ends_ns) - 1

    def _keep(self, part: Part, timed: Timed, last: bool) -> None:
        """Keep on the disk what is about to be announced."""
        begun, expected, parts = self._begun, self._plan.expected, [*self._plan.parts, part]
        if not self._plan.parts:
            share = _share_of_first(self._run, self._recording)
            expected = begun.expected if begun else max(round(len(timed.detections) * _MATCHING / share), 1)
        same = begun if begun is not None and parts == begun.parts[: len(parts)] else None
        few_trips = same.few_trips if same else None
        if last and few_trips is None:  # a repeated run asks for the same parities, however slow its link is
            few_trips = self._run.session.slow_link
        self._plan = PartsPlan(expected=expected, parts=parts, few_trips=few_trips)
        if same is None or few_trips != same.few_trips:
            self._plan.save(self._run.folder)


def _share_of_first(run: SessionRun, recording: Recording) -> float:
    """Share of the first part in the light of the pass, as the distance of the satellite tells beforehand."""
    start_ns, first_ns, end_ns = recording.start_ns, recording.ends_ns[0], recording.ends_ns[-1]
    t_ns = np.arange(start_ns, end_ns, _STEP_NS, dtype=np.int64)
    path = predicted(run.folder, run.manifest, start_ns, end_ns)
    light = np.ones(len(t_ns)) if not isinstance(path, Trajectory) else path.table(t_ns).range_m ** -2.0
    return float(light[t_ns < first_ns].sum() / light.sum())


def _joined(folder: Path, manifest: Manifest, parts: list[Timed], log: BeaconLog) -> Timed:
    """Timing of all parts together; the detections are those of the last one."""
    runs = [run for part in parts for run in part.runs]
    utc_ns, pulse_at_utc = naming(folder, manifest, runs, log)
    return Timed(
        detections=parts[-1].detections,
        admitted=np.sum([part.admitted for part in parts], axis=0),
        double_clicks=sum(part.double_clicks for part in parts),
        cross_clicks=sum(part.cross_clicks for part in parts),
        runs=[_one_run(list(group)) for _, group in groupby(runs, key=lambda run: run.scanned.report.file)],
        pulse_spans=tuple(span for part in parts for span in part.pulse_spans),
        clicks=ClickStatistics.one_behind_the_other([part.clicks for part in parts]),
        held_clicks=sum(part.held_clicks for part in parts),
        utc_ns=utc_ns,
        pulse_at_utc=pulse_at_utc,
    )


def _one_run(parts: list[NumberedRun]) -> NumberedRun:
    """Parts of one run of the TDC as one: they have one gate, so their profiles add up."""
    last, clocks = parts[-1], [part.clock for part in parts]
    worst = max(clocks, key=lambda clock: clock.sync_rms_ns)
    inside = [_seconds_of_its_own(part) for part in parts]
    clock = replace(
        last.clock,
        sync_rms_ns=worst.sync_rms_ns,
        residual_single_ns=worst.residual_single_ns,
        pulses=sum(one.pulses for one in clocks),
        outliers=sum(one.outliers for one in clocks),
        series_t_ps=np.concatenate([part.clock.series_t_ps[own] for part, own in zip(parts, inside, strict=True)]),
        series_rms_ns=np.concatenate([part.clock.series_rms_ns[own] for part, own in zip(parts, inside, strict=True)]),
    )
    counts = np.concatenate([part.profile.counts for part in parts])
    profile = replace(last.profile, counts=counts)
    spans = tuple(span for part in parts for span in part.pulse_spans)
    return replace(last, clock=clock, profile=profile, pulse_spans=spans)


def _seconds_of_its_own(part: NumberedRun) -> BoolArray:
    """Mask of the seconds of its clock that lie in the part; it is fitted to light of its neighbours, too."""
    first_ps, last_ps = part.slots.spans_ps[0, 0], part.slots.spans_ps[-1, 1]
    mask: BoolArray = (part.clock.series_t_ps >= first_ps) & (part.clock.series_t_ps <= last_ps)
    return mask
