"""Speed of simulated time: as fast as every loop of the graph keeps its period, below real time if need be.

Time begins slowly, until every node of the station has been heard; then it runs at real time and rises while all goes
well.  Loops that miss many periods, or a node that is not heard, slow it down at once, without a lower limit that
matters: a machine that is too slow or too busy makes the pass longer, not worse.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from qkd_gs.monitoring.loops import Loop, worst_loop

_START = 0.25  # until every node has been heard: starting fifteen processes takes the whole machine
_SLOWEST = 0.02  # keeps timers finite; far below what any machine needs
_REAL_TIME = 1.0
_QUIET_S = 10.0  # nothing is decided for so long after the last node was heard
_EVERY_S = 10.0  # of real time between two decisions: one hiccup of the machine says nothing
_RISING_S = 4.0  # the same before the first trouble
_AT_ONCE_S = 3.0  # window in which many missed periods slow time down at once; heartbeats come every second
_SETTLE_S = 1.5  # heartbeats that still tell of the speed before
_FAR_TOO_MANY = 0.05  # share of missed periods: much slower, at once
_TOO_MANY = 0.02  # slower
_FEW = 0.012  # faster
_UNHEARD_S = 2.5  # a node whose heartbeat is older is starved: much slower, at once
_GONE_S = 30.0  # unheard for so long, however slow time was: it has ended
# busy share of the processors: slower, but not below real time; faster only below; and far from what they can do
_FULL, _ROOM, _PLENTY = 0.85, 0.72, 0.5
_MUCH_SLOWER, _SLOWER, _FASTER, _RISE = 0.6, 0.9, 1.06, 1.25
_RECOVER, _RESUMED = (
    1.6,
    0.75,
)  # after a starvation that is over: a rise each time, up to so much of the speed before it
_CAREFUL = 0.96  # of a speed that was too fast: the most, for a while
_LOOKS = 20  # of the processors, one a half second: the mean of ten seconds counts
_DARING = 1.01  # the most grows again so much with every decision, since what was in the way may be over
_CALM = 6  # decisions without trouble after which it surely is: the most grows as fast as the speed


class Heartbeats:
    """Times at which each node of the station was last heard.

    Parameters
    ----------
    names : iterable of str
        Nodes of the station.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._missing = set(names)
        self._heard_s: dict[str, float] = {}

    @property
    def complete(self) -> bool:
        """Whether every node has been heard at least once."""
        return not self._missing

    def heard(self, now_s: float, name: str) -> None:
        """A node is heard at `now_s` of real time."""
        self._missing.discard(name)
        self._heard_s[name] = now_s

    def silence_s(self, now_s: float) -> float:
        """Age of the oldest heartbeat, s; a node that has ended does not count."""
        ages = (now_s - heard_s for heard_s in self._heard_s.values())
        return max((age for age in ages if age < _GONE_S), default=0.0)


class Pace:
    """Chooses the speed from the timing of the loops and the age of the heartbeats.

    Parameters
    ----------
    most : float
        Largest speed, seconds of station time a second.

    Attributes
    ----------
    speed : float
        Seconds of station time a second.
    reason : str
        Reason why time was slowed down last.
    """

    def __init__(self, most: float = 8.0) -> None:
        self.speed = _START
        self._most = self._ceiling = most
        self.reason = ''
        self._rising = True
        self._recovering_to = 0.0  # speed that time returns to after a starvation; 0: there was none
        self._calm = 0
        self._began_s: float | None = None
        self._decided_s = self._looked_s = 0.0
        self._before: dict[str, Loop] = {}
        self._lately: dict[str, Loop] = {}

    @property
    def begun(self) -> bool:
        """Whether every node has been heard."""
        return self._began_s is not None

    def begin(self, now_s: float) -> None:
        """Every node has been heard at `now_s` of real time: real time from here."""
        self._began_s = now_s
        self.speed = _REAL_TIME

    def step(self, now_s: float, loops: Mapping[str, Loop], busy: float = 0.0, silence_s: float = 0.0) -> bool:
        """Look at the loops at `now_s` of real time; True if `speed` is another one now.

        Parameters
        ----------
        busy : float
            Busy share of all processors of late, 0 to 1.
        silence_s : float
            Age of the oldest heartbeat.
        """
        if self._began_s is None:
            return False
        if now_s - self._began_s < _QUIET_S:
            self._look_from(now_s, loops)
            return False
        before = self.speed
        if now_s < self._looked_s:  # the speed has just changed
            self._look_from(self._looked_s, loops)
        elif self._starved(now_s, loops, silence_s):
            self._plan_recovery(silence_s)
            self._slow_down(_MUCH_SLOWER, _SLOWEST)
            self._look_from(now_s + _SETTLE_S, loops)
        elif now_s - self._decided_s >= (_RISING_S if self._soon(busy) else _EVERY_S):
            self._decide(self._missed(self._before, loops), busy)
            # a change makes every loop miss a period or two, which must not cause the next change
            self._look_from(now_s + (_SETTLE_S if self.speed != before else 0.0), loops)
        return self.speed != before

    def _soon(self, busy: float) -> bool:
        """Whether the next decision need not wait long."""
        return bool(self._rising or self._recovering_to or self._held_back(busy))

    def _held_back(self, busy: float) -> bool:
        """Whether time is slow for what is over: the processors could do much more."""
        return self.speed < _REAL_TIME and busy < _PLENTY

    def _starved(self, now_s: float, loops: Mapping[str, Loop], silence_s: float) -> bool:
        """Whether a node is not heard, or a loop has missed many periods in the last seconds."""
        if silence_s > _UNHEARD_S:
            self.reason = f'a node has sent no heartbeat for {silence_s:.1f} s'
            return True
        if now_s - self._looked_s < _AT_ONCE_S:
            return False
        missed = self._missed(self._lately, loops)
        self._looked_s, self._lately = now_s, dict(loops)
        return missed > _FAR_TOO_MANY

    def _missed(self, before: Mapping[str, Loop], loops: Mapping[str, Loop]) -> float:
        """Missed share of the worst loop since `before`, which is then the reason for what follows."""
        name, share = worst_loop(before, loops)
        if share > 0:
            self.reason = f'{name} missed {share:.1%} of its periods'
        return share

    def _decide(self, missed: float, busy: float) -> None:
        """Change the speed a little."""
        if self._rising and missed >= _FEW:  # found; whether it is too much tells the longer look that follows
            self._rising = False
        elif missed > _TOO_MANY:
            self._recovering_to = 0.0
            self._slow_down(_SLOWER, _SLOWEST)
        elif self._recovering_to and missed < _FEW:
            self._recover()
        elif self._held_back(busy) and missed < _FEW:
            self.speed = min(_RISE * self.speed, _REAL_TIME)
            self._ceiling = max(self._ceiling, self.speed)
        elif busy > _FULL and self.speed > _REAL_TIME:  # other programs may keep the processors busy as they like
            self.reason = f'{busy:.0%} of the processors are busy'
            self._slow_down(_SLOWER, _REAL_TIME)
        else:
            self._calm += 1
            self._ceiling = min((_DARING if self._calm < _CALM else _FASTER) * self._ceiling, self._most)
            most = self._ceiling if busy < _ROOM else min(self._ceiling, max(self.speed, _REAL_TIME))
            if missed < _FEW:
                self.speed = max(self.speed, min((_RISE if self._rising else _FASTER) * self.speed, most))

    def _plan_recovery(self, silence_s: float) -> None:
        """Choose the speed to return to soon, when the starvation is over; none if this was too fast a return."""
        if silence_s > _UNHEARD_S or not self._recovering_to:
            self._recovering_to = max(self._recovering_to, _RESUMED * self.speed)
        else:
            self._recovering_to = 0.0

    def _recover(self) -> None:
        """Rise after a starvation: time that was slowed down many times in a row would take minutes to return."""
        if _RECOVER * self.speed < self._recovering_to:
            self.speed *= _RECOVER
        else:
            self.speed, self._recovering_to = max(self.speed, self._recovering_to), 0.0
        self._ceiling = max(self._ceiling, self.speed)

    def _slow_down(self, factor: float, least: float) -> None:
        self._rising = False
        self._calm = 0
        self._ceiling = max(_CAREFUL * self.speed, least)
        self.speed = max(factor * self.speed, least)

    def _look_from(self, time_s: float, loops: Mapping[str, Loop]) -> None:
        """Count missed periods from here."""
        self._decided_s = self._looked_s = time_s
        self._before = self._lately = dict(loops)


class Processors:
    """Use of the processors on which this process may run, as the kernel counts.

    Parameters
    ----------
    counters : callable
        Text of /proc/stat.
    usable : set of int, optional
        Numbers of the processors.  By default those that the station was given: it may have been pinned to a few.
    """

    def __init__(
        self,
        counters: Callable[[], str] = lambda: Path('/proc/stat').read_text(encoding='ascii'),
        usable: set[int] | None = None,
    ) -> None:
        self._counters = counters
        self._names = {f'cpu{number}' for number in (os.sched_getaffinity(0) if usable is None else usable)}
        self._seen = deque([self._read()], maxlen=_LOOKS)

    def busy(self) -> float:
        """Share since the look that was twenty looks ago, 0 to 1."""
        self._seen.append(self._read())
        (total, idle), (total_before, idle_before) = self._seen[-1], self._seen[0]
        passed = total - total_before
        return 1 - (idle - idle_before) / passed if passed > 0 else 0.0

    def _read(self) -> tuple[int, int]:
        total = idle = 0
        for line in self._counters().splitlines():
            name, _, ticks = line.partition(' ')
            if name in self._names:
                times = [int(word) for word in ticks.split()[:8]]
                total += sum(times)
                idle += times[1] + times[3] + times[4]  # niced, which gives way to a station; idle; waiting for a disk
        return total, idle
