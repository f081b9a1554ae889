"""Profiles of honest passes: photons, noise, afterpulses, delays within their uncertainty."""

import numpy as np

from qkd_gs.session.published import published_passes
from qkd_gs.timing.gate import find_gate
from qkd_gs.timing.profile import SlotProfile

PERIOD_PS, GATE_PS, BINS = 10_000, 2000, 200
JITTER_PS = 205.0
AFTERPULSES, DEAD_PS, DECAY_PS = 0.005, 45_000, 40_000
DECOYS = 0.0625  # of the signal's clicks
POSITION_PS = (np.arange(BINS) + 0.5) * PERIOD_PS / BINS - PERIOD_PS / 2


def cases():
    """Name -> light of all detectors inside the gate, seconds, noise counts/s: Table 1, and passes of the twin."""
    published = {
        f'{row.site} {row.date}': (2 * row.sifted_bits * (1 + DECOYS), row.time_s, noise_cps)
        for row in published_passes()
        for noise_cps in (300.0,)
    }
    return published | {
        'demo': (1_350_000, 315.0, 150.0),
        'ten times the light': (13_500_000, 315.0, 150.0),
        'a tenth': (135_000, 315.0, 150.0),
        'a fiftieth, bright sky': (27_000, 315.0, 2000.0),
    }


def response(late_ps):
    """Expected share of a detector's clicks in each bin, noise left out: photons and their afterpulses."""
    sum_ = np.zeros(BINS)
    for turn in (-1, 0, 1):
        sum_ += np.exp(-(((POSITION_PS + turn * PERIOD_PS - late_ps) / JITTER_PS) ** 2) / 2)
    photons = sum_ / sum_.sum()
    since_ps = (POSITION_PS - late_ps - DEAD_PS) % PERIOD_PS
    after = np.exp(-since_ps / DECAY_PS)
    return photons + AFTERPULSES * after / after.sum()


def draw(light, seconds, noise_cps, uncertainty_ps, rng):
    """Profile of an honest pass; the light is brightest in the middle."""
    parts = max(int(seconds // 10), 1)
    bright = np.sin(np.pi * (np.arange(parts) + 0.5) / parts) ** 2
    bright *= light / 4 / bright.sum()
    offset_ps = rng.uniform(-1000, 1000)
    counts = np.empty((parts, 4, BINS), np.int64)
    for detector in range(4):
        shape = response(offset_ps + rng.uniform(-uncertainty_ps, uncertainty_ps))
        noise = rng.uniform(0.5, 1.5) * noise_cps / 4 * seconds / parts / BINS
        counts[:, detector] = rng.poisson(bright[:, None] * rng.uniform(0.97, 1.03) * shape + noise)
    return SlotProfile(counts, PERIOD_PS)


def gate_of(profile):
    return find_gate(profile, 2000, GATE_PS)
