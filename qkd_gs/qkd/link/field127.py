"""Horner's rule over the prime 2^127 - 1, compiled: tags cover all messages, 40 megabytes in a bright pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qkd_gs.jit import njit

BLOCK_BYTES = 15
PRIME = (1 << 127) - 1
_LOW = (1 << 64) - 1
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_TOP = np.uint64(63)
_BELOW_TOP = np.uint64((1 << 63) - 1)
_ONE = np.uint64(1)


def horner(total: int, point: int, blocks: bytes) -> int:
    """``(total + block) * point`` for each block of 15 bytes (little-endian) in turn, in [0, p)."""
    words = np.zeros((len(blocks) // BLOCK_BYTES, 2), '<u8')
    words.view(np.uint8)[:, :BLOCK_BYTES] = np.frombuffer(blocks, np.uint8).reshape(-1, BLOCK_BYTES)
    low, high = _horner(words.astype(np.uint64, copy=False), _words(total), _words(point))
    return (int(low) | int(high) << 64) % PRIME


def _words(number: int) -> NDArray[np.uint64]:
    return np.array([number & _LOW, number >> 64], np.uint64)


@njit(cache=True)
def _product(a, b):  # type: ignore[no-untyped-def]
    """High and low word of the product of two words."""
    a0, a1, b0, b1 = a & _LOW_HALF, a >> _HALF, b & _LOW_HALF, b >> _HALF
    middle = a1 * b0 + (a0 * b0 >> _HALF)
    other = a0 * b1 + (middle & _LOW_HALF)
    return a1 * b1 + (middle >> _HALF) + (other >> _HALF), a * b


@njit(cache=True)
def _horner(words, total, point):  # type: ignore[no-untyped-def]
    low, high, r0, r1 = total[0], total[1], point[0], point[1]
    for k in range(len(words)):
        t0 = low + words[k, 0]
        t1 = high + words[k, 1] + np.uint64(t0 < low)  # below 2^63 + 2^56 + 1
        p1, p0 = _product(t0, r0)
        h01, l01 = _product(t0, r1)
        h10, l10 = _product(t1, r0)
        p3, p2 = _product(t1, r1)
        p1 += l01
        carry = np.uint64(p1 < l01)
        p1 += l10
        carry += np.uint64(p1 < l10)
        p2 += carry
        over = np.uint64(p2 < carry)
        p2 += h01
        over += np.uint64(p2 < h01)
        p2 += h10
        over += np.uint64(p2 < h10)
        p3 += over
        # 2^127 = 1 modulo p: the bits above are added below, twice
        f0, f1 = (p1 >> _TOP) | (p2 << _ONE), (p2 >> _TOP) | (p3 << _ONE)
        low = p0 + f0
        high = (p1 & _BELOW_TOP) + f1 + np.uint64(low < f0)
        left = high >> _TOP
        low += left
        high = (high & _BELOW_TOP) + np.uint64(low < left)
    return low, high
