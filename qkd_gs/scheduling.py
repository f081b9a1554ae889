"""Scheduling of all threads of this process."""

from __future__ import annotations

import os


def schedule_threads(policy: int, priority: int) -> bool:
    """Schedule all threads alike, those of libraries too; False without the right to it.

    Parameters
    ----------
    policy : int
        ``os.SCHED_RR``, ``os.SCHED_OTHER``.
    priority : int
        1 to 99 for a real-time policy, else 0.
    """
    for thread in map(int, os.listdir('/proc/self/task')):
        try:
            os.sched_setscheduler(thread, policy, os.sched_param(priority))
        except ProcessLookupError:  # it has just ended
            continue
        except PermissionError:
            return False
    return True
