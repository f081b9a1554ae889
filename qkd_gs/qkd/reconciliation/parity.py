"""Trees of block parities, and the random subsets that both sides of reconciliation draw from one public seed.

A tree is a heap over N = 2^k >= n positions: node 1 is the whole key, nodes 2i and 2i + 1 are the halves of node i,
node N + j is position j.  Entries are uint8; bit 0 of each is the parity of this side's bits below the node.
"""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.jit import njit
from qkd_gs.qkd.reconciliation.parity_query import NODE_MASK, PASS_SHIFT, SUBSETS
from qkd_gs.qkd.reconciliation.permutation import GOLDEN, mix

MAX_BITS = 1 << 26


def tree_size(n: int) -> int:
    """Positions N of a tree for n bits: a power of two, at least 2."""
    return 1 << max(1, (n - 1).bit_length())


def checked_bits(bits: ByteArray) -> ByteArray:
    """Return `bits` unchanged after checking them.

    Raises
    ------
    ValueError
        Not one-dimensional uint8 of 0 and 1, or more than `MAX_BITS`.
    """
    array = np.asarray(bits)
    if array.ndim != 1 or array.dtype != np.uint8 or len(array) > MAX_BITS:
        raise ValueError(f'bits must be at most {MAX_BITS} uint8 in a row, not {array.dtype} of shape {array.shape}')
    if len(array) and array.max() > 1:
        raise ValueError('bits must be 0 or 1')
    return array


def checked_seed(seed: int) -> int:
    """Return the seed after checking it.

    Raises
    ------
    ValueError
        It does not fit 64 bits.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError('a seed must be between 0 and 2^64 - 1')
    return int(seed)


def fill_tree(tree: ByteArray, bits: ByteArray) -> None:
    """Write the parities of all nodes over `bits` into `tree`: zeros, or a tree over the same number of bits.

    Nodes without bits are not touched, so their memory is never allocated by the system.
    """
    size, count = len(tree) // 2, len(bits)
    tree[size : size + count] = bits
    while size > 1:
        half, count = size // 2, (count + 1) // 2
        end = size + 2 * count
        np.bitwise_xor(tree[size:end:2], tree[size + 1 : end : 2], out=tree[half : half + count])
        size = half


def subset(n: int, seed: int, number: int) -> ByteArray:
    """Membership (0 or 1) of n positions in a random subset of half of them."""
    words = np.empty(-(-n // 64), np.uint64)
    _subset_words(words, np.uint64(seed), np.uint64(number))
    return np.unpackbits(words.astype('<u8').view(np.uint8), bitorder='little')[:n]


def subset_parities(bits: ByteArray, seed: int, numbers: int) -> ByteArray:
    """Parities of the bits in the subsets 0 ... numbers - 1."""
    packed = np.zeros(-(-len(bits) // 64) * 8, np.uint8)
    packed[: -(-len(bits) // 8)] = np.packbits(bits, bitorder='little')
    out = np.empty(numbers, np.uint8)
    _subset_parities(packed.view('<u8').astype(np.uint64), np.uint64(seed), out)
    return out


@njit(cache=True)
def look_up(trees, numbers, batch, start, answers):  # type: ignore[no-untyped-def]
    """Answer queries from `start` on; return the index of the first without tree or node, or the batch's length."""
    for i in range(start, len(batch)):
        number = batch[i] >> PASS_SHIFT
        node = batch[i] & NODE_MASK
        tree = 0 if number >= SUBSETS else number + 1
        if not 0 <= tree < len(numbers) or numbers[tree] != number or not 1 <= node < trees.shape[1]:
            return i
        answers[i] = trees[tree, node] & 1
    return len(batch)


@njit(cache=True)
def _subset_words(words, seed, number):  # type: ignore[no-untyped-def]
    state = mix(seed ^ mix(number + (np.uint64(1) << np.uint64(32))))
    for i in range(len(words)):
        state += GOLDEN
        words[i] = mix(state)


@njit(cache=True)
def _subset_parities(words, seed, out):  # type: ignore[no-untyped-def]
    for number in range(len(out)):
        state = mix(seed ^ mix(np.uint64(number) + (np.uint64(1) << np.uint64(32))))
        folded = np.uint64(0)
        for i in range(len(words)):
            state += GOLDEN
            folded ^= words[i] & mix(state)
        for shift in (32, 16, 8, 4, 2, 1):
            folded ^= folded >> np.uint64(shift)
        out[number] = np.uint8(folded & np.uint64(1))
