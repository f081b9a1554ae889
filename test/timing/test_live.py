"""Figures of a running pass, against what the light really was."""

import numpy as np
import pytest

from qkd_gs.timing.live import live_figures
from qkd_gs.timing.tags import Channel, TagBlock

BEACON_PS, PULSE_PS = 10**8, 10**4


def second(signal, noise, beacons=5000, clock_rate=1 + 2.1e-5, jitter_ns=50.0, seed=0):
    """Tags of a second of light with known parts."""
    rng = np.random.default_rng(seed)
    pulses = rng.integers(0, 10**8, signal) * PULSE_PS * clock_rate + rng.normal(0, 200, signal)
    sent = np.sort(rng.choice(10_000, beacons, replace=False)) * BEACON_PS * clock_rate
    parts = [
        (pulses, rng.integers(1, 5, signal)),
        (rng.uniform(0, 1e12, noise), rng.integers(1, 5, noise)),
        (sent + rng.normal(0, jitter_ns * 1e3, beacons), np.full(beacons, Channel.BEACON)),
        (rng.uniform(0, 1e12, 300), np.full(300, Channel.BEACON)),
    ]
    time_ps = np.concatenate([part[0] for part in parts]).astype(np.int64)
    channel = np.concatenate([part[1] for part in parts]).astype(np.uint8)
    order = np.argsort(time_ps)
    return TagBlock(time_ps[order], channel[order])


@pytest.mark.parametrize(('signal', 'noise'), [(9000, 150), (1500, 150), (1000, 1000)])
def test_the_signals_share_is_told_without_the_satellites_log(signal, noise):
    live = live_figures(second(signal, noise), BEACON_PS, PULSE_PS)
    assert live.signal_share == pytest.approx(signal / (signal + noise), abs=0.06)


def test_the_scatter_of_the_beacon_is_reported():
    live = live_figures(second(1000, 100, jitter_ns=50), BEACON_PS, PULSE_PS)
    assert live.sync_residual_ns == pytest.approx(50, rel=0.2)


def test_too_little_light_gives_no_figure():
    assert np.isnan(live_figures(second(1000, 100, beacons=100), BEACON_PS, PULSE_PS).signal_share)
    assert np.isnan(live_figures(second(20, 20), BEACON_PS, PULSE_PS).signal_share)


def test_noise_alone_is_not_called_a_signal():
    assert live_figures(second(0, 2000), BEACON_PS, PULSE_PS).signal_share < 0.3
