"""The balance of the detectors in starlight: what is calibrated, what has changed since, and chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.calibration.light.detector_balance import balance_of_stars
from qkd_gs.calibration.light.readings import LightReading
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
EVEN = (1.0, 1.0, 1.0, 1.0)


def calibrated(efficiency):
    known = dict(zip('HVDA', efficiency, strict=True))
    detectors = STATION.detectors.model_copy(update={'relative_efficiency': known, 'efficiency_uncertainty': 0.01})
    return STATION.model_copy(update={'detectors': detectors})


def stars(efficiency, cps=20_000, seed=1, sky_cps=150):
    """Six stars and the sky beside them, 4 s each, on detectors with a dead time."""
    rng = np.random.default_rng(seed)
    readings = []
    for k in range(6):
        for name, light_cps in ((f'HIP {k}', cps), (f'beside HIP {k}', 0.0)):
            rate = light_cps * np.array(efficiency) + sky_cps
            counts = rng.poisson(4 * rate / (1 + rate * STATION.detectors.dead_time_ns * 1e-9))
            readings.append(LightReading(name, k * 10**10, 0.0, 1.0, 4.0, tuple(counts.tolist())))
    return readings


@given(st.integers(0, 10_000), st.floats(300, 200_000))
def test_detectors_that_have_not_changed_are_never_accused(seed, cps):
    efficiency = 1.013, 0.987, 0.99, 1.01
    said = balance_of_stars(stars(efficiency, cps, seed), calibrated(efficiency))
    assert said.startswith('the detectors share the light as calibrated, within ')


@pytest.mark.parametrize(
    ('efficiency', 'pair'),
    [((1.03, 0.97, 1.0, 1.0), 'H and V'), ((1.0, 1.0, 0.97, 1.03), 'D and A'), ((1.03, 1.03, 0.97, 0.97), 'HV and DA')],
)
def test_detectors_that_have_changed_are_to_be_calibrated_again(efficiency, pair):
    said = balance_of_stars(stars(efficiency), calibrated(EVEN))
    assert said.startswith(f'detectors {pair} differ by ')
    assert said.endswith('run `qkd-gs calibrate-detectors`')
    assert 'as calibrated, within' in balance_of_stars(stars(efficiency), calibrated(efficiency))


def test_without_a_calibration_the_imbalances_are_told():
    said = balance_of_stars(stars((1.02, 0.98, 1.0, 1.0), cps=200_000), STATION)
    assert said.startswith('the detectors are not calibrated')
    assert 'H-V +2.0%' in said


def test_an_imbalance_that_the_key_does_not_allow_is_told_before_the_pass():
    said = balance_of_stars(stars((1.1, 0.9, 1.0, 1.0)), STATION)
    assert said == 'detectors H and V differ by +10.0%, 5.0% is allowed: no key is made'
