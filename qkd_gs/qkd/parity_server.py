"""Alice's end of reconciliation: she answers questions about parities, and counts what she discloses."""

from __future__ import annotations

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.qkd.parity import Bits, checked_bits, checked_seed, parity_tree, shuffle, subset, subset_parities, tree_size
from qkd_gs.qkd.questions import NODE_MASK, PASS_SHIFT, SUBSETS, Questions

MAX_SUBSETS = 256
MAX_SHUFFLES = 32


class ParityServer:
    """Parities of a key on demand.

    Parameters
    ----------
    bits : (n,) uint8
        Alice's bits, 0 or 1.
    seed : int
        Public seed of the shuffles, the same as Bob's.

    Attributes
    ----------
    disclosed_bits : int
        Parities given away so far, every one counted.
    """

    def __init__(self, bits: Bits, seed: int):
        self._bits = checked_bits(bits)
        self._seed = checked_seed(seed)
        self._size = tree_size(len(bits))
        self._shuffled: dict[int, Bits] = {}
        self._subset: tuple[int, Bits] = (-1, np.zeros(0, np.uint8))  # the last one asked into, and its tree
        self.disclosed_bits = 0

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<ParityServer of {len(self._bits)} bits, {self.disclosed_bits} disclosed>'

    def answer(self, batch: Questions) -> Bits:
        """Parities (0 or 1) of the blocks asked for.

        Raises
        ------
        StationError
            If a question names no block of this key.
        """
        passes, nodes = batch >> PASS_SHIFT, batch & NODE_MASK
        self._refuse_unknown(passes, nodes)
        self.disclosed_bits += len(batch)
        answers = np.empty(len(batch), np.uint8)
        # passes ascend in a batch, so each is one stretch of it
        starts = np.flatnonzero(np.diff(passes, prepend=-1))
        if len(starts) > 1 and passes[0] >= SUBSETS and nodes.max() == 1:  # roots of all subsets at once
            answers[:] = subset_parities(self._bits, self._seed, int(passes[-1]) - SUBSETS + 1)[passes - SUBSETS]
            return answers
        for start, end in zip(starts, [*starts[1:], len(batch)], strict=True):
            answers[start:end] = self._tree(int(passes[start]))[nodes[start:end]]
        return answers

    def _refuse_unknown(self, passes: Questions, nodes: Questions) -> None:
        if not len(passes):
            return
        known = (passes < MAX_SHUFFLES) | ((passes >= SUBSETS) & (passes < SUBSETS + MAX_SUBSETS))
        ascending = bool(np.all(np.diff(passes) >= 0))
        if passes[0] < 0 or not known.all() or not ascending or nodes.min() < 1 or nodes.max() >= 2 * self._size:
            raise StationError('a parity was asked of a block that this key does not have: the two sides disagree')

    def _tree(self, number: int) -> Bits:
        if number < SUBSETS:
            if number not in self._shuffled:
                order = shuffle(len(self._bits), self._seed, number)
                self._shuffled[number] = parity_tree(self._bits[order], self._size)
            return self._shuffled[number]
        if self._subset[0] != number:
            member = subset(len(self._bits), self._seed, number - SUBSETS)
            self._subset = (number, parity_tree(self._bits & member, self._size))
        return self._subset[1]
