"""The benchmark of the machine tells a slow processor from a busy one."""

from __future__ import annotations

import numpy as np
import pytest

from qkd_gs.bench.machine import Windows, busy_windows, speed_figures

MS = 1_000_000


def windows(speed: list[float], got: list[float] | None = None) -> Windows:
    """Windows of 2 ms at these speeds, with these shares of the processor."""
    wall = np.full(len(speed), 2 * MS)
    share = np.ones(len(speed)) if got is None else np.array(got)
    return Windows(wall, (share * wall).astype(np.int64), (1000 * np.array(speed)).astype(np.int64))


def test_a_steady_processor_is_never_slow() -> None:
    figures = speed_figures(windows([1.0, 0.98, 1.01] * 50))
    assert [figures[key] for key in ('slow_share', 'slow_longest_ms', 'slow_times_per_s')] == [0, 0, 0]


def test_slow_windows_in_one_go_count_as_one_time() -> None:
    speed = [1.0] * 100
    speed[10:40] = [0.08] * 30  # 60 ms
    speed[99] = 0.3
    figures = speed_figures(windows(speed))
    assert figures['slow_longest_ms'] == pytest.approx(60)
    assert figures['slow_share'] == pytest.approx(31 / 100)
    assert figures['slow_times_per_s'] == pytest.approx(2 / 0.2)
    assert figures['least_speed'] == pytest.approx(0.08)


def test_a_processor_given_to_another_program_is_not_slow() -> None:
    speed, got = [1.0] * 100, [1.0] * 100
    speed[20:30], got[20:30] = [0.1] * 10, [0.1] * 10
    figures = speed_figures(windows(speed, got))
    assert figures['slow_share'] == 0
    assert figures['taken_share'] == pytest.approx(0.09)


def test_the_loop_counts_all_time_and_all_work() -> None:
    clock = iter(range(0, 10**12, MS // 2))  # each look at the clock is half a millisecond later
    told = busy_windows(0.1, lambda: next(clock), lambda: 0)
    assert told.wall_ns.sum() == 100 * MS
    assert told.work.sum() == 200  # one unit between two looks
    assert (told.cpu_ns == 0).all()
