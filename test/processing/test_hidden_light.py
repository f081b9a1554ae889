"""Noise that is no noise: the clicks in empty pulses tell."""

import numpy as np
import pytest
from honest_profiles import cases

from qkd_gs.processing.hidden_light import hidden_light
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Tally
from qkd_gs.timing.clicks import ClickStatistics

GATE_SHARE, P_VACUUM, LIMIT = 0.2, 0.25, 0.005
HELD = 0.95  # of the clicks in the gate get through the hold-off


def drawn(light, seconds, noise_cps, seed, hidden=0.0):
    """Reason for a pass; `hidden` of the light is spread over the slot."""
    rng = np.random.default_rng(seed)
    noise = noise_cps * seconds
    after = 0.005 * light
    inside = rng.poisson(light * (1 - hidden) + (noise + after + hidden * light) * GATE_SHARE)
    outside = rng.poisson((noise + after + hidden * light) * (1 - GATE_SHARE))
    same = rng.poisson(after)
    empty = rng.poisson(noise * GATE_SHARE * P_VACUUM / 2 * HELD)
    tally = Tally(sent=10**9, sifted=0, errors=0)
    basis = BasisCounts(signal=tally, decoy=tally, vacuum=Tally(sent=10**9, sifted=int(empty), errors=0))
    none = BasisCounts(signal=tally, decoy=tally, vacuum=tally)
    counts = KeyCounts(intensities=Intensities(signal=0.8, decoy=0.1, vacuum=0.0), hv=basis, da=none)
    clicks = ClickStatistics(
        np.array([[inside + outside, 0, 0, 0]]), np.array([[outside, 0, 0, 0]]), np.zeros(1, np.int64), 0,
        np.array([same, 0]), np.zeros(2, np.int64),
    )  # fmt: skip
    return hidden_light(counts, clicks, round(inside * HELD), GATE_SHARE, P_VACUUM, LIMIT)


@pytest.mark.parametrize('name', cases())
def test_honest_passes_are_not_refused(name):
    assert {drawn(*cases()[name], seed) for seed in range(200)} == {''}


def test_a_few_per_cent_of_the_light_are_found():
    assert drawn(*cases()['demo'], 1, hidden=0.002) == ''
    assert drawn(*cases()['demo'], 1, hidden=0.03).startswith('hidden_light: ')


def test_a_gate_that_fills_the_slot_has_no_outside():
    nothing = np.zeros((1, 4), np.int64)
    clicks = ClickStatistics(nothing, nothing, nothing[:, 0], 0, np.zeros(2), np.zeros(2))
    assert hidden_light(None, clicks, 0, 1.0, P_VACUUM, LIMIT) == ''
