"""Verification: equal keys agree, different ones do not, as rarely as stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.qkd.amplification.verify import collision_probability, digest, same, seed_bytes
from qkd_gs.qkd.link.field127 import horner
from qkd_gs.qkd.link.polynomial import PolynomialHash, agreement_probability, block_bytes


def key(n, seed=1):
    return np.random.default_rng(seed).integers(0, 2, n, dtype=np.uint8)


def seed(number, bits=64):
    return np.random.default_rng(number).bytes(seed_bytes(bits))


@pytest.mark.parametrize('bits', [32, 64, 100, 256])
def test_equal_keys_have_equal_digests_of_the_length_asked_for(bits):
    found = digest(key(10_007), seed(1, bits), bits)
    assert same(found, digest(key(10_007).copy(), seed(1, bits), bits))
    assert len(found) == -(-bits // 8)


@pytest.mark.parametrize('place', [0, 1, 63, 64, 5000, 10_006])
def test_a_single_different_bit_shows(place):
    other = key(10_007)
    other[place] ^= 1
    assert not same(digest(key(10_007), seed(1), 64), digest(other, seed(1), 64))


def test_keys_of_different_lengths_differ_even_if_all_zero():
    digests = {digest(np.zeros(n, np.uint8), seed(1), 64) for n in (0, 1, 8, 9, 512, 1024)}
    assert len(digests) == 6


def test_no_bit_of_the_digest_is_fixed_over_seeds():
    """Each bit is one with probability 1/2 over the draw of the hash; 5 sigma of 400 draws."""
    draws = np.array([np.unpackbits(np.frombuffer(digest(key(300), seed(k, 32), 32), np.uint8)) for k in range(400)])
    assert (abs(draws.mean(axis=0) - 0.5) < 0.125).all()


def test_collisions_are_as_rare_as_stated():
    """Digests of two keys over many draws: agreement of single bits is that of coins, so 32 agree once in 2^32."""
    other = key(300)
    other[17] ^= 1
    differences = np.array(
        [
            np.unpackbits(np.frombuffer(digest(key(300), seed(k, 32), 32), np.uint8))
            ^ np.unpackbits(np.frombuffer(digest(other, seed(k, 32), 32), np.uint8))
            for k in range(400)
        ]
    )
    assert (abs(differences.mean(axis=0) - 0.5) < 0.125).all()
    assert collision_probability(10**7, 64) == pytest.approx(2**-64)


def test_wrong_seeds_and_lengths_are_refused():
    with pytest.raises(ValueError, match='seed'):
        digest(key(10), b'short', 64)
    for bits in (0, 31, 257):
        with pytest.raises(ValueError, match='between'):
            seed_bytes(bits)


def test_polynomials_against_horner_in_plain_integers():
    message, point = np.random.default_rng(3).bytes(100), 123456789
    prime = 2**127 - 1
    total = 0
    for start in range(0, 100, 15):
        total = (total + int.from_bytes(message[start : start + 15], 'little')) * point % prime
    expected = (total + 100) * point % prime
    pieces = PolynomialHash(point, 127)
    for start in range(0, 100, 7):
        pieces.update(message[start : start + 7])
    assert pieces.value() == expected
    assert pieces.value() == expected  # asking does not change it


EDGES = [0, 1, 2**63, 2**64 - 1, 2**64, 2**120 - 1, 2**126, 2**127 - 3, 2**127 - 2]
ELEMENTS = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**127 - 2))
BLOCKS = st.one_of(st.sampled_from([bytes(15), b'\xff' * 15]), st.binary(min_size=15, max_size=15))


@settings(max_examples=300, deadline=None)
@given(total=ELEMENTS, point=ELEMENTS, blocks=st.lists(BLOCKS, max_size=4))
def test_the_compiled_field_is_that_of_plain_integers(total, point, blocks):
    expected = total
    for block in blocks:
        expected = (expected + int.from_bytes(block, 'little')) * point % (2**127 - 1)
    assert horner(total, point, b''.join(blocks)) == expected


def test_agreement_grows_with_the_number_of_blocks():
    assert block_bytes(127) == 15
    assert agreement_probability(15_000, 127) == pytest.approx(1002 / 2**127)
    with pytest.raises(ValueError, match='primes'):
        PolynomialHash(1, 61)
    with pytest.raises(ValueError, match='field'):
        PolynomialHash(2**127 - 1, 127)
