"""Synchronization: error of the recovered clock by kind of link and beacon, and of UTC by the state of the PPS.

Every case knows the true times, so the error that the fit tells of itself stands beside the true one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.bench.sync.links import (
    CULMINATION_NS,
    MARGIN_S,
    PS,
    SECONDS,
    LinkCase,
    arrival,
    clock_figures,
    in_session,
    paths,
    pps_pulses,
    start_of,
    tagged,
    transmitter_clock,
)
from qkd_gs.bench.sync.photons import PHOTON_LINKS, measure_photons
from qkd_gs.errors import StationError
from qkd_gs.timing.clocks.clock import recover_clock
from qkd_gs.timing.clocks.pps import fit_pps
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.pulse_times import PulseTimes

_DETECTED = 0.4  # of the beacon's pulses
_NOISE_CPS, _NOISE_SHARE = 200, 0.05  # of the tags on the beacon's input, whichever is less
_JITTER_PS = 450.0  # of a detected pulse: its length, detector, time tagger


@dataclass(frozen=True)
class _Case(LinkCase):
    """A link and its beacon."""

    beacon_hz: float = 1e4
    beacon_jitter_ns: float = 0.0


_LINKS = {
    'satellite pass, pulses jittered by 50 ns': _Case(beacon_jitter_ns=50.0, orbit=True),
    'satellite pass, regular': _Case(orbit=True),
    'bench, constant delay, jittered': _Case(beacon_jitter_ns=50.0),
    'bench, constant delay, regular': _Case(),
    'bench, jittered, delay wrong by 1 ms': _Case(beacon_jitter_ns=50.0, delay_error_us=1000.0),
    'bench, regular, delay wrong by 20 us': _Case(delay_error_us=20.0),
    'bench, regular, delay wrong by 40 us': _Case(delay_error_us=40.0),
    'fibre, delay drifts by 1 ns a second': _Case(drift_ns_s=1.0),
    'fibre, delay swings by 5 ns in 20 s': _Case(swing_ns=5.0),
    'bench, 100 Hz': _Case(beacon_hz=100.0),
    'bench, 1 kHz': _Case(beacon_hz=1e3),
    'bench, 100 kHz': _Case(beacon_hz=1e5),
    'bench, 100 kHz, transmitter 0.2 ppm off': _Case(beacon_hz=1e5, clock_rate=2e-7),
    'bench, 1 MHz': _Case(beacon_hz=1e6),
}


def run() -> dict[str, Any]:
    """Figures of every link and of every state of the PPS; a case that is refused has the reason."""
    return {
        'links': {name: _told(_link, case) for name, case in _LINKS.items()},
        'without_beacon': {name: _told(measure_photons, case) for name, case in PHOTON_LINKS.items()},
        'pps': _pps_cases(),
    }


def _told(measure: Any, *arguments: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = measure(*arguments)
    except StationError as error:
        found = {'refused': error.what}
    return found


def _link(case: _Case) -> dict[str, Any]:
    rng = np.random.default_rng(20240801)
    start_ns = start_of()
    predicted, truth = paths(case, start_ns)
    period = PulsePeriod(case.beacon_hz)
    first, last = -MARGIN_S * case.beacon_hz, (SECONDS + MARGIN_S) * case.beacon_hz
    grid_ps = period.time_ps(np.arange(int(first), int(last)))
    grid_ps += (start_ns - truth.epoch_ns) * 1000  # the clock of the transmitter begins at the epoch of the path
    log_ps = grid_ps + np.rint(rng.standard_normal(len(grid_ps)) * case.beacon_jitter_ns * 1e3).astype(np.int64)
    sent = transmitter_clock(case, (start_ns - truth.epoch_ns) * 1000)
    arrival_ps = arrival(case, truth, sent.when(log_ps - sent.start_ps)) - (start_ns - truth.epoch_ns) * 1000
    seen = (rng.random(len(arrival_ps)) < _DETECTED) & (arrival_ps > 0) & (arrival_ps < SECONDS * PS)
    tag_ps = arrival_ps[seen] + np.rint(rng.standard_normal(int(seen.sum())) * _JITTER_PS).astype(np.int64)
    noise_cps = min(_NOISE_CPS, _NOISE_SHARE * case.beacon_hz)
    noise_ps = rng.integers(0, SECONDS * PS, round(noise_cps * SECONDS))
    tag_ps = tagged(np.sort(np.concatenate([tag_ps, noise_ps])))
    scale = fit_pps(pps_pulses(rng), 0, start_ns)
    from_scale_ps = (scale.first_utc_ns - predicted.epoch_ns) * 1000
    clock = recover_clock(
        tag_ps, scale, lambda utc_ps: predicted.emission_ps(utc_ps + from_scale_ps), PulseTimes.of(np.sort(log_ps))
    )
    sample = np.flatnonzero(seen & in_session(arrival_ps))[:: max(int(case.beacon_hz / 100), 1)]
    return clock_figures(clock, len(tag_ps), arrival_ps[sample], log_ps[sample])


def _pps_cases() -> dict[str, Any]:
    rng = np.random.default_rng(20240802)
    clean = pps_pulses(rng)
    lost = rng.random(len(clean)) < 0.3
    stray = rng.integers(0, SECONDS * PS, 20)
    late = clean.copy()
    late[rng.choice(len(clean), 6, replace=False)] += 4_000_000
    step = clean + np.where(np.arange(len(clean)) > len(clean) * 3 // 4, 200_000_000, 0)
    cases = {
        'clean, 15 ns of jitter': (clean, 0.0),
        'started 0.39 s from what is told': (clean, 0.39),
        '30 % lost': (clean[~lost], 0.0),
        'every pulse doubled 80 ns later': (np.sort(np.concatenate([clean, clean + 80_000])), 0.0),
        'both edges of pulses of 100 ms': (np.sort(np.concatenate([clean, clean + PS // 10])), 0.0),
        '20 stray pulses': (np.sort(np.concatenate([clean, stray])), 0.0),
        '6 pulses late by 4 us': (np.sort(late), 0.0),
        'step of 200 us after three quarters': (step, 0.0),
        'noise only': (np.sort(rng.integers(0, SECONDS * PS, SECONDS)), 0.0),
    }
    return {name: _told(_pps, tags, off_s) for name, (tags, off_s) in cases.items()}


def _pps(tags_ps: IntArray, off_s: float) -> dict[str, Any]:
    scale = fit_pps(tags_ps, 0, CULMINATION_NS + round(off_s * 1e9))
    at_ps = np.arange(0, SECONDS * PS, PS // 10)
    true_ps = at_ps - (scale.first_utc_ns - CULMINATION_NS) * 1000
    error_ns: AnyFloatArray = (scale.utc_ps(tagged(at_ps)) - true_ps) * 1e-3
    return {
        'used': scale.pulses,
        'left_out': scale.rejected,
        'rms_ns': scale.rms_ps * 1e-3,
        'largest_error_of_utc_ns': float(np.abs(error_ns).max()),
    }
