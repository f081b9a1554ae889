"""Reconciliation in one message: how near the limit, how seldom it fails, and what it does with nonsense."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.reconciliation import ldpc
from qkd_gs.qkd.reconciliation.belief_propagation import find_errors
from qkd_gs.qkd.reconciliation.key_blocks import even_slices
from qkd_gs.qkd.reconciliation.ldpc_code import sparse_code

WEIGHTS = ((2, 100), (8, 100))


def keys(n, qber, seed=1):
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    return alice, alice ^ (rng.random(n) < qber).astype(np.uint8)


def matrix(code):
    """Checks by bits, from what the code does to unit vectors alone."""
    return np.array([code.syndrome(row) for row in np.eye(code.bits, dtype=np.uint8)]).T


@pytest.mark.parametrize(('qber', 'n'), [(0.005, 300_000), (0.01, 200_000), (0.02, 100_000), (0.04, 100_000)])
def test_frames_are_corrected_at_the_promised_cost(qber, n):
    for seed in range(4):
        alice, bob = keys(n, qber, seed)
        sent = ldpc.syndrome(alice, qber, seed)
        assert len(sent) == ldpc.plan(n, qber).disclosed_bits
        assert n * binary_entropy(qber) < len(sent) <= 1.25 * n * binary_entropy(qber)
        corrected, found = ldpc.decode(bob, qber, seed, sent)
        assert found
        np.testing.assert_array_equal(corrected, alice)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 3000), qber=st.floats(0, 0.11), real=st.floats(0, 0.2), seed=st.integers(0, 2**64 - 1))
def test_any_length_and_any_error_rate_ends_in_bits_that_fit_or_are_said_not_to(n, qber, real, seed):
    alice, bob = keys(n, real, seed % 2**32)
    sent = ldpc.syndrome(alice, qber, seed)
    corrected, found = ldpc.decode(bob, qber, seed, sent)
    assert len(corrected) == n
    assert len(sent) <= n + 6  # each halving may fill up by one
    if found:
        np.testing.assert_array_equal(ldpc.syndrome(corrected, qber, seed), sent)


def test_a_tie_between_a_few_bits_is_broken(monkeypatch):
    """Belief comes to no end with these; with a push it does."""
    rng = np.random.default_rng(1097)
    alice = rng.integers(0, 2, 300_000, dtype=np.uint8)
    bob = alice ^ (rng.random(300_000) < 0.005).astype(np.uint8)
    sent = ldpc.syndrome(alice, 0.005, 97)
    corrected, found = ldpc.decode(bob, 0.005, 97, sent)
    assert found
    np.testing.assert_array_equal(corrected, alice)
    monkeypatch.setattr(ldpc, '_MORE_ATTEMPTS', 0)
    assert not ldpc.decode(bob, 0.005, 97, sent)[1]


def test_bursts_are_no_worse_than_errors_spread_evenly():
    alice, _ = keys(100_000, 0.0)
    bob = alice.copy()
    bob[30_000:32_000] ^= 1
    corrected, found = ldpc.decode(bob, 0.02, 5, ldpc.syndrome(alice, 0.02, 5))
    assert found
    np.testing.assert_array_equal(corrected, alice)


def test_too_many_errors_are_said_to_be_left():
    alice, bob = keys(50_000, 0.03)
    _, found = ldpc.decode(bob, 0.02, 5, ldpc.syndrome(alice, 0.02, 5))
    assert not found


def test_nothing_decodes_with_another_seed():
    alice, bob = keys(50_000, 0.02)
    corrected, found = ldpc.decode(bob, 0.02, 6, ldpc.syndrome(alice, 0.02, 5))
    assert not found
    assert (corrected != alice).any()


def test_a_syndrome_of_the_wrong_length_is_refused():
    alice, bob = keys(10_000, 0.02)
    with pytest.raises(StationError, match='bits instead of'):
        ldpc.decode(bob, 0.02, 5, ldpc.syndrome(alice, 0.02, 5)[:-1])


@pytest.mark.parametrize('qber', [-0.01, 0.12, float('nan')])
def test_an_error_rate_without_a_key_is_refused(qber):
    with pytest.raises(StationError, match='no key'):
        ldpc.plan(1000, qber)


@given(blocks=st.integers(1, 40), bits=st.integers(0, 3_000_000), qber=st.floats(0, 0.1))
def test_codewords_are_whole_blocks_in_order(blocks, bits, qber):
    slices = even_slices(bits, blocks)
    codewords = ldpc.codeword_slices(slices, qber)
    assert codewords[0].start == 0
    assert codewords[-1].stop == bits
    assert all(a.stop == b.start for a, b in pairwise(codewords))
    assert {codeword.stop for codeword in codewords} <= {block.stop for block in slices}


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(1, 400), checks=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_a_syndrome_is_linear_and_every_column_has_its_weight(bits, checks, seed):
    code = sparse_code(bits, checks, WEIGHTS)
    a, b = np.random.default_rng(seed).integers(0, 2, (2, bits), dtype=np.uint8)
    np.testing.assert_array_equal(code.syndrome(a) ^ code.syndrome(b), code.syndrome(a ^ b))
    np.testing.assert_array_equal(matrix(code).astype(int) @ a % 2, code.syndrome(a))
    assert matrix(code).sum(axis=0).max() <= min(8, checks)


def test_no_two_bits_share_two_checks_where_there_is_room():
    code = sparse_code(4096, 2048, WEIGHTS)
    full = matrix(code).astype(np.float32)
    shared = full.T @ full
    np.fill_diagonal(shared, 0)
    assert shared.max() == 1


def test_codes_are_the_same_on_every_machine():
    """Both sides draw the code for themselves: a change of one edge would break every link between versions."""
    code = sparse_code(1000, 300, WEIGHTS)
    mixed = (code.columns * 31 + code.shifts * 7).dot(np.arange(len(code.columns)))
    assert (code.lanes, len(code.columns), int(mixed)) == (4, 850, 1639102613)


def test_beliefs_agree_with_the_likeliest_errors_of_all():
    """On a code small enough to try all errors."""
    code = sparse_code(12, 8, ((2, 500),))
    rng = np.random.default_rng(3)
    patterns = (np.arange(1 << 12)[:, None] >> np.arange(12) & 1).astype(np.uint8)
    syndromes = patterns.astype(int) @ matrix(code).T % 2
    agreed = 0
    for _ in range(50):
        odds = rng.uniform(1.0, 6.0, 12).astype(np.float32)
        errors = (rng.random(12) < 1 / (1 + np.exp(odds))).astype(np.uint8)
        fitting = patterns[(syndromes == code.syndrome(errors)).all(axis=1)]
        likeliest = fitting[np.argmin(fitting @ odds)]
        guess, found = find_errors(code, code.syndrome(errors), odds)
        agreed += found and (guess == likeliest).all()
    assert agreed >= 47


def test_key_bits_stay_out_of_logs():
    assert 'uint8' not in repr(ldpc.plan(1000, 0.02))
