"""Alice's side of Cascade: answers parity queries and counts the disclosed parities."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.reconciliation.parity import (
    checked_bits,
    checked_seed,
    fill_tree,
    look_up,
    subset,
    subset_parities,
    tree_size,
)
from qkd_gs.qkd.reconciliation.parity_query import NODE_MASK, PASS_SHIFT, SUBSETS, ParityQueries
from qkd_gs.qkd.reconciliation.permutation import in_order, shuffle_key

MAX_SUBSETS = 256
MAX_SHUFFLES = 32
MAX_TREES = MAX_SUBSETS + MAX_SHUFFLES  # that one key is made into; an honest Bob needs a tenth of them
MAX_BATCHES = 1 << 12  # of queries about one key; an honest Bob sends some hundreds
_FIRST_ROOTS = 32


class ParityServer:
    """Computes parities of a key on request.

    What the questions cost is bounded, whoever asks: a parity is looked up in a tree, and neither the trees that are
    built nor the batches that are answered are more than `MAX_TREES` and `MAX_BATCHES`.

    Parameters
    ----------
    bits : (n,) uint8
        Alice's bits, 0 or 1.
    seed : int
        Public seed of the permutations, the same as Bob's.

    Attributes
    ----------
    disclosed_bits : int
        Parities disclosed so far.
    """

    def __init__(self, bits: ByteArray, seed: int):
        self._bits = checked_bits(bits)
        self._seed = checked_seed(seed)
        self._size = tree_size(len(bits))
        # tree 0 is that of the subset last queried, the others are those of the permutations
        self._trees = np.zeros((1, 2 * self._size), np.uint8)
        self._numbers = np.full(1, -1)
        self._root_parities = np.empty(0, np.uint8)
        self._built = self._batches = 0
        self.disclosed_bits = 0

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<ParityServer of {len(self._bits)} bits, {self.disclosed_bits} disclosed>'

    def answer(self, batch: ParityQueries) -> ByteArray:
        """Parities (0 or 1) of the queried blocks.

        Raises
        ------
        StationError
            A query names no block of this key; no query, or not in ascending order; or more work than an honest
            Bob causes.
        """
        if not len(batch) or (np.diff(batch) < 0).any():
            raise StationError('the parity queries of a message are none, or not in ascending order')
        self._batches += 1
        if self._batches > MAX_BATCHES:
            raise StationError(f'parities were requested in more than {MAX_BATCHES} messages')
        answers = np.empty(len(batch), np.uint8)
        end = len(batch)
        subsets = int(np.searchsorted(batch, SUBSETS << PASS_SHIFT))
        if end > subsets + 1 and np.all(batch[subsets:] & NODE_MASK == 1):
            answers[subsets:] = self._roots((batch[subsets:] >> PASS_SHIFT) - SUBSETS)
            end = subsets
        if subsets:
            self._allocate(1 + int(batch[:subsets].max() >> PASS_SHIFT))
        done = 0
        while (done := look_up(self._trees, self._numbers, batch[:end], done, answers)) < end:
            self._make_tree(int(batch[done]))
        self.disclosed_bits += len(batch)
        return answers

    def wipe(self) -> None:
        """Overwrite the bits; the object cannot be used afterwards."""
        self._bits[:] = 0
        for made in np.flatnonzero(self._numbers >= 0):
            self._trees[made, self._size : self._size + len(self._bits)] = 0

    def _roots(self, subsets: ParityQueries) -> ByteArray:
        """Parities of whole subsets."""
        highest = int(subsets.max())
        if highest >= MAX_SUBSETS:
            raise _no_such_block()
        if highest >= len(self._root_parities):
            number = max(_FIRST_ROOTS, 1 << highest.bit_length())
            self._root_parities = subset_parities(self._bits, self._seed, number)
        return np.asarray(self._root_parities[subsets])

    def _make_tree(self, query: int) -> None:
        number, node = query >> PASS_SHIFT, query & NODE_MASK
        known = 0 <= number < MAX_SHUFFLES or SUBSETS <= number < SUBSETS + MAX_SUBSETS
        if not known or not 1 <= node < 2 * self._size:
            raise _no_such_block()
        self._built += 1
        if self._built > MAX_TREES:
            raise StationError(f'parity queries need more than {MAX_TREES} trees of the key')
        n = len(self._bits)
        if number >= SUBSETS:
            fill_tree(self._trees[0], self._bits & subset(n, self._seed, number - SUBSETS))
            self._numbers[0] = number
            return
        fill_tree(self._trees[number + 1], in_order(self._bits, shuffle_key(n, self._seed, number)))
        self._numbers[number + 1] = number

    def _allocate(self, shuffles: int) -> None:
        """Allocate trees for `shuffles` permutations; the first batch needs all of them at once."""
        missing = min(shuffles, MAX_SHUFFLES) + 1 - len(self._trees)
        if missing <= 0:
            return
        trees = np.zeros((len(self._trees) + missing, 2 * self._size), np.uint8)
        for made in np.flatnonzero(self._numbers >= 0):
            trees[made] = self._trees[made]
        self._trees, self._numbers = trees, np.concatenate([self._numbers, np.full(missing, -1)])


def _no_such_block() -> StationError:
    return StationError('a parity query names a block that this key does not have: the two sides disagree')
