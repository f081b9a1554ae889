"""How fast simulated time may run: as fast as every loop of the graph keeps its period, at least twice real time.

And no faster than leaves some room on the processors: what is not real-time (recorder, views) would starve unheard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 10.0  # of real time between two decisions: one hiccup of the machine says nothing
_QUIET_S = 15.0  # nothing is decided before: a graph that starts misses periods at any speed
_TOO_MANY = 0.008  # share of missed periods: slower
_FEW = 0.004  # faster
_FULL, _ROOM = 0.85, 0.72  # busy share of all processors: slower, and faster only below
_SLOWER, _FASTER = 0.9, 1.06
_CAREFUL = 0.96  # of a speed that was too fast: the most, for a while
_LOOKS = 20  # of the processors, one a half second: the mean of ten seconds counts
_DARING = 1.01  # the most grows again so much with every decision, since what was in the way may be over


@dataclass(frozen=True)
class Loop:
    """Steps begun and periods missed of one loop since its node started."""

    steps: int
    missed: int


class Pace:
    """Chooses the speed from the timing of the loops.

    Parameters
    ----------
    speed, least, most : float
        Seconds of station time a second: to begin with, and the limits.
    """

    def __init__(self, speed: float = 2.2, least: float = 2.0, most: float = 8.0) -> None:
        self.speed = speed
        self._least, self._most, self._ceiling = least, most, most
        self._began_s: float | None = None
        self._before: dict[str, Loop] = {}
        self._decided_s: float | None = None

    def step(self, now_s: float, loops: Mapping[str, Loop], busy: float = 0.0) -> bool:
        """Look at the loops at `now_s` of real time; True if `speed` is another one now.

        Parameters
        ----------
        busy : float
            Busy share of all processors of late, 0 to 1.
        """
        if self._began_s is None:
            self._began_s = now_s
        if self._decided_s is None or now_s - self._began_s < _QUIET_S:
            self._decided_s, self._before = now_s, dict(loops)
        if now_s - self._decided_s < _EVERY_S:
            return False
        worst = max((self._share(name, loop) for name, loop in loops.items()), default=0.0)
        self._decided_s, self._before = now_s, dict(loops)
        before = self.speed
        if worst > _TOO_MANY or busy > _FULL:
            self._ceiling = max(_CAREFUL * self.speed, self._least)
            self.speed = max(_SLOWER * self.speed, self._least)
            return self.speed != before
        self._ceiling = min(_DARING * self._ceiling, self._most)
        if worst < _FEW and busy < _ROOM:
            self.speed = min(_FASTER * self.speed, self._ceiling)
        return self.speed != before

    def _share(self, name: str, loop: Loop) -> float:
        """Missed share since the last decision; none for a restarted node."""
        before = self._before.get(name)
        if before is None or loop.steps < before.steps:
            return 0.0
        steps, missed = loop.steps - before.steps, loop.missed - before.missed
        return missed / (steps + missed) if steps + missed > 0 else 0.0


class Processors:
    """How busy all processors of this machine are, as the kernel counts.

    Parameters
    ----------
    counters : callable
        Text of /proc/stat.
    """

    def __init__(self, counters: Callable[[], str] = lambda: Path('/proc/stat').read_text(encoding='ascii')) -> None:
        self._counters = counters
        self._seen = deque([self._read()], maxlen=_LOOKS)

    def busy(self) -> float:
        """Share since the look that was twenty looks ago, 0 to 1."""
        self._seen.append(self._read())
        (total, idle), (total_before, idle_before) = self._seen[-1], self._seen[0]
        passed = total - total_before
        return 1 - (idle - idle_before) / passed if passed > 0 else 0.0

    def _read(self) -> tuple[int, int]:
        times = [int(word) for word in self._counters().split('\n', 1)[0].split()[1:9]]
        return sum(times), times[3] + times[4]  # idle, and waiting for a disk
