"""Verification: both sides compare a short universal hash of their corrected keys.

The hash is drawn after the keys are fixed, so that residual errors of any pattern stay undetected with at most the
stated probability.  A polynomial over 2^521 - 1 compresses the key to 521 bits, and a Toeplitz matrix compresses these
to the digest; collisions of the first step are negligible, but counted.  The digest discloses bits of the key.
"""

from __future__ import annotations

import hmac

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.amplification.amplify import toeplitz
from qkd_gs.qkd.link.polynomial import PolynomialHash, agreement_probability
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_EXPONENT = 521
_POINT_BYTES = 66  # 528 bits, of which 521 are used
MIN_DIGEST_BITS, MAX_DIGEST_BITS = 32, 256


def seed_bytes(digest_bits: int) -> int:
    """Number of random bytes that select a hash; they may be public, but only after the keys are fixed."""
    _check(digest_bits)
    return _POINT_BYTES + -(-(_EXPONENT + digest_bits - 1) // 8)


def collision_probability(key_bits: int, digest_bits: int) -> float:
    """Upper bound on the probability that two different keys of at most `key_bits` have the same digest."""
    _check(digest_bits)
    return 2.0**-digest_bits + agreement_probability(-(-key_bits // 8) + 8, _EXPONENT)


def digest(bits: ByteArray, seed: bytes, digest_bits: int) -> bytes:
    """Hash of a key.

    Parameters
    ----------
    bits : (n,) uint8
        The key, 0 or 1.
    seed : bytes
        `seed_bytes` random bytes, the same on both sides.
    digest_bits : int
        Length of the hash, 32 to 256.

    Returns
    -------
    bytes
        The hash, padded with zero bits to a whole byte.

    Raises
    ------
    ValueError
        The seed has another length, or `digest_bits` is out of range.
    """
    if len(seed) != seed_bytes(digest_bits):
        raise ValueError(f'a seed of {len(seed)} bytes, but {seed_bytes(digest_bits)} are needed')
    prime = (1 << _EXPONENT) - 1
    point = (int.from_bytes(seed[:_POINT_BYTES], 'little') & prime) % prime
    polynomial = PolynomialHash(point, _EXPONENT)
    polynomial.update(len(bits).to_bytes(8, 'little'))
    polynomial.update(np.packbits(bits).tobytes())
    value = _bits(polynomial.value().to_bytes(_POINT_BYTES, 'little'), _EXPONENT)
    matrix = _bits(seed[_POINT_BYTES:], _EXPONENT + digest_bits - 1)
    return np.packbits(toeplitz(value, matrix, digest_bits)).tobytes()


def digests(bits: PackedBits, blocks: list[slice], seed: bytes, digest_bits: int) -> list[bytes]:
    """`digest` of each block of a key."""
    found = []
    for block in blocks:
        with bits.plain(block) as plain:
            found.append(digest(plain, seed, digest_bits))
    return found


def same(mine: bytes, theirs: bytes) -> bool:
    """True if two digests agree; constant-time comparison."""
    return hmac.compare_digest(mine, theirs)


def _bits(data: bytes, number: int) -> ByteArray:
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder='little')[:number]


def _check(digest_bits: int) -> None:
    if not MIN_DIGEST_BITS <= digest_bits <= MAX_DIGEST_BITS:
        raise ValueError(f'a digest of {digest_bits} bits is not between {MIN_DIGEST_BITS} and {MAX_DIGEST_BITS}')
