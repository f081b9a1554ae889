"""How fast simulated time may run: as fast as every loop of the graph keeps its period, at least twice real time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_EVERY_S = 10.0  # of real time between two decisions: one hiccup of the machine says nothing
_QUIET_S = 15.0  # nothing is decided before: a graph that starts misses periods at any speed
_TOO_MANY = 0.008  # share of missed periods: slower
_FEW = 0.004  # faster
_SLOWER, _FASTER = 0.9, 1.06
_CAREFUL = 0.96  # of a speed that was too fast: the most, for a while
_DARING = 1.01  # the most grows again so much with every decision, since what was in the way may be over


@dataclass(frozen=True)
class Loop:
    """Steps begun and periods missed of one loop since its node started."""

    steps: int
    missed: int


class Pace:
    """Decides on the speed from what the loops say of themselves.

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

    def step(self, now_s: float, loops: Mapping[str, Loop]) -> bool:
        """Look at the loops at `now_s` of real time; True if `speed` is another one now."""
        if self._began_s is None:
            self._began_s = now_s
        if self._decided_s is None or now_s - self._began_s < _QUIET_S:
            self._decided_s, self._before = now_s, dict(loops)
        if now_s - self._decided_s < _EVERY_S:
            return False
        worst = max((self._share(name, loop) for name, loop in loops.items()), default=0.0)
        self._decided_s, self._before = now_s, dict(loops)
        before = self.speed
        if worst > _TOO_MANY:
            self._ceiling = max(_CAREFUL * self.speed, self._least)
            self.speed = max(_SLOWER * self.speed, self._least)
            return self.speed != before
        self._ceiling = min(_DARING * self._ceiling, self._most)
        if worst < _FEW:
            self.speed = min(_FASTER * self.speed, self._ceiling)
        return self.speed != before

    def _share(self, name: str, loop: Loop) -> float:
        """Missed share since the last decision; of a node begun anew, none."""
        before = self._before.get(name)
        if before is None or loop.steps < before.steps:
            return 0.0
        steps, missed = loop.steps - before.steps, loop.missed - before.missed
        return missed / (steps + missed) if steps + missed > 0 else 0.0
