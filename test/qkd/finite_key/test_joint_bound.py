"""The joint bound: no detection raises the mean of the product, whatever the eavesdropper sends; and its coverage."""

from itertools import product
from math import exp, factorial, log2

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qkd_gs.qkd.finite_key.counts import BasisCounts, Intensities, KeyCounts, Receiver, SourceTolerance, Tally
from qkd_gs.qkd.finite_key.joint_bound import joint_bound, weights
from qkd_gs.qkd.finite_key.receiver_flaws import bits_given_away, raised_phase_error
from qkd_gs.qkd.finite_key.source_odds import SourceOdds

HALF = 1 / 2


def tallies(sent, sifted=(0, 0, 0), errors=(0, 0)):
    signal, decoy, vacuum = (Tally(sent=n, sifted=m, errors=0) for n, m in zip(sent, sifted, strict=True))
    return BasisCounts(
        signal=signal,
        decoy=decoy.model_copy(update={'errors': errors[0]}),
        vacuum=vacuum.model_copy(update={'errors': errors[1]}),
    )


def receiver(within=0.0, between=0.0, cross_clicks=0, **bits):
    return Receiver(within_basis=within, between_bases=between, cross_clicks=cross_clicks, **bits)


sources = st.tuples(
    st.floats(0.2, 0.95),  # signal
    st.floats(0.05, 0.6),  # decoy, as a part of it
    st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50)),  # probabilities
    st.floats(0, 0.1),  # tolerances
    st.floats(0, 0.1),
)


def odds_and_corners(source):
    """Odds by the code, and label probabilities of every extreme source within the tolerance: {n: [(s, d, v), ..]}."""
    mu, part, sent, intensity, probability = source
    declared = Intensities(signal=mu, decoy=mu * part, vacuum=0)
    tolerance = SourceTolerance(intensity=intensity, probability=probability)
    assume(mu * (1 + intensity) < 1 and part * (1 + intensity) < (1 - intensity))
    odds = SourceOdds.of(tallies([10**6 * n for n in sent]), declared, tolerance)
    ends = (-1, 0, 1)
    corners = {n: [] for n in (*range(8), 30)}
    for a, b, p, q, r in product(ends, repeat=5):
        m = mu * (1 + a * intensity), mu * part * (1 + b * intensity), 0.0
        chance = [n * (1 + k * probability) for n, k in zip(sent, (p, q, r), strict=True)]
        for n, found in corners.items():
            likelihood = [c * exp(-x) * x**n / factorial(n) for c, x in zip(chance, m, strict=True)]
            found.append(np.array(likelihood) / sum(likelihood))
    return odds, corners


def factors(found, scale, phase_error):
    """Factors of (signal of one photon right, wrong, other signal; decoy right, [wrong]; vacuum right, [wrong])."""
    gain, price = 1 + log2(1 - phase_error), log2((1 - phase_error) / phase_error)
    signal = exp(found.signal)
    return (
        signal * exp(-scale * gain),
        signal * exp(-scale * (gain - price)),
        signal,
        exp(found.decoy),
        [exp(x) for x in found.decoy_error],
        exp(found.vacuum),
        [exp(x) for x in found.vacuum_error],
    )


@settings(max_examples=60, deadline=None)
@given(source=sources, scale=st.floats(1e-4, 0.02), phase_error=st.floats(0.005, 0.15), ratio=st.floats(0.7, 1.4))
def test_no_pulse_raises_the_mean(source, scale, phase_error, ratio):
    odds, corners = odds_and_corners(source)
    found = weights(odds, (ratio, 1 / ratio), scale, phase_error)
    assume(found is not None)
    right, wrong, signal, decoy, decoy_wrong, vacuum, vacuum_wrong = factors(found, scale, phase_error)
    for p in corners[0]:
        assert p @ (signal, decoy, vacuum) <= 1 + 1e-12
        for k in range(2):
            assert p @ (signal, decoy_wrong[k], vacuum_wrong[k]) <= 1 + 1e-12
    for p in corners[1]:
        assert p[0] * right + p[1] * decoy <= 1 + 1e-12
        # errors in basis k: bits of the other basis' key, and decoys of this one
        for k, here in enumerate((1 / (1 + ratio), ratio / (1 + ratio))):
            gained = (1 - here) * p[0] * (wrong - right) + here * p[1] * (decoy_wrong[k] - decoy)
            assert gained <= 1e-12
    for n in corners:
        if n >= 2:
            for p in corners[n]:
                assert p[0] * signal + p[1] * decoy <= 1 + 1e-12


def error_operator(efficiencies, basis):
    """Alice's and Bob's bits differ, and the detector of Bob's bit clicks; 4 x 4, Alice's qubit first."""
    turn = np.eye(2) if basis == 0 else np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    projector = [np.outer(turn[:, k], turn[:, k]) for k in range(2)]
    return sum(efficiencies[1 - k] * np.kron(projector[k], projector[1 - k]) for k in range(2))


def acceptance(efficiencies, basis):
    turn = np.eye(2) if basis == 0 else np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    return sum(efficiencies[k] * np.outer(turn[:, k], turn[:, k]) for k in range(2))


@settings(max_examples=100, deadline=None)
@given(
    within=st.floats(0, 0.1),
    between=st.floats(0, 0.1),
    unequal=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
    phase_error=st.floats(0.01, 0.1),
    scale=st.floats(1e-4, 0.01),
)
def test_unequal_detectors_do_not_raise_the_mean(within, between, unequal, phase_error, scale):
    source = (0.8, 0.125, (2, 1, 1), 0.0, 0.0)
    odds, corners = odds_and_corners(source)
    found = weights(odds, (1.0, 1.0), scale, phase_error, raised_phase_error(receiver(within, between), phase_error))
    assume(found is not None)
    right, wrong, _, decoy, decoy_wrong, _, _ = factors(found, scale, phase_error)
    p = corners[1][0]
    bases = [1 + unequal[2] * between, 1 - unequal[2] * between]
    eta = [[mean * (1 + u * within), mean * (1 - u * within)] for mean, u in zip(bases, unequal[:2], strict=True)]
    total = np.zeros((4, 4))
    for basis in (0, 1):
        accept = np.kron(np.eye(2), acceptance(eta[basis], basis))
        root = np.kron(np.eye(2), acceptance(np.sqrt(eta[basis]), basis))
        phase = root @ error_operator([1, 1], 1 - basis) @ root  # measured in the other basis after the click
        total += HALF * p[0] * ((wrong - right) * phase + (right - 1) * accept)
        total += HALF * p[1] * ((decoy_wrong[basis] - decoy) * error_operator(eta[basis], basis))
        total += HALF * p[1] * (decoy - 1) * accept
    assert np.linalg.eigvalsh(total).max() <= 1e-12


# single photons, several, or none among 300,000 detections; errors of each: what an eavesdropper may choose
ATTACKS = [
    {0: (3000, 0.5), 1: (150_000, 0.012), 2: (80_000, 0.01), 3: (40_000, 0.01)},  # an ordinary link
    {0: (0, 0.5), 1: (60_000, 0.03), 2: (240_000, 0.0)},  # blocks most single photons
    {0: (20_000, 0.5), 1: (150_000, 0.0), 9: (130_000, 0.0)},  # only noise errs
    {0: (1000, 0.0), 1: (200_000, 0.02), 3: (99_000, 0.25)},  # errors of pulses with several photons
    {1: (300_000, 0.05)},
]


@pytest.mark.parametrize('attack', range(len(ATTACKS)))
def test_the_bound_fails_no_more_often_than_it_says(attack):
    rng, failures, passes, allowed = np.random.default_rng(attack), 0, 120, 0.05
    sent, mean = np.array([2, 1, 1]), np.array([0.8, 0.1, 0.0])
    for _ in range(passes):
        sifted, errors, phase, singles = np.zeros((2, 3), int), np.zeros((2, 3), int), 0, 0
        for n, (number, rate) in ATTACKS[attack].items():
            likelihood = sent * np.exp(-mean) * mean**n
            likelihood /= likelihood.sum()
            for measured, part in enumerate((HALF, HALF)):  # basis of the virtual measurement
                wrong = rng.multinomial(round(number * part * rate), likelihood)
                fine = rng.multinomial(round(number * part * (1 - rate)), likelihood)
                key = 1 - measured if n == 1 else measured  # single photons of the key were sent in the other basis
                sifted[key, 0] += wrong[0] + fine[0]
                sifted[measured, 1:] += wrong[1:] + fine[1:]
                errors[measured, 1:] += wrong[1:]
                if n == 1:
                    phase, singles = phase + wrong[0], singles + wrong[0] + fine[0]
        bases = [tallies([10**9, 5 * 10**8, 5 * 10**8], sifted[k].tolist(), errors[k, 1:].tolist()) for k in range(2)]
        counts = KeyCounts(intensities=Intensities(signal=0.8, decoy=0.1, vacuum=0), hv=bases[0], da=bases[1])
        bound = joint_bound(counts, allowed)
        assert bound is not None
        gain, price = 1 + log2(1 - bound.phase_error), log2((1 - bound.phase_error) / bound.phase_error)
        failures += bound.entropy > gain * singles - price * phase
    assert failures / passes <= allowed


def test_too_few_detections_prove_nothing():
    basis = tallies([10**9, 5 * 10**8, 5 * 10**8], (40, 3, 0))
    counts = KeyCounts(intensities=Intensities(signal=0.8, decoy=0.1, vacuum=0), hv=basis, da=basis)
    bound = joint_bound(counts, 1e-21)
    assert bound is None or bound.entropy < 0


def test_a_tolerance_costs_and_wider_costs_more():
    basis = tallies([10**10, 5 * 10**9, 5 * 10**9], (170_000, 10_500, 150), (160, 75))
    exact = KeyCounts(intensities=Intensities(signal=0.8, decoy=0.1, vacuum=0), hv=basis, da=basis)
    found = [
        joint_bound(exact.model_copy(update={'tolerance': SourceTolerance(intensity=t, probability=t / 10)}), 1e-21)
        for t in (0, 0.01, 0.03)
    ]
    entropy = [bound.entropy for bound in found]
    assert entropy[0] > entropy[1] > entropy[2] > 0
    mismatched = [
        joint_bound(exact.model_copy(update={'receiver': receiver(m, m)}), 1e-21).entropy for m in (0.0, 0.01, 0.05)
    ]
    assert mismatched[0] == entropy[0]
    assert mismatched == sorted(mismatched, reverse=True)


@pytest.mark.parametrize('efficiencies', [(1, 1, 1, 1), (1, 0.9, 0.95, 1)])
def test_pulses_of_several_photons_at_the_receiver_are_no_more_than_it_says(efficiencies):
    """Two photons in H, whatever an eavesdropper sends: at a splitter, clicks in both bases or not."""
    rng, allowed, pulses, passes = np.random.default_rng(3), 0.05, 400, 300
    h, v, d, a = efficiencies
    within, between = max((h - v) / (h + v), (a - d) / (d + a)), abs(h + v - d - a) / (h + v + d + a)
    failures = 0
    for _ in range(passes):
        hv = rng.random((pulses, 2)) < HALF  # photons that go to this basis
        clicked = np.where(hv, rng.random(hv.shape) < v, rng.random(hv.shape) < min(d, a))
        cross = int(((clicked & hv).any(axis=1) & (clicked & ~hv).any(axis=1)).sum())
        failures += bits_given_away(receiver(within, between, cross), allowed) < pulses
    assert failures / passes <= allowed


def test_bits_given_away_are_added():
    assert bits_given_away(None, 1e-12) == 0
    plain = bits_given_away(receiver(cross_clicks=40), 1e-12)
    assert 80 < plain < 250
    assert bits_given_away(receiver(cross_clicks=40, excess_dark_bits=7, edge_bits=100), 1e-12) == plain + 107
