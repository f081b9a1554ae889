"""Naming the second, through jitter, lost pulses and stray ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.timing.clocks.pps import fit_pps

UTC_NS = 1_538_582_000 * 10**9


def pulses(n: int, start_ps: int, rate: float, jitter_ps: float, rng: np.random.Generator) -> np.ndarray:
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
    tagged = pulses(200, start_ps + 20_000, rate, 15_000.0, rng)
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


def test_a_stray_pulse_is_left_out():
    rng = np.random.default_rng(0)
    tagged = pulses(100, 0, 1e-7, 15_000.0, rng)
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
def test_pulses_that_name_nothing_are_refused(tagged, why):
    with pytest.raises(StationError, match=why):
        fit_pps(tagged, 0, UTC_NS)


def spoiled(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pulses of 400 s with something wrong, and which of the sound ones must be used."""
    start_ps, rate = 300_000_000_000, 3e-7
    sound = pulses(400, start_ps, rate, 15_000.0, rng)
    kept, extra = np.ones(400, bool), []
    if kind == 'spurious':
        extra = [sound[100] + 487_000_000_000]
    elif kind == 'doubled':
        extra = [sound[100] + 60_000]
    elif kind == 'all doubled':
        extra = sound + 60_000
    elif kind == 'both edges':
        extra = sound + 100_000_000_000
    elif kind == 'glitch 0.3 s early':
        kept[0], extra = False, [sound[0] - 300_000_000_000]
    elif kind == 'glitch 80 us late':
        kept[0], extra = False, [sound[0] + 80_000_000]
    elif kind == 'one late':
        kept[200], extra = False, [sound[200] + 1_000_000_000]
    elif kind == 'restart':
        kept[150:160], extra = False, sound[150:160] + 230_000_000_000
    elif kind == 'walks off':
        away = np.arange(60)
        kept[200:260], extra = False, sound[200:260] + 3_000_000 * (away + 1)
    elif kind == 'missing':
        kept[rng.random(400) < 0.4] = False
        kept[50:120] = False
    elif kind == 'noise':
        extra = rng.integers(sound[0], sound[-1], 400)
    return np.sort(np.concatenate([sound[kept], np.asarray(extra, np.int64)])), kept


@pytest.mark.parametrize(
    'kind',
    [
        'spurious', 'doubled', 'all doubled', 'both edges', 'glitch 0.3 s early', 'glitch 80 us late', 'one late',
        'restart', 'walks off', 'missing', 'noise',
    ],
)  # fmt: skip
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_pulses_as_they_come(kind, seed):
    tagged, kept = spoiled(kind, np.random.default_rng(seed))
    start_ps = 300_000_000_000
    scale = fit_pps(tagged, 0, UTC_NS - start_ps // 1000 + 390_000_000)
    left = int(kept.sum())
    assert left - 8 <= scale.pulses <= left + 2
    assert scale.pulses + scale.rejected == len(tagged)
    at_s = np.array([0.0, 50.5, 199.0, 399.0])
    tdc_ps = start_ps + np.rint(at_s * 1e12 * (1 + 3e-7)).astype(np.int64)
    utc_ps = (scale.first_utc_ns - UTC_NS) * 1000 + scale.utc_ps(tdc_ps)
    assert np.abs(utc_ps - at_s * 1e12).max() < (80_000 if kind == 'all doubled' else 15_000)


def test_the_other_edge_marks_the_second_where_the_station_says_so():
    tagged, _ = spoiled('both edges', np.random.default_rng(0))
    start_ps = 400_000_000_000
    scale = fit_pps(tagged, 0, UTC_NS - start_ps // 1000, 'falling')
    assert scale.first_utc_ns == UTC_NS
    assert abs(scale.first_pulse_ps - start_ps) < 200_000
    halves = np.sort(np.concatenate([tagged[::2], tagged[::2] + 500_000_000_000]))
    with pytest.raises(StationError, match='half a second apart'):
        fit_pps(halves, 0, UTC_NS)
