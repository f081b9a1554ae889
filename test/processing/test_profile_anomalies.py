"""Anomalies of folded profiles: honest ones pass, and the least of each kind is found in enough light."""

from dataclasses import replace

import numpy as np
import pytest
from honest_profiles import BINS, PERIOD_PS, POSITION_PS, cases, draw, gate_of

from qkd_gs.errors import StationError
from qkd_gs.processing.profile_anomalies import find_profile_anomalies
from qkd_gs.timing.profile import SlotProfile

LIMIT = 0.005
DEMO = cases()['demo']


def kinds(profile, uncertainty_ps=100.0):
    return {anomaly.kind for anomaly in find_profile_anomalies(profile, gate_of(profile), uncertainty_ps, LIMIT)}


def changed(profile, change):
    return SlotProfile(change(profile.counts), PERIOD_PS)


@pytest.mark.parametrize('name', cases())
@pytest.mark.parametrize('uncertainty_ps', [100.0, 300.0])
def test_honest_passes_are_not_refused(name, uncertainty_ps):
    for seed in range(5):
        profile = draw(*cases()[name], uncertainty_ps, np.random.default_rng(seed))
        assert kinds(profile, uncertainty_ps) == set()


@pytest.fixture
def demo():
    return draw(*DEMO, 100.0, np.random.default_rng(1))


@pytest.mark.parametrize(('share', 'found'), [(0.004, set()), (0.008, {'second_peak'})])
def test_light_elsewhere_is_found_beyond_the_part_that_is_allowed(demo, share, found):
    moved = changed(demo, lambda counts: counts + np.roll((share * counts).astype(np.int64), 40, axis=2))
    assert kinds(moved) == found


def test_noise_alone_is_no_light(demo):
    noisy = changed(demo, lambda counts: counts + np.random.default_rng(2).poisson(30.0, counts.shape))
    assert kinds(noisy) == set()


def test_one_detector_too_far_from_the_others_is_found(demo):
    late = demo.counts.copy()
    late[:, 2] = np.roll(late[:, 2], 8, axis=1)
    assert kinds(SlotProfile(late, PERIOD_PS)) >= {'unequal_delays'}


def test_a_drift_of_a_few_seconds_is_found(demo):
    def drift(counts):
        later = counts.copy()
        later[10] = np.roll(counts[10], 4, axis=1)
        return later

    assert kinds(changed(demo, drift)) == {'drift'}


@pytest.mark.parametrize('bins', [1, 37, 100, 163])
def test_it_does_not_matter_where_in_the_slot_the_light_is(demo, bins):
    late = demo.counts + np.random.default_rng(5).poisson(3.0, demo.counts.shape)
    late[:, 1] = np.roll(late[:, 1], 6, axis=1)
    gate = gate_of(SlotProfile(late, PERIOD_PS))
    moved = replace(gate, offset_ps=gate.offset_ps + bins * PERIOD_PS // BINS)
    told, told_of_moved = (
        sorted(one.detail for one in find_profile_anomalies(SlotProfile(counts, PERIOD_PS), at, 100.0, LIMIT))
        for counts, at in ((late, gate), (np.roll(late, bins, axis=2), moved))
    )
    assert len(told) > 1
    assert told_of_moved == told


def test_a_gate_as_long_as_the_slot_leaves_nothing_outside():
    counts = np.random.default_rng(3).poisson(50.0 + 1000.0 * np.exp(-((POSITION_PS / 200) ** 2)), (2, 4, BINS))
    profile = SlotProfile(counts, PERIOD_PS)
    assert profile.noise_level(profile.by_detector, 0.0, PERIOD_PS).tolist() == [0.0] * 4


def test_light_beyond_the_tolerance_is_refused():
    counts = np.random.default_rng(4).poisson(1.0 + 1000.0 * np.exp(-(((POSITION_PS - 2500) / 200) ** 2)), (2, 4, BINS))
    with pytest.raises(StationError, match=r'the photons come 2\.5. ns from where the beacon says, 2 ns are allowed'):
        gate_of(SlotProfile(counts, PERIOD_PS))
