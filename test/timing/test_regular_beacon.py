"""A beacon without jitter is numbered by the prediction, or refused where that is not good enough."""

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.timing.pulse_number import find_shift
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
    with pytest.raises(StationError, match=r'the beacon is regular, .* which is which'):
        find_shift(*tags(40_000_000))


def test_a_beacon_with_jitter_needs_no_such_prediction():
    assert find_shift(*tags(40_000_000 + 3 * PERIOD_PS, jitter_ns=50.0)) in (-3, -4)
    assert find_shift(*tags(3 * PERIOD_PS, jitter_ns=50.0)) == -3
