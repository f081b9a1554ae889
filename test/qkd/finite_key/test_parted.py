"""What a pass in parts pays: bounds that hold whatever an eavesdropper has heard of earlier parts."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.audit.formulas import largest_adaptive
from qkd_gs.qkd.finite_key.bounds import expectation_bounds
from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Parted, Tally
from qkd_gs.qkd.finite_key.joint_bound import joint_bound
from qkd_gs.qkd.finite_key.receiver_flaws import adaptive_expectation

QUBITS = 4
PATTERNS = np.arange(1 << QUBITS)
WEIGHT = np.array([int(x).bit_count() for x in PATTERNS])


def of_basis():
    rates = {
        'signal': (4_000_000_000, 300_000, 0),
        'decoy': (2_000_000_000, 20_000, 260),
        'vacuum': (2_000_000_000, 700, 350),
    }
    return BasisCounts(**{name: Tally(sent=n, sifted=m, errors=e) for name, (n, m, e) in rates.items()})


def counts(expected=None):
    parted = None if expected is None else Parted(parts=3, expected=expected)
    intensities = Intensities(signal=0.8, decoy=0.1, vacuum=0.0)
    return KeyCounts(intensities=intensities, parted=parted, hv=of_basis(), da=of_basis())


def test_a_number_that_was_expected_rightly_costs_nothing_and_a_wrong_one_little():
    whole, number = joint_bound(counts(), 1e-21), 2 * (300_000 + 20_000 + 700)
    assert joint_bound(counts(number), 1e-21).entropy == whole.entropy
    for factor in (0.5, 0.8, 1.25, 2.0):
        entropy = joint_bound(counts(round(factor * number)), 1e-21).entropy
        assert 0.97 * whole.entropy < entropy <= whole.entropy * (1 + 1e-3)


@given(st.integers(0, 3000), st.floats(1e-15, 0.1))
def test_the_auditor_has_the_same_bound_and_it_is_above_the_ordinary_one(count, failure):
    bound = adaptive_expectation(count, failure)
    assert largest_adaptive(count, failure) == pytest.approx(bound, rel=1e-12)
    assert bound > expectation_bounds(count, failure).upper


def test_whoever_stops_when_few_clicks_were_seen_gains_nothing():
    """Each pulse with several photons clicks in both bases with probability q; she ends where the count is lowest."""
    rng, q, failure, fails = np.random.default_rng(1), 1 / 3, 0.05, 0
    bounds = np.array([adaptive_expectation(n, failure) for n in range(600)])
    naive = np.array([expectation_bounds(n, failure).upper for n in range(600)])
    missed = 0
    for _ in range(4000):
        seen = np.cumsum(rng.random(900) < q)
        sent = q * np.arange(1, 901)
        fails += bool((sent > bounds[seen]).any())
        missed += bool((sent > naive[seen]).any())
    assert fails <= 4000 * failure
    assert missed > 2 * fails  # the bound for a number that does not depend on the clicks is for one look


def phases(values):
    """Operator with a value for each pattern of outcomes in the other basis."""
    signs = np.array([[(-1) ** int(x & z).bit_count() for z in PATTERNS] for x in PATTERNS]) / 2 ** (QUBITS / 2)
    return signs.T @ np.diag(values) @ signs


def parity(mask, outcome):
    """Projector on an outcome of a parity of the bits."""
    return np.diag([float(int(z & mask).bit_count() % 2 == outcome) for z in PATTERNS])


def lightest(masks):
    """Weight of the lightest pattern in the class of each, modulo the parities that were told."""
    told = [0]
    for mask in masks:
        told += [other ^ mask for other in told]
    return np.array([min(int(x ^ r).bit_count() for r in told) for x in PATTERNS])


def told_early(first, second, factor):
    """Factor of a part whose parities are told: the second query depends on the first answer."""
    total = np.zeros((1 << QUBITS, 1 << QUBITS))
    for one, two in product(range(2), range(2)):
        leaf = parity(first, one) @ parity(second[one], two)
        total += leaf @ phases(factor(lightest([first, second[one]]))) @ leaf
    return total


@given(st.integers(1, 15), st.tuples(st.integers(1, 15), st.integers(1, 15)), st.floats(0.05, 2.0))
def test_parities_that_are_told_early_do_not_raise_the_mean(first, second, scale):
    """Of the lightest pattern of a class; as operators, so for any state that was sent."""
    whole = phases(np.exp(scale * WEIGHT))
    early = told_early(first, second, lambda weight: np.exp(scale * weight))
    assert np.linalg.eigvalsh(whole - early).min() > -1e-9 * np.exp(4 * scale)


def test_the_pattern_itself_would_not_do():
    """A parity of the bits disturbs the pattern: its weight may grow, and only that of its class does not."""
    whole = phases(np.exp(1.0 * WEIGHT))
    disturbed = sum(parity(3, k) @ whole @ parity(3, k) for k in range(2))
    assert np.linalg.eigvalsh(whole - disturbed).min() < -0.1
