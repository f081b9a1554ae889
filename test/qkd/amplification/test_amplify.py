"""Toeplitz hashing: against the matrix written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import toeplitz as dense_toeplitz

from qkd_gs.qkd.amplification import amplify
from qkd_gs.qkd.amplification.amplify import toeplitz
from qkd_gs.qkd.sifting.packed_bits import PackedBits


def by_definition(bits, seed_bits, out_len):
    n = len(bits)
    matrix = dense_toeplitz(seed_bits[n - 1 :], seed_bits[n - 1 :: -1])  # first column, first row
    assert matrix.shape == (out_len, n)
    return (matrix.astype(np.int64) @ bits) % 2


def draw(n, out_len, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, out_len + n - 1, dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), out_len=st.integers(1, 400), seed=st.integers(0, 2**32 - 1))
def test_small_matrices(n, out_len, seed):
    bits, seed_bits = draw(n, out_len, seed)
    np.testing.assert_array_equal(toeplitz(bits, seed_bits, out_len), by_definition(bits, seed_bits, out_len))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 300), out_len=st.integers(1, 300), block=st.integers(1, 64), seed=st.integers(0, 2**32 - 1))
def test_blocks_of_any_size_add_up(n, out_len, block, seed):
    bits, seed_bits = draw(n, out_len, seed)
    rows, columns = min(block, out_len), min(block, n)
    found = amplify._by_blocks(PackedBits.of(bits), np.packbits(seed_bits), out_len, rows, columns)
    np.testing.assert_array_equal(found[:], by_definition(bits, seed_bits, out_len))


def test_the_index_convention():
    """T[i, j] = seed_bits[i - j + n - 1], column by column."""
    n, out_len = 5, 3
    _, seed_bits = draw(n, out_len)
    for j in range(n):
        unit = np.zeros(n, np.uint8)
        unit[j] = 1
        expected = [seed_bits[i - j + n - 1] for i in range(out_len)]
        assert toeplitz(unit, seed_bits, out_len).tolist() == expected


@pytest.mark.parametrize('ones', [False, True])
def test_large_keys_agree_row_by_row(ones):
    """All ones are the worst case for rounding: every count is as large as it can be."""
    n, out_len = 3_000_000, 40_000
    bits, seed_bits = draw(n, out_len)
    if ones:
        bits[:], seed_bits[:] = 1, 1
    found = toeplitz(bits, seed_bits, out_len)
    for i in (0, 1, 12_345, out_len - 1):
        row = seed_bits[i : i + n][::-1]
        assert found[i] == np.count_nonzero(row & bits) % 2


def test_linearity():
    bits, seed_bits = draw(5000, 2000)
    other, _ = draw(5000, 2000, seed=2)
    sum_of_images = toeplitz(bits, seed_bits, 2000) ^ toeplitz(other, seed_bits, 2000)
    np.testing.assert_array_equal(toeplitz(bits ^ other, seed_bits, 2000), sum_of_images)


def test_nothing_gives_nothing():
    assert len(toeplitz(np.zeros(5, np.uint8), np.zeros(4, np.uint8), 0)) == 0
    assert toeplitz(np.zeros(0, np.uint8), np.zeros(2, np.uint8), 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ('bits', 'seed_bits', 'out_len'),
    [
        (np.zeros(5, np.uint8), np.zeros(6, np.uint8), 3),
        (np.zeros(5, np.uint8), np.zeros(7, np.uint8), -1),
        (np.full(5, 2, np.uint8), np.zeros(7, np.uint8), 3),
        (np.zeros(5), np.zeros(7, np.uint8), 3),
        (np.zeros((5, 1), np.uint8), np.zeros(7, np.uint8), 3),
    ],
)
def test_what_does_not_fit_is_refused(bits, seed_bits, out_len):
    with pytest.raises(ValueError, match=r'seed bits|negative|0 or 1|uint8'):
        toeplitz(bits, seed_bits, out_len)


def test_an_fft_that_rounds_badly_is_noticed(monkeypatch):
    monkeypatch.setattr(amplify, 'irfft', lambda spectrum, n, **_: np.full((n, spectrum.shape[1]), 0.4))
    with pytest.raises(ArithmeticError):
        toeplitz(*draw(50, 20), 20)
