"""From the sealed tags of a session to numbered clicks: seconds, satellite clock, gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.processing.spans import Spans, intersect, spans, where_true
from qkd_gs.qkd.states import BeaconLog
from qkd_gs.session.manifest import Manifest
from qkd_gs.settings.station import StationSettings
from qkd_gs.timing.clicks import ClickStatistics, ClickWatch, HoldOff
from qkd_gs.timing.clock import ClockFit, recover_clock
from qkd_gs.timing.gate import Gate, GatedEvents, Slots, find_gate, gate_events, joined
from qkd_gs.timing.sealed import SealedFile
from qkd_gs.timing.seconds import SecondScale, name_seconds
from qkd_gs.timing.tags import Channel
from qkd_gs.timing.thinned import Thinned

_STEP_NS = 100_000_000
_MARGIN_NS = 2_000_000_000
_EPOCHS_NS = 86_400 * 10**9
_PULSES_PS = 1e12
_AROUND_PS = 2 * 10**12  # the clock's curve is best a little inside its ends


@dataclass(frozen=True)
class Timed:
    """What timing makes of a session.

    Attributes
    ----------
    events : GatedEvents
        Numbered clicks of the locked time above the data elevation; raw key inside.
    pulse_spans : tuple of (first, last)
        Pulses of the satellite that could have been counted.
    tags : int
        Tags in the file.
    clicks : ClickStatistics
        Of the locked time, those outside the gate included.
    held_clicks : int
        Clicks inside the gate that the hold-off left out.
    utc_ns : callable
        Pulse numbers to UTC of arrival, ns, good to some microseconds; for figures against time.
    pulse_at_utc : callable
        Its inverse; times far before or behind the tags are brought to their ends.
    """

    events: GatedEvents
    pulse_spans: tuple[tuple[int, int], ...]
    clock: ClockFit
    gate: Gate
    scale: SecondScale
    tags: int
    clicks: ClickStatistics
    held_clicks: int
    utc_ns: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    pulse_at_utc: Callable[[NDArray[np.int64]], NDArray[np.int64]]


@dataclass(frozen=True)
class Scanned:
    """What the tags say by themselves, before the satellite is asked for anything.

    Attributes
    ----------
    sealed : SealedFile
    tags : int
        Tags in the file.
    scale : SecondScale
        Names UTC.
    path : Trajectory
        Predicted, with the errors that tracking has found.
    usable_ps : (m, 2) int64
        Locked converter time above the data elevation.
    beacon_ps : (n,) int64
        Beacon tags about it, cable delay taken off.
    delay_ps : (7,) int64
        Known delay by channel.
    """

    sealed: SealedFile
    tags: int
    scale: SecondScale
    path: Trajectory
    usable_ps: Spans
    beacon_ps: NDArray[np.int64]
    delay_ps: NDArray[np.int64]

    @property
    def log_span_ns(self) -> tuple[int, int]:
        """UTC between which the satellite's beacon log is needed."""
        first, last = self.scale.first_utc_ns + self.scale.utc_ps(self.beacon_ps[[0, -1]]) // 1000
        return int(first) - _MARGIN_NS, int(last) + _MARGIN_NS


def scan_session(folder: Path, manifest: Manifest, sealed: SealedFile) -> Scanned:
    """Read the tags through once.

    Raises
    ------
    StationError
        Tags damaged or missing, no second marks, no beacon, never locked.
    """
    marks_ps, beacon_ps, tags = _scan(sealed, manifest.closed)
    delay_ps = np.zeros(len(Channel) + 1, np.int64)
    for channel in Channel:
        delay_ps[channel] = round(manifest.station.detectors.delay_ns[channel.name] * 1e3)
    scale = name_seconds(marks_ps, int(delay_ps[Channel.PPS]), manifest.tdc_start_ns)
    first_ns, last_ns = (scale.first_utc_ns + int(t) // 1000 for t in scale.utc_ps(beacon_ps[[0, -1]]))
    path = _predicted(folder, manifest, first_ns, last_ns)
    usable_ps = scale.tdc_ps(_usable(manifest, path).ravel()).reshape(-1, 2)
    beacon_ps = beacon_ps - delay_ps[Channel.BEACON]
    if len(usable_ps):  # neither the log nor the clock of the rest is of any use
        around_ps = usable_ps[[0, -1], [0, 1]] + np.array([-_AROUND_PS, _AROUND_PS])
        first, end = np.searchsorted(beacon_ps, around_ps)
        beacon_ps = beacon_ps[first:end]
    if not len(usable_ps) or not len(beacon_ps):
        raise StationError('the satellite was never locked while its beacon was seen', where=folder)
    return Scanned(sealed, tags, scale, path, usable_ps, beacon_ps, delay_ps)


def number_clicks(manifest: Manifest, scanned: Scanned, log: BeaconLog, progress: Callable[[str], None]) -> Timed:
    """Recover the satellite's clock from its log, find the gate, and number the clicks.

    Raises
    ------
    StationError
        The log does not fit the tags, a detector is dark, never locked while the clock is known.
    """
    progress("recovering the satellite's clock")
    path, scale, closed = scanned.path, scanned.scale, manifest.closed
    from_scale_ps = (scale.first_utc_ns - path.epoch_ns) * 1000
    if abs(log.epoch_utc_ns - path.epoch_ns) > _EPOCHS_NS:
        raise StationError("the clock of the satellite's log does not start in the day of the pass", where='beacon log')
    to_log_ps = (path.epoch_ns - log.epoch_utc_ns) * 1000
    clock = recover_clock(
        scanned.beacon_ps, scale, lambda utc_ps: path.emission_ps(utc_ps + from_scale_ps) + to_log_ps, log.time_ps
    )
    progress('finding the gate')
    used_ps = intersect(scanned.usable_ps, spans(clock.spans_ps))
    if not len(used_ps):
        raise StationError('the satellite was never locked while its clock was known', where=scanned.sealed.path)
    station = manifest.station
    period_ps = round(_PULSES_PS / station.source.pulse_rate_hz)
    slots = Slots(clock.to_satellite, scanned.delay_ps, used_ps, period_ps)
    tolerance_ps = round(station.detectors.delay_tolerance_ns * 1e3)
    gate = find_gate(scanned.sealed.blocks(closed), slots, tolerance_ps, round(station.key.gate_ns * 1e3))
    edges = clock.to_satellite(used_ps.ravel()).reshape(-1, 2)
    pulse_spans = tuple((int(a) // period_ps + 1, int(b) // period_ps - 1) for a, b in edges)
    hold_off, watch = _watching(station, period_ps, pulse_spans)
    events = joined(gate_events(scanned.sealed.blocks(closed), slots, gate, hold_off, watch), scanned.tags)

    def utc_ns(pulse: NDArray[np.int64]) -> NDArray[np.int64]:
        arrival_ps = path.arrival_ps(pulse * period_ps - to_log_ps)
        return path.epoch_ns + arrival_ps // 1000

    def pulse_at_utc(t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        within_ns = np.clip(t_ns, path.start_ns, path.end_ns)  # there are no tags outside
        return (path.emission_ps((within_ns - path.epoch_ns) * 1000) + to_log_ps) // period_ps

    statistics, held = watch.statistics(), hold_off.held
    return Timed(events, pulse_spans, clock, gate, scale, scanned.tags, statistics, held, utc_ns, pulse_at_utc)


def _watching(
    station: StationSettings, period_ps: int, pulse_spans: tuple[tuple[int, int], ...]
) -> tuple[HoldOff, ClickWatch]:
    """Hold-off by the rule of the station, and the watch over all clicks."""
    if station.key.hold_off_ns < station.detectors.dead_time_ns:
        raise StationError(
            f'{station.key.hold_off_ns:g} ns is shorter than the dead time of {station.detectors.dead_time_ns:g} ns',
            where='key.hold_off_ns',
            hint='it must outlast dead time and afterpulses, or bits next to each other are correlated',
        )
    hold_off, dead = (
        -(-round(time_ns * 1e3) // period_ps) for time_ns in (station.key.hold_off_ns, station.detectors.dead_time_ns)
    )
    first, last = pulse_spans[0][0], pulse_spans[-1][1]
    return HoldOff(hold_off), ClickWatch(first, last, round(station.source.pulse_rate_hz), dead, hold_off)


def _scan(sealed: SealedFile, closed: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Second marks, beacon tags (thinned evenly where there are very many), and the number of all tags."""
    marks, tags, beacons = [], 0, Thinned()
    for block in sealed.blocks(closed):
        marks.append(block.of(Channel.PPS))
        beacons.add(block.of(Channel.BEACON))
        tags += len(block)
    beacon_ps = beacons.times_ps()
    if len(beacon_ps) == 0:
        raise StationError('holds no beacon tags', where=sealed.path)
    return np.concatenate(marks), beacon_ps, tags


def _predicted(folder: Path, manifest: Manifest, first_ns: int, last_ns: int) -> Trajectory:
    elements = load_elements(folder / manifest.elements_file)
    if len(elements.satellites()) > 1:
        elements = elements.only(manifest.satellite)
    return Trajectory.predict(
        elements.nearest(manifest.culmination_ns, force=True),
        manifest.site,
        first_ns - 2 * _MARGIN_NS,
        last_ns + 2 * _MARGIN_NS,
        cross_track_m=manifest.cross_track_m,
        along_track_s=manifest.time_bias_s,
    )


def _usable(manifest: Manifest, path: Trajectory) -> Spans:
    """Locked UTC above the data elevation, ns."""
    t_ns = np.arange(path.start_ns, path.end_ns, _STEP_NS, dtype=np.int64)
    above = path.table(t_ns).el_rad >= np.radians(manifest.station.tracking.data_el_deg)
    return intersect(spans([(s.start_ns, s.end_ns) for s in manifest.locked]), where_true(t_ns, above))
