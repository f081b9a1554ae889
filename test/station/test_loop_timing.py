"""Figures of a loop, against numpy and by hand."""

from math import isnan

import numpy as np
import pytest

from qkd_gs.station.loop_timing import LoopWatch, Spread

MS = 1_000_000


@pytest.mark.parametrize('seed', range(4))
def test_percentiles_agree_with_numpy(seed):
    rng = np.random.default_rng(seed)
    seconds = rng.gamma(2.0, 4e-3, 5000)
    spread = Spread()
    for value in seconds:
        spread.add(value)
    wanted = np.percentile(seconds * 1e3, [50, 95, 99])
    assert spread.percentiles_ms() == pytest.approx(tuple(wanted), abs=0.06 + 0.01 * wanted[-1])
    assert spread.percentiles_ms()[0] == pytest.approx(wanted[0], abs=0.06)


def test_what_is_too_long_or_negative_counts_at_the_edges():
    spread = Spread()
    assert all(map(isnan, spread.percentiles_ms()))
    for value in (-1.0, 5.0):
        spread.add(value)
    assert spread.percentiles_ms()[0] == pytest.approx(0.05)
    assert spread.percentiles_ms()[2] == pytest.approx(200.0)
    spread.clear()
    assert all(map(isnan, spread.percentiles_ms()))


@pytest.mark.parametrize(
    ('steps_ms', 'missed'),
    [
        ([0, 10, 20, 30], 0),
        ([0, 14, 20, 34, 40], 0),  # jitter is no miss
        ([0, 10, 30, 40], 1),
        ([0, 10, 55, 60], 4),  # 45 ms: four periods and a half without a step
        ([0, 1, 2, 3], 0),  # a timer that catches up
        ([0], 0),
    ],
)
def test_missed_periods(steps_ms, missed):
    watch = LoopWatch(0.01)
    for step in steps_ms:
        watch.step(step * MS)
    figures = watch.figures()
    assert (figures.steps, figures.missed) == (len(steps_ms), missed)
    assert figures.missed_share == pytest.approx(missed / (len(steps_ms) + missed))


@pytest.mark.parametrize(
    ('next_ms', 'missed'),
    [(35, 0), (40, 0), (48, 1), (90, 5)],  # 35 ms of computing: a step at 40 ms is in time
)
def test_a_step_that_may_take_longer_misses_only_what_it_was_held_up(next_ms, missed):
    watch = LoopWatch(0.01)
    watch.step(0)
    watch.may_take(0.035)
    watch.step(next_ms * MS)
    assert watch.figures().missed == missed
    watch.step((next_ms + 40) * MS)  # of the next one nothing was said
    assert watch.figures().missed == missed + 3


def test_a_pause_is_nobodys_fault():
    watch = LoopWatch(0.01)
    watch.step(0)
    watch.pause()
    watch.step(10_000 * MS)
    watch.step(10_010 * MS)
    figures = watch.figures()
    assert figures.missed == 0
    assert figures.steps == 3
    assert figures.period_ms[2] == pytest.approx(10, abs=0.06)


def test_cleared_it_counts_from_there():
    watch = LoopWatch(0.01)
    for step in (0, 100):
        watch.step(step * MS)
        watch.busy(0.002)
        watch.latency(0.03)
    watch.clear()
    watch.step(5000 * MS)
    figures = watch.figures()
    assert (figures.steps, figures.missed) == (1, 0)
    assert all(map(isnan, figures.period_ms + figures.busy_ms + figures.latency_ms))
    assert LoopWatch(0.01).figures().missed_share == 0


def test_busy_and_latency_are_told_in_ms():
    watch = LoopWatch(0.01)
    for _ in range(100):
        watch.busy(0.002)
        watch.latency(0.0301)
    assert watch.figures().busy_ms == pytest.approx((2, 2, 2), abs=0.06)
    assert watch.figures().latency_ms == pytest.approx((30.1, 30.1, 30.1), abs=0.06)
