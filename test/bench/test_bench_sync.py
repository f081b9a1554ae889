"""Synchronization, measured: a fit tells an error that is not below the true one, and what is ambiguous is refused."""

import json

import pytest

from qkd_gs.bench import sync


@pytest.mark.parametrize(
    'name', ['bench, 1 kHz', 'fibre, delay swings by 5 ns in 20 s', 'bench, jittered, delay wrong by 1 ms']
)
def test_the_clock_of_a_link(name):
    found = sync._told(sync._link, sync._LINKS[name])
    assert found['true_rms_ns'] < found['sync_rms_ns'] < 0.06
    assert abs(found['constant_ns']) < 0.05
    assert found['residual_single_ns'] == pytest.approx(0.45, abs=0.03)


def test_a_regular_beacon_far_from_its_prediction_is_refused():
    assert 'which is which' in sync._told(sync._link, sync._LINKS['bench, regular, delay wrong by 40 us'])['refused']


def test_the_states_of_the_pps():
    found = sync._pps_cases()
    json.dumps(found, allow_nan=False)
    assert 'not a second apart' in found.pop('noise only')['refused']
    assert (
        max(case['largest_error_of_utc_ns'] for case in found.values()) < 30
    )  # of doubled pulses the first one counts
    assert found['20 stray pulses']['left_out'] == 20


def test_the_clock_without_a_beacon():
    found = sync._told(sync.measure_photons, sync.PHOTON_LINKS['fibre, delay drifts by 1 ns a second'])
    assert found['true_rms_ns'] < found['sync_rms_ns'] < 0.06
    assert abs(found['constant_ns']) < 0.05
    assert 'no pulse train' in sync._told(sync.measure_photons, sync.PHOTON_LINKS['bench, noise alone'])['refused']
