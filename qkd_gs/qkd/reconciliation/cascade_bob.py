"""Bob's side of Cascade: selects the parity queries and corrects bits by the answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import ceil, floor, log2

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.reconciliation import cascade_blocks
from qkd_gs.qkd.reconciliation.parity import (
    checked_bits,
    checked_seed,
    fill_tree,
    subset,
    subset_parities,
    tree_size,
)
from qkd_gs.qkd.reconciliation.parity_query import PASS_SHIFT, SUBSETS, ParityQueries
from qkd_gs.qkd.reconciliation.permutation import KEY_WORDS, in_order, shuffle_key

MAX_QBER = 0.11  # above it there is no key with any reconciliation
_MIN_QBER = 5e-4  # smaller estimates are raised to this: a first pass with few huge blocks would find too few errors
_MAX_DEPTH = 7  # bisection steps in one round trip
_SLACK_BITS = 256
_FEW = 3  # open leaves with which the next pass may always start
_LAST_PART, _LAST_DOUBLINGS = 6, 5
_MOST_HASTE = 40.0

Exchange = Generator[ParityQueries, ByteArray, None]


@dataclass(frozen=True)
class CascadeOptions:
    """Trade-off between few disclosed parities and few round trips.

    Attributes
    ----------
    first_block : float
        Block size of the first pass times the error rate; the size is rounded up to a power of two.
    second_block : float
        Block size of the second pass times the error rate; the size is rounded down.
    growth : int
        Binary logarithm of the factor by which blocks grow from the second pass on.
    haste : float
        Surplus parities that a round trip may request, as a fraction of the Shannon limit of the whole key.
    overlap : float
        The next pass starts when at most this fraction of its number of blocks (or 3) are open leaves.
    patience : float
        Round trips after which the surplus may exceed `haste`, increasingly.
    deadline : int
        Target number of round trips: in the last sixth of them the surplus may increase further.
    hard : bool
        True: stop at the deadline; verification drops the blocks that still have errors.
        False: keys with far more errors than expected, or with bursts, take more round trips.
    confirmations : int
        Random subsets whose parities must agree at the end; a wrong key passes with probability 2^-confirmations.
    """

    first_block: float = 0.5
    second_block: float = 5.2
    growth: int = 3
    haste: float = 0.0002
    overlap: float = 0.06
    patience: float = 150.0
    deadline: int = 190
    hard: bool = False
    confirmations: int = 24


EFFICIENT = CascadeOptions()
QUICK = CascadeOptions(
    first_block=0.4, second_block=1.95, growth=5, haste=0.0035, overlap=0.4, patience=27.5, deadline=40, hard=True
)


class Corrector:
    """Selects queries and corrects bits; a pure object, driven by `next_batch` and `feed` in turn.

    Parameters
    ----------
    bits : (n,) uint8
        Bob's bits, 0 or 1.
    qber : float
        Estimated error rate, 0 to 0.11; a wrong estimate costs more parities, but the result stays correct.
    seed : int
        Public seed of the permutations, 0 to 2^64 - 1, drawn after the bits are fixed.
    options : CascadeOptions

    Attributes
    ----------
    round_trips, asked_bits, corrected_errors : int
        Totals so far.

    Raises
    ------
    StationError
        The error rate is above `MAX_QBER`.
    """

    def __init__(self, bits: ByteArray, qber: float, seed: int, options: CascadeOptions = EFFICIENT):
        if not 0.0 <= qber <= MAX_QBER:
            raise StationError(f'an error rate of {qber:.3g} is not between 0 and {MAX_QBER}: there is no key in it')
        self._bits = checked_bits(bits).copy()
        self._seed = checked_seed(seed)
        self._options = options
        self._n = len(bits)
        self._size = tree_size(self._n)
        self._levels = _levels(self._n, max(qber, _MIN_QBER), options)
        self._allowance = options.haste * self._n * binary_entropy(max(qber, _MIN_QBER))
        self._allocate()
        self.round_trips = 0
        self.asked_bits = 0
        self.corrected_errors = 0
        self._exchange = self._run_exchange()
        self._batch = next(self._exchange, None)

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<Corrector of {self._n} bits after {self.round_trips} round trips>'

    @property
    def bits(self) -> ByteArray:
        """The bits as corrected so far, (n,) uint8."""
        return self._bits.copy()

    def wipe(self) -> None:
        """Overwrite the bits; the object cannot be used afterwards."""
        self._bits[:] = 0

    def next_batch(self) -> ParityQueries | None:
        """Queries to send now, ascending; None when reconciliation is complete."""
        return self._batch

    def feed(self, answers: ByteArray) -> None:
        """Process the answers to the last batch.

        Raises
        ------
        StationError
            Their number is wrong, or so many parities were disclosed that no key can be left.
        """
        if self._batch is None:
            raise StationError('answers were received without a query')
        if len(answers) != len(self._batch):
            raise StationError(f'{len(answers)} answers were received for {len(self._batch)} queries')
        self.round_trips += 1
        self.asked_bits += len(answers)
        if self.asked_bits > self._n + _SLACK_BITS:
            raise StationError(
                'reconciliation disclosed more bits than the key has: the error rate is far above its estimate,'
                ' or the two sides hold different keys'
            )
        try:
            self._batch = self._exchange.send(answers)
        except StopIteration:
            self._batch = None
        if self._options.hard and self.round_trips >= self._options.deadline:
            self._batch = None

    def _allocate(self) -> None:
        trees = 1 + len(self._levels)
        self._trees = np.zeros((trees, 2 * self._size), np.uint8)
        self._shuffles = np.zeros((trees, KEY_WORDS), np.uint64)  # tree 0 does not permute
        self._member = np.zeros(self._n, np.uint8)
        self._corrected = np.zeros(self._n, np.uint8)
        # a leaf is listed when it opens: by its own answer, by its parent's, or by a correction
        self._opened = np.empty((trees, 4 * self._size), np.int32)
        self._counts = np.zeros(trees, np.int64)
        self._numbers = np.arange(-1, trees - 1)  # of the passes, by tree; tree 0 takes any subset
        self._built = 1

    def _run_exchange(self) -> Exchange:
        if not self._n:
            return
        # the queries that every pass and the confirmation need in any case are sent at once; answers are kept
        tops = [self._tops(number) for number in range(len(self._levels))]
        roots = ((SUBSETS + np.arange(self._options.confirmations)) << PASS_SHIFT) + 1
        answers = yield np.concatenate([*tops, roots])
        for number, top in enumerate(tops):
            self._start_pass(number)
            self._enter(top, answers[: len(top)])
            answers = answers[len(top) :]
            yield from self._search(self._patience(number))
        yield from self._confirm(roots, answers)

    def _tops(self, number: int) -> ParityQueries:
        """Queries for all blocks of a pass."""
        first = self._size >> self._levels[number]
        return (number << PASS_SHIFT) + np.arange(first, first + -(-self._n // (1 << self._levels[number])))

    def _start_pass(self, number: int) -> None:
        slot = number + 1
        self._built = slot + 1
        self._shuffles[slot] = shuffle_key(self._n, self._seed, number)
        fill_tree(self._trees[slot], in_order(self._bits, self._shuffles[slot]))

    def _patience(self, number: int) -> int:
        """Number of open leaves at which the next pass may start, in parallel with the last leaves of this one."""
        if number + 1 == len(self._levels):
            return 0
        return max(_FEW, int(self._options.overlap * (self._n >> self._levels[number + 1])))

    def _search(self, enough: int = 0) -> Exchange:
        """Bisect open leaves until at most `enough` are left."""
        opened, counts = self._opened, self._counts
        while (total := cascade_blocks.collect(self._trees, self._size, opened, counts)) > enough:
            depth = self._depth(total)
            batch = np.empty(total * ((1 << depth) - 1), np.int64)
            batch = batch[
                : cascade_blocks.left_half_queries(self._size, self._n, opened, counts, self._numbers, depth, batch)
            ]
            if not len(batch):
                raise _contradiction()
            batch.sort()
            answers = yield batch
            self._enter(batch, answers)

    def _enter(self, batch: ParityQueries, answers: ByteArray) -> None:
        cascade_blocks.absorb(self._trees, self._opened, self._counts, batch, answers)
        flips = cascade_blocks.correct(
            self._bits,
            self._corrected,
            self._trees[: self._built],
            self._size,
            self._shuffles,
            self._member,
            self._opened,
            self._counts,
        )
        if flips < 0:
            raise _contradiction()
        self.corrected_errors += flips

    def _confirm(self, roots: ParityQueries, answers: ByteArray) -> Exchange:
        """Compare random subsets of the whole key: each detects remaining errors with probability 1/2."""
        while True:
            wrong = np.flatnonzero(subset_parities(self._bits, self._seed, len(roots)) != answers)
            if not len(wrong):
                return
            number = int(wrong[0])
            self._member = subset(self._n, self._seed, number)
            fill_tree(self._trees[0], self._bits & self._member)
            self._numbers[0] = SUBSETS + number
            before = self.corrected_errors
            self._enter(roots[wrong[:1]], answers[wrong[:1]])
            yield from self._search()
            if self.corrected_errors == before:
                raise _contradiction()

    def _depth(self, open_leaves: int) -> int:
        """Bisection steps in one round trip: d steps need 2^d - 1 parities instead of d.

        The allowed surplus grows with the number of round trips, which shortens rare long chains of corrections.
        """
        allowance = self._allowance * (1.0 + (self.round_trips / self._options.patience) ** 8)
        last = self._options.deadline // _LAST_PART
        hurry = min(max(self.round_trips - (self._options.deadline - last), 0), last)
        allowance *= 2.0 ** (_LAST_DOUBLINGS * hurry / last)
        if not self._options.hard:  # a key with far more errors than expected may take more round trips
            allowance = min(allowance, _MOST_HASTE * self._allowance)
        depth = 1
        while depth < _MAX_DEPTH and open_leaves * ((2 << depth) - 2 - depth) <= allowance:
            depth += 1
        return depth


def _contradiction() -> StationError:
    return StationError(
        "Alice's parities contradict each other: the two sides permute differently, or a message was changed"
    )


def _levels(n: int, qber: float, options: CascadeOptions) -> list[int]:
    """Binary logarithms of the block sizes of all passes; the last pass still has a few blocks."""
    top = tree_size(n).bit_length() - 1
    first = min(top, max(1, ceil(log2(options.first_block / qber))))
    second = max(first + 1, floor(log2(options.second_block / qber)))
    return [first, *range(second, top - 2, options.growth)]
