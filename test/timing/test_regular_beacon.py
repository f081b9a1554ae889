"""A beacon without jitter is numbered by the prediction, or refused where that is not good enough."""

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.settings.timing_model import TimingModel
from qkd_gs.timing.clocks.clock import recover_clock
from qkd_gs.timing.clocks.pps import fit_pps
from qkd_gs.timing.clocks.pulse_number import find_shift
from qkd_gs.timing.pulse_times import PulseTimes

PERIOD_PS = 10**8


def tags(late_ps, jitter_ns=0.0, seed=1):
    """Predicted times of 80 % of the pulses, and the log."""
    rng = np.random.default_rng(seed)
    log_ps = np.arange(20_000, 100_000) * PERIOD_PS + np.rint(rng.standard_normal(80_000) * jitter_ns * 1e3).astype(
        np.int64
    )
    seen = np.sort(rng.choice(np.arange(2_000, 78_000), 60_000, replace=False))
    return log_ps[seen] + late_ps + np.rint(rng.standard_normal(60_000) * 400).astype(np.int64), PulseTimes.of(log_ps)


@pytest.mark.parametrize('late_ps', [0, 3_000_000, -20_000_000])
def test_the_nearest_pulse_is_the_one(late_ps):
    assert find_shift(*tags(late_ps)) == 0


def test_a_prediction_between_two_pulses_is_refused():
    with pytest.raises(StationError, match=r'the beacon is regular, .* 25 us are allowed: which is which'):
        find_shift(*tags(40_000_000))


def test_a_transmitter_whose_clock_slips_a_pulse_is_refused():
    """The prediction is right at the beginning, and half a period off at the end."""
    expected_ps, log = tags(0)
    slipping_ps = expected_ps + np.linspace(0, 0.4 * PERIOD_PS, len(expected_ps)).astype(np.int64)
    with pytest.raises(StationError, match='which is which'):
        find_shift(slipping_ps, log)


@pytest.mark.parametrize('rate_hz', [100, 1000])
def test_a_slow_beacon_gives_a_clock(rate_hz):
    rng = np.random.default_rng(5)
    log_ps = np.arange(-2 * rate_hz, 42 * rate_hz) * (10**12 // rate_hz)
    seen_ps = log_ps[(rng.random(len(log_ps)) < 0.6) & (log_ps > 0) & (log_ps < 40 * 10**12)]
    tag_ps = seen_ps + np.rint(rng.standard_normal(len(seen_ps)) * 400).astype(np.int64)
    scale = fit_pps(np.arange(1, 40) * 10**12, 0, 1_538_582_000 * 10**9)
    offset_ps = int(scale.first_pulse_ps)
    fitted = recover_clock(tag_ps, scale, lambda utc_ps: utc_ps + offset_ps, PulseTimes.of(log_ps))
    at_ps = np.arange(2 * 10**12, 38 * 10**12, 10**11)
    assert np.sqrt(np.mean((fitted.to_satellite(at_ps) - at_ps) ** 2.0)) < 200
    assert 0 < fitted.sync_rms_ns < 0.4


def test_a_beacon_with_jitter_needs_no_such_prediction():
    assert find_shift(*tags(40_000_000 + 3 * PERIOD_PS, jitter_ns=50.0)) in (-3, -4)
    assert find_shift(*tags(3 * PERIOD_PS, jitter_ns=50.0)) == -3


def test_the_timing_model_says_how_pulses_are_numbered():
    jittered, regular = tags(3 * PERIOD_PS, jitter_ns=50.0), tags(0)
    assert find_shift(*tags(0, jitter_ns=50.0), TimingModel(numbering='prediction')) == 0
    with pytest.raises(StationError, match=r'the beacon is regular, and by source\.timing\.numbering'):
        find_shift(*regular, TimingModel(numbering='jitter'))
    with pytest.raises(StationError, match='fit no numbering'):
        find_shift(*jittered, TimingModel(search_pulses=2))
    assert find_shift(*tags(80 * PERIOD_PS, jitter_ns=50.0), TimingModel(search_pulses=100)) == -80


def test_fewer_knots_bridge_the_noise_of_a_dim_beacon():
    """40 s of 30 tags a second of two steady clocks: a knot every ten seconds halves the error at least."""
    rng = np.random.default_rng(6)
    log_ps = np.arange(-2000, 42_000) * 10**9
    tag_ps = np.sort(rng.choice(log_ps[2000:42_000], 1200, replace=False))
    tag_ps = tag_ps + np.rint(rng.standard_normal(1200) * 400).astype(np.int64)
    scale = fit_pps(np.arange(1, 40) * 10**12, 0, 1_538_582_000 * 10**9)
    at_ps = np.arange(2 * 10**12, 38 * 10**12, 10**11)

    def error_ps(knot_s):
        model = TimingModel(knot_s=knot_s)
        clock = recover_clock(tag_ps, scale, lambda utc_ps: utc_ps + 10**12, PulseTimes.of(log_ps), model)
        return np.sqrt(np.mean((clock.to_satellite(at_ps) - at_ps) ** 2.0))

    assert error_ps(10.0) < 0.6 * error_ps(1.0)
