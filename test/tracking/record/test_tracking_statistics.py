"""Figures of a pass against hand-made passes whose figures are known."""

from dataclasses import replace
from math import isnan, radians

import numpy as np
import pytest

from qkd_gs.tracking.record.statistics import Offsets, PassSamples, tracking_metrics

STEP_NS = 10_000_000
DATA_EL = radians(20)


def a_pass(count=10_000, seed=0):
    """100 s: elevation 5 deg, 60 deg in the middle, 5 deg; light from 10 s, lock from 12 s, errors of 2 and 3 urad."""
    rng = np.random.default_rng(seed)
    t_ns = np.arange(count) * STEP_NS
    t_s = t_ns * 1e-9
    return PassSamples(
        t_ns=t_ns,
        x_rad=2e-6 * rng.standard_normal(count),
        y_rad=3e-6 * rng.standard_normal(count),
        el_rad=np.radians(60 - 55 * np.abs(t_s - 50) / 50),
        locked=t_s >= 12,
        ended=np.zeros(count, bool),
        lit=t_s >= 10,
        in_guiding_field=t_s >= 10.5,
    )


def offsets_of(samples, x_urad, y_urad):
    count = len(samples.t_ns)
    return Offsets(samples.t_ns, np.full(count, x_urad * 1e-6), np.full(count, y_urad * 1e-6))


def figures(samples):
    return tracking_metrics(samples, offsets_of(samples, 4, 5), offsets_of(samples, 1, 2), DATA_EL)


def test_a_quiet_pass():
    result = figures(a_pass())
    assert result.rms_x_urad == pytest.approx(2, rel=0.03)
    assert result.rms_y_urad == pytest.approx(3, rel=0.03)
    assert (result.spot_rms_x_urad, result.spot_rms_y_urad) == pytest.approx((4, 5))
    assert (result.floor_x_urad, result.floor_y_urad) == pytest.approx((1, 2))
    assert result.acquire_s == pytest.approx(1.5)
    assert result.locked_fraction == 1
    above_s = 2 * 50 * 40 / 55
    assert result.locked_s == pytest.approx(above_s, abs=0.03)
    assert result.losses == 0


def test_errors_without_lock_count_and_make_the_fraction():
    samples = a_pass()
    lost = (samples.t_ns >= 40 * 10**9) & (samples.t_ns < 44 * 10**9)
    samples = replace(samples, locked=samples.locked & ~lost, x_rad=np.where(lost, 1e-4, samples.x_rad))
    result = figures(samples)
    assert result.losses == 1
    assert result.peak_urad == pytest.approx(100, rel=0.01)
    assert result.locked_fraction == pytest.approx(1 - 4 / (2 * 50 * 40 / 55), abs=1e-3)
    assert result.rms_x_urad > 20


def test_the_end_of_the_pass_is_no_loss():
    samples = a_pass()
    over = samples.t_ns >= 60 * 10**9
    samples = replace(samples, locked=samples.locked & ~over, ended=over)
    assert figures(samples).losses == 0
    assert figures(samples).locked_fraction < 1  # a pass that is broken off loses its time


def test_samples_with_the_beacon_off_are_excepted():
    samples = a_pass()
    dark = (samples.t_ns >= 40 * 10**9) & (samples.t_ns < 44 * 10**9)
    samples = replace(samples, lit=samples.lit & ~dark, locked=samples.locked & ~dark)
    samples = replace(samples, x_rad=np.where(dark, 1e-3, samples.x_rad))
    result = figures(samples)
    assert result.locked_fraction == 1
    assert result.losses == 0
    assert result.peak_urad < 20


def test_what_happens_low_or_before_the_first_lock_does_not_count():
    samples = a_pass()
    outside = (samples.el_rad < DATA_EL) | (samples.t_ns < 12 * 10**9)
    spoiled = replace(samples, y_rad=np.where(outside, 1.0, samples.y_rad))
    assert figures(spoiled).rms_y_urad == pytest.approx(3, rel=0.03)


def test_a_pass_without_lock_has_no_figures():
    samples = a_pass()
    result = figures(replace(samples, locked=np.zeros(len(samples.t_ns), dtype=bool)))
    assert isnan(result.rms_x_urad)
    assert isnan(result.acquire_s)
    assert isnan(result.peak_urad)
    assert result.locked_s == 0
    assert result.losses == 0
