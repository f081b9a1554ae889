"""Whether this machine's processors hold their speed: what a loop at 100 Hz needs before anything else.

A virtual or throttled processor may fall to a fraction of its speed for tens of milliseconds, unseen by the load and by
the kernel's count of stolen time.  Every loop then misses periods, whatever the station does.  Measure with nothing
else running.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter_ns, thread_time_ns
from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.timing.spans import true_runs

_SECONDS = 20.0
_WINDOW_NS = 2_000_000
_UNIT = 200  # additions between two looks at the clock: some ten microseconds
_SLOW = 0.5  # of the median speed
_TAKEN = 0.5  # a window in which the loop got less of the processor says nothing about its speed


@dataclass(frozen=True)
class Windows:
    """Work of a busy loop in successive windows; one row each.

    Attributes
    ----------
    wall_ns, cpu_ns : array of int
        Duration of the window, and the processor time that the loop got in it.
    work : array of int
        Units of work done in the window.
    """

    wall_ns: IntArray
    cpu_ns: IntArray
    work: IntArray


def run(seconds: float = _SECONDS) -> dict[str, Any]:
    """Keep every processor that this process may use busy for a while, all at the same time.

    Returns
    -------
    dict
        By processor, what `speed_figures` gives.
    """
    processors = sorted(os.sched_getaffinity(0))
    with ProcessPoolExecutor(len(processors), get_context('spawn')) as pool:
        windows = pool.map(_measured, processors, [seconds] * len(processors))
        return {f'processor_{number}': speed_figures(one) for number, one in zip(processors, windows, strict=True)}


def _measured(processor: int, seconds: float) -> Windows:
    os.sched_setaffinity(0, {processor})
    return busy_windows(seconds)


def busy_windows(
    seconds: float, wall_ns: Callable[[], int] = perf_counter_ns, cpu_ns: Callable[[], int] = thread_time_ns
) -> Windows:
    """Work for `seconds` of the clock `wall_ns`, and count what was done in each window of 2 ms."""
    rows = []
    begin, cpu, work = wall_ns(), cpu_ns(), 0
    end = begin + round(seconds * 1e9)
    while begin < end:
        sum(range(_UNIT))
        work += 1
        now = wall_ns()
        if now - begin >= _WINDOW_NS:
            now_cpu = cpu_ns()
            rows.append((now - begin, now_cpu - cpu, work))
            begin, cpu, work = now, now_cpu, 0
    return Windows(*np.array(rows, np.int64).T)


def speed_figures(windows: Windows) -> dict[str, float]:
    """Steadiness of the speed of a processor.

    Returns
    -------
    dict
        ``slow_share``: of the time, below half the median speed; ``slow_longest_ms``: the longest such time in one go;
        ``slow_times_per_s``: how often; ``least_speed``: the lowest speed over the median (a window of 2 ms);
        ``taken_share``: of the time, given to other programs, whose windows do not count as slow.
    """
    wall = windows.wall_ns.astype(float)
    speed: FloatArray = windows.work / wall
    got: BoolArray = windows.cpu_ns > _TAKEN * wall
    median = float(np.median(speed[got])) if got.any() else np.nan
    slow = got & (speed < _SLOW * median)
    spans_ns = np.diff(np.concatenate([[0.0], np.cumsum(wall)])[true_runs(slow)])
    return {
        'slow_share': round(float(spans_ns.sum() / wall.sum()), 4),
        'slow_longest_ms': round(float(spans_ns.max(initial=0.0)) * 1e-6, 1),
        'slow_times_per_s': round(len(spans_ns) / float(wall.sum()) * 1e9, 2),
        'least_speed': round(float(speed[got].min() / median), 3) if got.any() else np.nan,
        'taken_share': round(1 - float(windows.cpu_ns.sum() / wall.sum()), 4),
    }
