"""Synchronization without a beacon: error of the clock that the clicks of the public pulses give, by link and light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.bench.sync.links import (
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
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.timing_model import TimingModel
from qkd_gs.timing.clocks.photon_clock import PublicTrain, recover_clock_without_beacon
from qkd_gs.timing.clocks.pps import fit_pps
from qkd_gs.timing.public_pulses import disclosed_in
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.tags import Channel, TagBlock

_MU, _P = np.array([0.8, 0.1, 0.0]), np.array([0.5, 0.25, 0.25])
_NOISE_CPS = 300
_BLOCK_S = 1e-3


@dataclass(frozen=True)
class PhotonCase(LinkCase):
    """A link, and the light that arrives."""

    pulse_rate_hz: float = 1e8
    clicks_s: float = 8000.0
    jitter_ps: float = 350.0
    disclosed: int = 128


PHOTON_LINKS = {
    'satellite pass, 8000 clicks/s': PhotonCase(orbit=True),
    'satellite pass, 1000 clicks/s': PhotonCase(orbit=True, clicks_s=1000.0, disclosed=32),
    'satellite pass, 625 MHz, 50,000 clicks/s': PhotonCase(
        orbit=True, pulse_rate_hz=6.25e8, clicks_s=50_000.0, jitter_ps=200.0
    ),
    'bench, constant delay, 8000 clicks/s': PhotonCase(),
    'bench, 500 clicks/s': PhotonCase(clicks_s=500.0, disclosed=16),
    'bench, 30,000 clicks/s': PhotonCase(clicks_s=3e4),
    'bench, 76 MHz, 8000 clicks/s': PhotonCase(pulse_rate_hz=7.6e7),
    'bench, 1 GHz, 8000 clicks/s': PhotonCase(pulse_rate_hz=1e9, jitter_ps=60.0),
    'bench, delay wrong by 100 us': PhotonCase(delay_error_us=100.0),
    'bench, delay wrong by 200 us': PhotonCase(delay_error_us=200.0),
    'bench, transmitter 2 ppm off': PhotonCase(clock_rate=2e-6),
    'fibre, delay drifts by 1 ns a second': PhotonCase(drift_ns_s=1.0),
    'fibre, delay swings by 5 ns in 20 s': PhotonCase(swing_ns=5.0),
    'bench, noise alone': PhotonCase(clicks_s=1.0),
}


def measure_photons(case: PhotonCase) -> dict[str, Any]:
    """Figures of a link."""
    rng = np.random.default_rng(20240803)
    start_ns = start_of()
    predicted, truth = paths(case, start_ns)
    period = PulsePeriod(case.pulse_rate_hz)
    since_ps = (start_ns - truth.epoch_ns) * 1000  # the transmitter's clock begins at the epoch of the path
    sent = transmitter_clock(case, since_ps)
    first, last = (period.before(np.array([since_ps + s * PS]))[0] for s in (-MARGIN_S, SECONDS + MARGIN_S))
    pulse = _clicked(case, int(first), int(last), rng)
    emitted_ps = period.time_ps(pulse)
    true_ps = arrival(case, truth, sent.when(emitted_ps - sent.start_ps)) - since_ps
    inside = (true_ps > 0) & (true_ps < SECONDS * PS)
    click_ps = true_ps[inside] + np.rint(rng.standard_normal(int(inside.sum())) * case.jitter_ps).astype(np.int64)
    click_ps = np.concatenate([click_ps, rng.integers(0, SECONDS * PS, _NOISE_CPS * SECONDS)])
    click_ps = np.sort(tagged(click_ps))
    tags = TagBlock(click_ps, rng.integers(Channel.H, Channel.A + 1, len(click_ps)).astype(np.uint8))
    scale = fit_pps(pps_pulses(rng), 0, start_ns)
    from_scale_ps = (scale.first_utc_ns - predicted.epoch_ns) * 1000
    rule = PublicPulses(block=round(_BLOCK_S * case.pulse_rate_hz), disclosed=case.disclosed)
    starts = disclosed_in(rule, int(first), int(last))
    intensity = np.array([_intensity(np.arange(start, start + rule.block)) for start in starts.tolist()])
    clock = recover_clock_without_beacon(
        [tags],
        np.zeros(len(Channel) + 1, np.int64),
        (0, SECONDS * PS),
        scale,
        lambda utc_ps: predicted.emission_ps(utc_ps + from_scale_ps),
        PublicTrain(rule, TimingModel(), period, _MU / float(_MU @ _P), starts, intensity),
    )
    sample = np.flatnonzero(in_session(true_ps))[:: len(pulse) // 5000]
    return clock_figures(clock, clock.pulses, true_ps[sample], emitted_ps[sample])


def _clicked(case: PhotonCase, first: int, last: int, rng: np.random.Generator) -> IntArray:
    """Pulses whose light clicks, ascending."""
    seconds = SECONDS + 2 * MARGIN_S
    drawn = np.unique(rng.integers(first, last, round(case.clicks_s * seconds * _MU[0] / float(_MU @ _P))))
    bright: IntArray = drawn[rng.random(len(drawn)) * _MU[0] < _MU[_intensity(drawn)]]
    return bright


def _intensity(pulse: IntArray) -> ByteArray:
    """Intensity of each pulse: a hash of its number."""
    word = pulse.astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
    word = (word ^ (word >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    drawn = (word ^ (word >> np.uint64(32))).astype(np.float64) / 2.0**64
    return np.searchsorted(np.cumsum(_P)[:-1], drawn, side='right').astype(np.uint8)
