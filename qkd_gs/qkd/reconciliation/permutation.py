"""Permutations that both sides of reconciliation compute from one public seed, without tables.

A table for every pass of Cascade would need more memory than all its other data.  Instead, a power of two of positions
is permuted by rounds of invertible steps: fold the upper half of the number into the lower one, multiply by an odd
number, add another.  A position that maps behind the last bit is permuted again until it does not (cycle walking).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qkd_gs.jit import njit

Key = NDArray[np.uint64]

KEY_WORDS = 14  # mask, shift, and of each round the factor, the summand and the inverse of the factor
_AT_ONCE = 2048
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def shuffle_key(n: int, seed: int, number: int) -> Key:
    """Parameters of permutation `number` of n positions, (KEY_WORDS,) uint64; number 0 is the identity."""
    key = np.zeros(KEY_WORDS, np.uint64)
    if number:
        width = max(1, (n - 1).bit_length())
        key[0], key[1] = (1 << width) - 1, (width + 1) // 2
        _draw(key, np.uint64(seed), np.uint64(number))
    return key


def shuffle(n: int, seed: int, number: int) -> NDArray[np.int32]:
    """Permutation of n positions as a table, position -> bit index; the same on every machine."""
    order = np.empty(n, np.int32)
    _fill(order, shuffle_key(n, seed, number))
    return order


@njit(cache=True)
def in_order(bits, key):  # type: ignore[no-untyped-def]
    """Permuted bits."""
    out, n = np.empty(len(bits), np.uint8), len(bits)
    if key[0] == 0:
        out[:] = bits
        return out
    x, left = np.empty(_AT_ONCE, np.uint64), np.empty(_AT_ONCE, np.int64)
    again = np.empty(_AT_ONCE, np.uint64)
    for start in range(0, n, _AT_ONCE):
        count = min(_AT_ONCE, n - start)
        for k in range(count):
            x[k] = start + k
        _permute(x[:count], key)
        lost = 0
        for k in range(count):  # positions behind the last bit are few, and permuted again together
            left[lost] = k
            lost += x[k] >= n
        while lost:
            for k in range(lost):
                again[k] = x[left[k]]
            _permute(again[:lost], key)
            still = 0
            for k in range(lost):
                x[left[k]] = again[k]
                left[still] = left[k]
                still += again[k] >= n
            lost = still
        for k in range(count):
            out[start + k] = bits[x[k]]
    return out


@njit(cache=True)
def _permute(x, key):  # type: ignore[no-untyped-def]
    """Permute each number once, vectorized: `bit_at` without its loop."""
    mask, shift = key[0], key[1]
    f0, a0, f1, a1, f2, a2, f3, a3 = key[2], key[3], key[5], key[6], key[8], key[9], key[11], key[12]
    for k in range(len(x)):
        v = x[k]
        v = ((v ^ (v >> shift)) * f0 + a0) & mask
        v = ((v ^ (v >> shift)) * f1 + a1) & mask
        v = ((v ^ (v >> shift)) * f2 + a2) & mask
        x[k] = ((v ^ (v >> shift)) * f3 + a3) & mask


@njit(cache=True)
def positions_of(order):  # type: ignore[no-untyped-def]
    """Inverse of a permutation's table: the position of each bit."""
    out = np.empty(len(order), np.int32)
    for position in range(len(order)):
        out[order[position]] = position
    return out


@njit(cache=True, inline='always')
def bit_at(position, n, key):  # type: ignore[no-untyped-def]
    """Index of the bit at a position of the permuted key."""
    mask, shift = key[0], key[1]
    if mask == 0:
        return np.int64(position)
    x = np.uint64(position)
    while True:
        for at in range(2, KEY_WORDS, 3):
            x ^= x >> shift
            x = (x * key[at] + key[at + 1]) & mask
        if x < np.uint64(n):
            return np.int64(x)


@njit(cache=True, inline='always')
def position_of(bit, n, key):  # type: ignore[no-untyped-def]
    """Position of a bit in the permuted key."""
    mask, shift = key[0], key[1]
    if mask == 0:
        return np.int64(bit)
    x = np.uint64(bit)
    while True:
        for at in range(KEY_WORDS - 3, 1, -3):
            x = ((x - key[at + 1]) * key[at + 2]) & mask
            x ^= x >> shift
        if x < np.uint64(n):
            return np.int64(x)


@njit(cache=True)
def mix(value):  # type: ignore[no-untyped-def]
    """Finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True)
def _draw(key, seed, number):  # type: ignore[no-untyped-def]
    state = mix(seed ^ mix(number))
    for at in range(2, KEY_WORDS, 3):
        state += GOLDEN
        factor = mix(state) | np.uint64(1)
        state += GOLDEN
        inverse = factor  # correct to 3 bits; each Newton step doubles this: 3, 6, 12, 24, 48, 96
        for _ in range(5):
            inverse *= np.uint64(2) - factor * inverse
        key[at], key[at + 1], key[at + 2] = factor, mix(state), inverse


@njit(cache=True)
def _fill(order, key):  # type: ignore[no-untyped-def]
    for position in range(len(order)):
        order[position] = bit_at(position, len(order), key)
