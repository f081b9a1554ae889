"""Station time of what a driver has timed with the clock of this machine.

Pure: all times are arguments.
"""

from __future__ import annotations

from collections import deque

_PAIRS_NS = 1_000_000_000  # station time that is slewed goes off by 0.5 ms meanwhile, at most


class StationTime:
    """Station time of moments that were taken with the monotonic clock of this machine.

    Each call of a driver gives a pair of both.  The monotonic clock is read a little later than the station clock, by
    as much as the process was interrupted; so the pair with the largest difference is the best.
    """

    def __init__(self) -> None:
        self._largest: deque[tuple[int, int]] = deque()  # monotonic, difference; falling differences

    def pair(self, now_ns: int, monotonic_ns: int) -> None:
        """Station time `now_ns` of a call during which the monotonic clock was read."""
        difference = now_ns - monotonic_ns
        while self._largest and self._largest[-1][1] <= difference:
            self._largest.pop()
        self._largest.append((monotonic_ns, difference))
        while monotonic_ns - self._largest[0][0] > _PAIRS_NS:
            self._largest.popleft()

    def of(self, monotonic_ns: int) -> int:
        """Station time of a moment."""
        return monotonic_ns + self._largest[0][1]
