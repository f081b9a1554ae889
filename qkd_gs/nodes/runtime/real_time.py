"""Real-time priority of a node's process, within a budget of processor time.

A real-time thread goes before every normal one, so a process that computes without end would take a processor away from
the recorder, the planner and the operator's shell.  Linux limits little of that: `RLIMIT_RTTIME` restarts after each
sleep, so a loop that is busy in every period never reaches it, and all real-time threads together may take 95 % of a
processor.  So the process watches itself: above its budget it goes on with normal priority until it is below again.
"""

from __future__ import annotations

import os
import resource
import signal
from math import inf

from qkd_gs.scheduling import schedule_threads

_BUDGET = 0.6  # of one processor, in any second; the busiest loop uses a quarter of it
_WITHIN = 0.75  # of the budget, that counts as below it
_WINDOW_S = 1.0
_CALM_S = 2.0  # below for so long before the priority returns
_TOLD_S = 10.0  # loading, planning a pass and the like are over before
_WITHOUT_PAUSE_S = 0.3  # the longest that one thread may compute without waiting for anything


class CpuBudget:
    """Tells whether a process uses more processor time than it may.

    Parameters
    ----------
    share : float
        Of one processor, on average of a second.

    Attributes
    ----------
    over : bool
        It does, or did a moment ago.
    used : float
        Share used in the last second that was measured.
    """

    def __init__(self, share: float = _BUDGET) -> None:
        self._share = share
        self.over, self.used = False, 0.0
        self._began: tuple[float, float] | None = None
        self._calm_since_s = -inf

    def step(self, now_s: float, cpu_s: float, scale: float = 1.0) -> bool:
        """Take the processor time used so far; True if `over` has changed.

        Parameters
        ----------
        now_s : float
            Of a steady clock.
        scale : float
            Factor of the budget: simulated time that runs faster needs more.
        """
        if self._began is None:
            self._began = now_s, cpu_s
            return False
        since_s = now_s - self._began[0]
        if since_s < _WINDOW_S:
            return False
        self.used, before = (cpu_s - self._began[1]) / since_s, self.over
        self._began = now_s, cpu_s
        budget = self._share * max(scale, 1.0)
        if self.used > budget:
            self.over = True
        if self.used > _WITHIN * budget:
            self._calm_since_s = now_s
        elif self.over and now_s - self._calm_since_s >= _CALM_S:
            self.over = False
        return self.over != before

    def exceed(self, now_s: float) -> bool:
        """A thread has computed too long without a pause; True if `over` has changed."""
        before, self.over, self._calm_since_s = self.over, True, now_s
        return not before


class RealTime:
    """Scheduling of this process.

    Parameters
    ----------
    priority : int
        1 to 99; 0: it stays a normal process.
    """

    def __init__(self, priority: int) -> None:
        self._priority = priority
        self.budget = CpuBudget()
        self._without_pause = False
        self._over_since_s: float | None = None
        self._told = False
        if priority and schedule_threads(os.SCHED_RR, priority):
            _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
            signal.signal(signal.SIGXCPU, self._computed_without_pause)
            resource.setrlimit(resource.RLIMIT_RTTIME, (round(_WITHOUT_PAUSE_S * 1e6), hard))
        else:
            self._priority = 0

    def step(self, now_s: float, cpu_s: float, scale: float = 1.0) -> bool:
        """Keep to the budget; True if it is to be told that the priority is lost for long, or back after that."""
        if not self._priority:
            return False
        long, self._without_pause = self._without_pause, False
        changed = self.budget.exceed(now_s) if long else self.budget.step(now_s, cpu_s, scale)
        if changed and not self.budget.over:
            schedule_threads(os.SCHED_RR, self._priority)
        elif changed:
            schedule_threads(os.SCHED_OTHER, 0)
        if changed:
            self._over_since_s = now_s if self.budget.over else None
        told, since_s = self._told, self._over_since_s
        self._told = since_s is not None and now_s - since_s >= _TOLD_S
        return told != self._told

    def _computed_without_pause(self, *_: object) -> None:
        self._without_pause = True
        schedule_threads(os.SCHED_OTHER, 0)  # at once: `step` may be far away
