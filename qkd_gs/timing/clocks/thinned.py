"""At most so many of a stream of times, evenly chosen: a clock needs no more pulses in a session of hours."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import IntArray

MOST = 4_000_000  # pulses of 6 minutes at 10 kHz: an ordinary pass is left whole


class Thinned:
    """Every one of the times, or every 2nd, 4th, 8th ... so that at most `most` are held.

    Which ones are kept depends on their number alone, not on how the stream is cut into blocks.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._step, self._seen, self._held = 1, 0, 0
        self._parts: list[IntArray] = []

    def add(self, time_ps: IntArray) -> None:
        """Take the next times of the stream."""
        kept = time_ps[-self._seen % self._step :: self._step].copy()  # a view would hold all of them
        self._seen += len(time_ps)
        self._parts.append(kept)
        self._held += len(kept)
        while self._held > self._most:
            self._step *= 2
            self._parts = [self.times_ps()[::2].copy()]
            self._held = len(self._parts[0])

    def times_ps(self) -> IntArray:
        """The times kept, ascending."""
        self._parts = [np.concatenate(self._parts)] if self._parts else []
        return self._parts[0] if self._parts else np.empty(0, np.int64)
