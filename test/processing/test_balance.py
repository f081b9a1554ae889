"""Balance of the detectors and of the bases."""

import numpy as np
import pytest

from qkd_gs.processing.balance import find_imbalances
from qkd_gs.timing.balance import imbalances

ALIKE = {'H': 1.0, 'V': 1.0, 'D': 1.0, 'A': 1.0}
TWIN = {'H': 1.01, 'V': 0.98, 'D': 1.03, 'A': 0.98}
LIMIT = 0.05


def clicks(efficiency, seconds=100, cps=2000.0, seed=1):
    rate = cps * np.array(list(efficiency.values()))
    return np.random.default_rng(seed).poisson(rate, (seconds, 4))


def found(counts, efficiency=None, uncertainty=0.02):
    return [anomaly.kind for anomaly in find_imbalances(counts, LIMIT, efficiency, uncertainty)]


def test_imbalances_are_differences_over_sums():
    np.testing.assert_allclose(imbalances(np.array([300, 100, 50, 50])), [0.5, 0.0, 0.6])


@pytest.mark.parametrize('cps', [1.0, 30.0, 2000.0, 100_000.0])
def test_healthy_detectors_pass_with_and_without_a_calibration(cps):
    for seed in range(20):
        counts = clicks(TWIN, cps=cps, seed=seed)
        assert found(counts) == found(counts, TWIN) == []


@pytest.mark.parametrize(
    ('efficiency', 'names'),
    [
        (ALIKE | {'V': 0.85}, 'H and V'),
        (ALIKE | {'D': 0.85}, 'D and A'),
        (ALIKE | {'D': 0.86, 'A': 0.86}, 'HV and DA'),  # e.g. light of a wavelength at which the splitter is uneven
    ],
)
def test_more_than_the_proof_is_told_is_found(efficiency, names):
    anomaly = find_imbalances(clicks(efficiency), LIMIT, None, 0.02)[0]
    assert anomaly.kind == 'unbalanced'
    assert names in anomaly.detail
    assert anomaly.fatal


@pytest.mark.parametrize('change', [{'V': 0.90}, {'A': 1.08}, {'H': 0.95, 'V': 0.92}])
def test_less_than_that_is_found_where_the_efficiencies_are_known(change):
    counts = clicks(TWIN | change)
    assert found(counts, TWIN) == ['not_as_calibrated']


def test_ten_seconds_are_enough():
    counts = clicks(ALIKE)
    counts[40:50] = clicks(ALIKE | {'H': 0.8}, seconds=10)
    anomaly = find_imbalances(counts, LIMIT, ALIKE, 0.02)[0]
    assert 'second 40 on: H and V' in anomaly.detail


def test_nothing_is_balanced():
    assert found(np.empty((0, 4), np.int64), ALIKE) == []
