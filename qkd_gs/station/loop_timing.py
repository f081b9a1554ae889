"""Timing statistics of a periodic loop."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import ceil, nan

import numpy as np

_BIN_MS = 0.05
_BINS = 4000  # up to 200 ms; longer ones count as that long
_BINS_A_S = 1e3 / _BIN_MS
_PERCENTS = (50, 95, 99)


class Spread:
    """Percentiles of a stream of durations (s), good to 0.05 ms, in memory that does not grow."""

    def __init__(self) -> None:
        self._bins = array('q', bytes(8 * _BINS))  # one is counted several times faster than in an array of NumPy

    def add(self, seconds: float) -> None:
        """Add a duration."""
        place = int(seconds * _BINS_A_S)
        self._bins[place if 0 <= place < _BINS else 0 if place < 0 else _BINS - 1] += 1

    def percentiles_ms(self) -> tuple[float, float, float]:
        """50, 95 and 99 %, ms (upper edges of the bins); NaN before the first."""
        total = np.cumsum(np.frombuffer(self._bins, np.int64))
        if total[-1] == 0:
            return nan, nan, nan
        a, b, c = (float(np.searchsorted(total, total[-1] * p / 100) + 1) * _BIN_MS for p in _PERCENTS)
        return a, b, c

    def clear(self) -> None:
        """Reset."""
        self._bins = array('q', bytes(8 * _BINS))


@dataclass(frozen=True)
class LoopFigures:
    """Of all steps since the last `clear`; times in ms of station time."""

    steps: int
    missed: int  # periods in which no step began
    period_ms: tuple[float, float, float]  # 50, 95, 99 %
    latency_ms: tuple[float, float, float]  # mid-exposure of the newest image to the command computed from it
    busy_ms: tuple[float, float, float]  # of real time, that a step takes

    @property
    def missed_share(self) -> float:
        """Of all periods."""
        periods = self.steps + self.missed
        return self.missed / periods if periods else 0.0


class LoopWatch:
    """Timing of a loop, updated once per step.

    Parameters
    ----------
    period_s : float
        Of station time.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self._period, self._latency, self._busy = Spread(), Spread(), Spread()
        self._steps = self._missed = 0
        self._last_ns: int | None = None
        self._longer_s = 0.0  # than a period the last step may have taken: whole periods

    def step(self, now_ns: int) -> None:
        """A step begins at this station time."""
        if self._last_ns is not None:
            since_s = (now_ns - self._last_ns) * 1e-9
            self._period.add(since_s)
            self._missed += max(int((since_s - self._longer_s) / self.period_s + 0.5) - 1, 0)
        self._last_ns, self._longer_s = now_ns, 0.0
        self._steps += 1

    def may_take(self, seconds: float) -> None:
        """Count no period as missed because the step under way computes for so long, s of station time."""
        self._longer_s = max(ceil(seconds / self.period_s) - 1, 0) * self.period_s

    def latency(self, seconds: float) -> None:
        """Add the age of the newest image that a command was computed from, s of station time."""
        self._latency.add(seconds)

    def busy(self, seconds: float) -> None:
        """Add the real time that a step took, s."""
        self._busy.add(seconds)

    def pause(self) -> None:
        """Exclude the time until the next step: the clock was set, or the node was idle."""
        self._last_ns = None

    def clear(self) -> None:
        """Reset all statistics."""
        for spread in (self._period, self._latency, self._busy):
            spread.clear()
        self._steps = self._missed = 0
        self._last_ns = None

    def figures(self) -> LoopFigures:
        """Statistics so far."""
        return LoopFigures(
            self._steps,
            self._missed,
            self._period.percentiles_ms(),
            self._latency.percentiles_ms(),
            self._busy.percentiles_ms(),
        )


class Due:
    """Divides a fast loop: due once per period on average.

    Parameters
    ----------
    period_ns : int
        Of station time.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._next_ns = 0

    def now(self, now_ns: int) -> bool:
        """Whether it is due in a step at `now_ns`; if so, it is due again a period later."""
        if now_ns < self._next_ns:
            return False
        late = now_ns - self._next_ns < self._period_ns
        self._next_ns = (self._next_ns if late else now_ns) + self._period_ns
        return True
