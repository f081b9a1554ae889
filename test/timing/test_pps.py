"""Naming the second, through jitter, lost marks and stray ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.timing.pps import fit_pps

UTC_NS = 1_538_582_000 * 10**9


def marks(n: int, start_ps: int, rate: float, jitter_ps: float, rng: np.random.Generator) -> np.ndarray:
    second = np.arange(n)
    return start_ps + np.rint(second * 1e12 * (1 + rate) + rng.standard_normal(n) * jitter_ps).astype(np.int64)


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(-1e-6, 1e-6),
    start_ps=st.integers(0, 999_999_999_999),
    late_ns=st.integers(-390_000_000, 390_000_000),
    seed=st.integers(0, 1000),
)
def test_utc_comes_out_right(rate, start_ps, late_ns, seed):
    rng = np.random.default_rng(seed)
    tagged = marks(200, start_ps + 20_000, rate, 15_000.0, rng)
    keep = rng.random(200) > 0.1
    keep[0] = True
    started_ns = UTC_NS - start_ps // 1000
    scale = fit_pps(tagged[keep], 20_000, started_ns + late_ns)
    assert scale.first_utc_ns == UTC_NS
    at_s = np.array([0.0, 50.5, 199.0])
    tdc_ps = start_ps + np.rint(at_s * 1e12 * (1 + rate)).astype(np.int64)
    assert np.abs(scale.utc_ps(tdc_ps) - at_s * 1e12).max() < 15_000  # ps; the receiver's jitter, averaged
    back = scale.tdc_ps(UTC_NS + np.rint(at_s * 1e9).astype(np.int64))
    assert np.abs(scale.utc_ps(back) - np.rint(at_s * 1e9) * 1000).max() <= 1


def test_a_stray_mark_is_left_out():
    rng = np.random.default_rng(0)
    tagged = marks(100, 0, 1e-7, 15_000.0, rng)
    tagged[40] += 5_000_000
    scale = fit_pps(tagged, 0, UTC_NS)
    assert scale.rejected >= 1
    assert abs(int(scale.utc_ps(np.array([tagged[0] + 40 * 10**12]))[0]) - 40 * 10**12) < 4_200_000 + 50_000


@pytest.mark.parametrize(
    ('tagged', 'why'),
    [
        (np.arange(3) * 10**12, 'only 3 PPS pulses'),
        (np.arange(50) * 7 * 10**11, 'not a second apart'),
    ],
)
def test_marks_that_name_nothing_are_refused(tagged, why):
    with pytest.raises(StationError, match=why):
        fit_pps(tagged, 0, UTC_NS)
