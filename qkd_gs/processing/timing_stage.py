"""From the tags of all runs to numbered clicks: satellite clock and gate of each run, one series of pulses of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.processing.light_path import LightPath
from qkd_gs.processing.tag_runs import Scanned, ScannedRun, predicted
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.sifting.random_bits import RandomBits
from qkd_gs.qkd.sifting.squashing import squash
from qkd_gs.qkd.sifting.states import BeaconLog, PublicLog
from qkd_gs.session.manifest import Manifest
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.station import SourceSettings, StationSettings
from qkd_gs.timing.clicks import ClickFilter, ClickStatistics
from qkd_gs.timing.clocks.clock import ClockFit, recover_clock
from qkd_gs.timing.clocks.photon_clock import PublicTrain, recover_clock_without_beacon
from qkd_gs.timing.clocks.pps import PpsTimescale
from qkd_gs.timing.gate import Gate, GatedEvents, find_gate, gate_events
from qkd_gs.timing.profile import SlotProfile, fold_clicks
from qkd_gs.timing.public_pulses import is_public
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.spans import intersect, spans
from qkd_gs.timing.tags import QUANTUM

_EPOCHS_NS = 86_400 * 10**9

PulseSpans = tuple[tuple[int, int], ...]
SatelliteLog = BeaconLog | PublicLog


@dataclass(frozen=True)
class NumberedRun:
    """Clock and gate of a run.

    Attributes
    ----------
    slots : Slots
        Its clock and the spans in which clicks count.
    profile : SlotProfile
        Places of its clicks in the slot.
    pulse_spans : tuple of (first, last)
        Pulses of the satellite that could have been counted in it.
    """

    scanned: ScannedRun
    clock: ClockFit
    slots: Slots
    profile: SlotProfile
    gate: Gate
    pulse_spans: PulseSpans

    @property
    def scale(self) -> PpsTimescale:
        """Names UTC."""
        return self.scanned.scale


@dataclass(frozen=True)
class Timed:
    """Result of timing: detections, clocks and statistics of a session.

    Attributes
    ----------
    detections : DetectionLog
        Of the locked time above the data elevation, of all runs; raw key inside.
    admitted : (4,) int64
        Clicks that went into them, by detector H, V, D, A.
    double_clicks, cross_clicks : int
        Pulses with clicks in both detectors of one basis alone, and in both bases.
    runs : list of NumberedRun
        Those that went into it, in the order of time.
    pulse_spans : tuple of (first, last)
        Pulses of the satellite that could have been counted.
    clicks : ClickStatistics
        Of the locked time, those outside the gate included.
    held_clicks : int
        Clicks inside the gate that the hold-off left out.
    utc_ns : callable
        Pulse numbers to UTC of arrival, ns, good to some microseconds; for figures against time.
    pulse_at_utc : callable
        Its inverse; times far before or behind the tags are brought to their ends.
    """

    detections: DetectionLog
    admitted: IntArray
    double_clicks: int
    cross_clicks: int
    runs: list[NumberedRun]
    pulse_spans: PulseSpans
    clicks: ClickStatistics
    held_clicks: int
    utc_ns: Callable[[IntArray], IntArray]
    pulse_at_utc: Callable[[IntArray], IntArray]


def number_clicks(
    manifest: Manifest,
    scanned: Scanned,
    log: SatelliteLog,
    tie_breaker: RandomBits,
    spool: Spool,
    progress: Callable[[str], None],
    offsets_ps: Mapping[str, int] = MappingProxyType({}),
) -> Timed:
    """Recover the satellite's clock from its log, find the gate, and number the clicks, run by run.

    Parameters
    ----------
    tie_breaker : callable
        Source of the bits for pulses with several clicks.
    offsets_ps : mapping
        Offset of the gate of a run, by the name of its file, that its light has told before: the gate stays there.

    Raises
    ------
    StationError
        Of no run: the log does not fit the tags, a detector is dark, never locked while the clock is known.
    """
    reports, runs = scanned.reports, list[NumberedRun]()
    for run in scanned.runs:
        with reports.confine_faults(run.report):
            numbered = _numbered(manifest.station, scanned, run, log, progress, offsets_ps.get(run.report.file))
            if runs and numbered.pulse_spans[0][0] <= runs[-1].pulse_spans[-1][1]:
                raise StationError(
                    f'covers the same time as {runs[-1].scanned.report.file}: a pulse counts once',
                    where=run.sealed.path,
                )
            runs.append(numbered)
    reports.require(len(runs), scanned.folder)
    progress('numbering the clicks')
    taken = _taken(manifest.station, scanned, runs, tie_breaker, spool)
    kept = [part.run for part in taken]
    utc_ns, pulse_at_utc = naming(scanned.folder, manifest, kept, log)
    return Timed(
        detections=DetectionLog.joined([part.detections for part in taken]),
        admitted=np.sum([part.admitted for part in taken], axis=0),
        double_clicks=sum(part.double_clicks for part in taken),
        cross_clicks=sum(part.cross_clicks for part in taken),
        runs=kept,
        pulse_spans=tuple(span for run in kept for span in run.pulse_spans),
        clicks=ClickStatistics.of_all([part.clicks.statistics() for part in taken]),
        held_clicks=sum(part.clicks.held for part in taken),
        utc_ns=utc_ns,
        pulse_at_utc=pulse_at_utc,
    )


def _numbered(
    station: StationSettings,
    scanned: Scanned,
    run: ScannedRun,
    log: SatelliteLog,
    progress: Callable[[str], None],
    offset_ps: int | None,
) -> NumberedRun:
    progress("recovering the satellite's clock")
    clock = _clock(station.source, scanned.delay_ps, run, log)
    progress('finding the gate')
    used_ps = intersect(run.usable_ps, spans(clock.spans_ps))
    period = PulsePeriod(station.source.pulse_rate_hz)
    edges = period.before(clock.to_satellite(used_ps.ravel())).reshape(-1, 2).tolist()
    pulse_spans = tuple((first + 1, last - 1) for first, last in edges)
    if not pulse_spans:
        raise StationError('the satellite was never locked while its clock was known', where=run.sealed.path)
    slots = Slots(clock.to_satellite, scanned.delay_ps, used_ps, period)
    tolerance_ps = round(station.detectors.delay_tolerance_ns * 1e3)
    width_ps = round(station.key.gate_ns * 1e3)
    profile = fold_clicks(run.blocks(), slots, width_ps)
    gate = find_gate(profile, tolerance_ps, width_ps, offset_ps)
    return NumberedRun(run, clock, slots, profile, gate, pulse_spans)


def _clock(source: SourceSettings, delay_ps: IntArray, run: ScannedRun, log: SatelliteLog) -> ClockFit:
    """The satellite's clock from the beacon's tags, or from the clicks of the public pulses."""
    path, scale = run.path, run.scale
    from_scale_ps = (scale.first_utc_ns - path.epoch_ns) * 1000
    to_log_ps = _to_log_ps(path, log)

    def emission_ps(utc_ps: IntArray) -> IntArray:
        return path.emission_ps(utc_ps + from_scale_ps) + to_log_ps

    if isinstance(log, BeaconLog):
        return recover_clock(run.release_beacon(), scale, emission_ps, log.time_ps, source.timing)
    ends_ps = run.release_beacon()[[0, -1]].tolist()
    train = public_train(source, log)
    return recover_clock_without_beacon(run.blocks(), delay_ps, (ends_ps[0], ends_ps[1]), scale, emission_ps, train)


def public_train(source: SourceSettings, log: PublicLog) -> PublicTrain:
    """The public pulses of a source whose disclosed ones are known."""
    assert source.public_pulses is not None
    light = np.array([source.mu_signal, source.mu_decoy, source.mu_vacuum])
    mean = float(light @ [source.p_signal, source.p_decoy, source.p_vacuum])
    period = PulsePeriod(source.pulse_rate_hz)
    return PublicTrain(source.public_pulses, source.timing, period, light / mean, log.starts, log.intensity)


@dataclass
class _Taken:
    """Detections and statistics of a run."""

    run: NumberedRun
    clicks: ClickFilter
    detections: DetectionLog
    public: PublicPulses | None
    admitted: IntArray = field(default_factory=lambda: np.zeros(len(QUANTUM), np.int64))
    double_clicks: int = 0
    cross_clicks: int = 0

    def take(self, events: GatedEvents, tie_breaker: RandomBits) -> None:
        if self.public:
            private = ~is_public(self.public, events.pulse)
            events = GatedEvents(events.pulse[private], events.channel[private])
        squashed = squash(events.pulse, events.channel, tie_breaker)
        self.detections.add(squashed.detections)
        self.double_clicks += squashed.double_clicks
        self.cross_clicks += squashed.cross_clicks
        self.admitted += [np.count_nonzero(events.channel == channel) for channel in QUANTUM]


def _taken(
    station: StationSettings,
    scanned: Scanned,
    runs: list[NumberedRun],
    tie_breaker: RandomBits,
    spool: Spool,
) -> list[_Taken]:
    """Go through the tags of the runs; one that turns out to be damaged is left out."""
    hold, dead = _hold_off_slots(station, runs[0].slots.period)
    first, last = runs[0].pulse_spans[0][0], runs[-1].pulse_spans[-1][1]
    taken = []
    for run in runs:
        clicks = ClickFilter(first, last, round(station.source.pulse_rate_hz), dead, hold)  # new: the gap was not seen
        part = _Taken(run, clicks, DetectionLog(run.pulse_spans, spool), station.source.public_pulses)
        with scanned.reports.confine_faults(run.scanned.report):
            for events in gate_events(run.scanned.blocks(), run.slots, run.gate, clicks):
                part.take(events, tie_breaker)
            taken.append(part)
    scanned.reports.require(len(taken), scanned.folder)
    return taken


def _to_log_ps(path: LightPath, log: SatelliteLog) -> int:
    """From the path's own time to the clock of the satellite's log, ps."""
    if abs(log.epoch_utc_ns - path.epoch_ns) > _EPOCHS_NS:
        raise StationError("the clock of the satellite's log does not start in the day of the pass", where='beacon log')
    return (path.epoch_ns - log.epoch_utc_ns) * 1000


def naming(
    folder: Path, manifest: Manifest, runs: Sequence[NumberedRun], log: SatelliteLog
) -> tuple[Callable[[IntArray], IntArray], Callable[[IntArray], IntArray]]:
    """`Timed.utc_ns` and `Timed.pulse_at_utc` of runs in the order of time."""
    path, period = (
        predicted(folder, manifest, runs[0].scanned.seen_ns[0], runs[-1].scanned.seen_ns[1]),
        runs[0].slots.period,
    )
    to_log_ps = _to_log_ps(path, log)

    def utc_ns(pulse: IntArray) -> IntArray:
        arrival_ps = path.arrival_ps(period.time_ps(pulse) - to_log_ps)
        return path.epoch_ns + arrival_ps // 1000

    def pulse_at_utc(t_ns: IntArray) -> IntArray:
        within_ns = np.clip(t_ns, path.start_ns, path.end_ns)  # there are no tags outside
        return period.before(path.emission_ps((within_ns - path.epoch_ns) * 1000) + to_log_ps)

    return utc_ns, pulse_at_utc


def _hold_off_slots(station: StationSettings, period: PulsePeriod) -> tuple[int, int]:
    """Hold-off by the rule of the station, and dead time, in slots."""
    hold_off, dead = (
        period.pulses_in(round(time_ns * 1e3)) for time_ns in (station.key.hold_off_ns, station.detectors.dead_time_ns)
    )
    return hold_off, dead
