"""Times of a long train of pulses; only a few blocks are decoded at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from qkd_gs.arrays import IntArray

_HELD = 4  # blocks; an interval with its margin lies in three of them


class PulseTimes:
    """Ascending times in ps; slices of them are ordinary arrays.

    Parameters
    ----------
    block_pulses : int
        Pulses of each block but the last.
    starts_ps : sequence of int
        First time of each block.
    length : int
        Pulses in all.
    block : callable
        Number of a block to its times, (block_pulses,) int64.
    """

    def __init__(
        self, block_pulses: int, starts_ps: Sequence[int], length: int, block: Callable[[int], IntArray]
    ) -> None:
        self._size, self._starts_ps, self._length = block_pulses, starts_ps, length
        self._block = lru_cache(maxsize=_HELD)(block)

    @classmethod
    def of(cls, time_ps: IntArray, block_pulses: int = 1 << 16) -> PulseTimes:
        """Pulse times from a complete array."""
        starts = time_ps[::block_pulses].tolist()
        return cls(block_pulses, starts, len(time_ps), lambda k: time_ps[k * block_pulses : (k + 1) * block_pulses])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> IntArray:
        start, stop, _ = part.indices(self._length)
        if start >= stop:
            return np.empty(0, np.int64)
        first = start // self._size
        blocks = [self._block(k) for k in range(first, (stop - 1) // self._size + 1)]
        times = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return times[start - first * self._size : stop - first * self._size]

    def around(self, first_ps: int, last_ps: int, more: int) -> IntArray:
        """Those between two times, and `more` of them on either side as far as there are any."""
        first = max(bisect_right(self._starts_ps, first_ps) - 1, 0) * self._size
        end = max(bisect_right(self._starts_ps, last_ps), 1) * self._size
        offset = max(first - more, 0)
        times = self[offset : end + more]
        inside = np.searchsorted(times, [first_ps, last_ps])
        return times[max(int(inside[0]) - more, 0) : int(inside[1]) + more].copy()  # a view would hold whole blocks

    def segments(self, more: int) -> Iterator[tuple[int | None, IntArray]]:
        """Block by block: when the next one begins (None behind the last), its times and `more` on either side."""
        for number in range(len(self._starts_ps)):
            first = number * self._size
            until_ps = self._starts_ps[number + 1] if number + 1 < len(self._starts_ps) else None
            yield until_ps, self[max(first - more, 0) : first + self._size + more]
