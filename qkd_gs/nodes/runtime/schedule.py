"""Periodic calls of a process, made by the thread that waits for messages: one wake-up a period.

A timer of `rclpy` costs two: its own thread wakes, and wakes the executor's.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf


class Periodic:
    """One of them.

    Parameters
    ----------
    period_s, due_s : float
        Of a steady clock.
    """

    def __init__(self, period_s: float, due_s: float, work: Callable[[], object]) -> None:
        self.period_s, self.due_s, self.work = period_s, due_s, work


class Schedule:
    """Calls that are due again and again; times are readings of a steady clock, s."""

    def __init__(self) -> None:
        self._calls: list[Periodic] = []

    def add(self, now_s: float, period_s: float, work: Callable[[], object]) -> Periodic:
        """Call `work` every `period_s`, first after one period."""
        call = Periodic(period_s, now_s + period_s, work)
        self._calls.append(call)
        return call

    def remove(self, call: Periodic) -> None:
        """It is not called any more."""
        self._calls.remove(call)

    def wait_s(self, now_s: float, most_s: float = inf) -> float:
        """Time until something is due; 0 if something is, and never more than `most_s`."""
        due_s = min([call.due_s for call in self._calls], default=inf)
        return min(max(due_s - now_s, 0.0), most_s)

    def run(self, now_s: float) -> None:
        """Make the calls that are due, once each; periods that have passed are left out, the phase is kept."""
        for call in [one for one in self._calls if one.due_s <= now_s]:
            if call not in self._calls:  # removed by an earlier one
                continue
            call.due_s += call.period_s * (floor((now_s - call.due_s) / call.period_s) + 1)
            if call.due_s <= now_s:  # rounding
                call.due_s += call.period_s
            call.work()
