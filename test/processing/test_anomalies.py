"""Each anomaly against clicks that have it, and none against clicks that have not."""

import numpy as np
import pytest

from qkd_gs.processing.anomalies import afterpulse_share, bunching_of, find_anomalies
from qkd_gs.timing.clicks import ClickFilter, ClickStatistics
from qkd_gs.timing.numbering import GATE_SHIFT, INSIDE, PULSE_SHIFT

SECOND = 100_000_000
BUNCHING = bunching_of((0.8, 0.1, 0.0), (0.5, 0.25, 0.25))


def ordinary(seconds=60, rate=2000.0, seed=1):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate, (seconds, 4))
    pairs = 0.75 * (4 * rate) ** 2 / (2 * SECOND) * BUNCHING
    return ClickStatistics(
        counts, rng.poisson(30, (seconds, 4)), rng.poisson(pairs, seconds), 0,
        np.array([300, 100]), np.array([300, 300]),
    )  # fmt: skip


def kinds(clicks):
    return {anomaly.kind: anomaly.fatal for anomaly in find_anomalies(clicks, SECOND, BUNCHING)}


@pytest.mark.parametrize('seed', range(20))
def test_ordinary_clicks_have_none(seed):
    assert kinds(ordinary(seed=seed)) == {}
    assert kinds(ordinary(rate=30.0, seed=seed)) == {}


def test_a_pass_that_rises_and_sets_behind_clouds_has_none():
    clicks = ordinary(300)
    course = 2000 * np.exp(-(((np.arange(300) - 150) / 80) ** 2))
    course[100:115] = 0
    clicks.counts[:] = np.random.default_rng(2).poisson(course)[:, None] + 30
    assert kinds(clicks) == {}


def test_a_session_of_nothing_has_none():
    nothing = np.zeros((0, 4), np.int64)
    assert kinds(ClickStatistics(nothing, nothing, nothing[:, 0], 0, np.zeros(2), np.zeros(2))) == {}


def change(part, where, value):
    clicks = ordinary()
    getattr(clicks, part)[where] = value
    return clicks


@pytest.mark.parametrize(
    ('clicks', 'kind', 'fatal'),
    [
        (change('multiple', slice(10, 12), 200), 'coincidences', False),
        (change('counts', (30, 2), 12_000), 'rate_jump', False),
        (change('counts', (0, 2), 12_000), 'rate_jump', False),
        (change('counts', (30, 1), 0), 'silent_detector', True),
        (change('outside', (slice(20, 30), 3), 0), 'no_noise', True),
        (change('same', 1, 2000), 'afterpulse_tail', True),
    ],
)
def test_each_one_is_found(clicks, kind, fatal):
    assert kinds(clicks) == {kind: fatal}


def test_clicks_within_the_dead_time_are_found():
    usual = ordinary()
    blinded = ClickStatistics(usual.counts, usual.outside, usual.multiple, 2000, usual.same, usual.other)
    assert kinds(blinded) == {'too_soon': True}


def test_afterpulses_are_measured_from_the_clicks_alone():
    rng = np.random.default_rng(4)
    slot = np.sort(rng.choice(20 * SECOND, 200_000, replace=False))
    channel = rng.integers(1, 5, len(slot))
    again = rng.random(len(slot)) < 0.01
    later = slot[again] + 6 + rng.geometric(1 / 4, again.sum())
    words = np.concatenate([slot, later]) << PULSE_SHIFT | INSIDE << GATE_SHIFT
    watch = ClickFilter(0, 20 * SECOND, SECOND, dead_slots=5, hold_off_slots=50)
    watch.admit(np.sort(words | np.concatenate([channel, channel[again]])))
    assert afterpulse_share(watch.statistics()) == pytest.approx(0.01, rel=0.1)


def test_the_sources_intensities_bunch_their_photons():
    assert bunching_of((0.5, 0.5, 0.5), (0.5, 0.25, 0.25)) == pytest.approx(1)
    assert pytest.approx((0.5 * 0.64 + 0.25 * 0.01) / 0.425**2) == BUNCHING
