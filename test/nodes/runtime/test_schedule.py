"""Periodic calls: when they are due, and that their phase holds."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.nodes.runtime.schedule import Schedule


def test_a_call_is_due_after_each_period_and_waited_for_until_then():
    schedule, made = Schedule(), []
    assert schedule.wait_s(5.0) == inf
    schedule.add(100.0, 0.25, lambda: made.append(1))
    assert schedule.wait_s(100.0) == 0.25
    assert schedule.wait_s(100.0, 0.1) == 0.1
    schedule.run(100.125)
    assert (made, schedule.wait_s(100.125)) == ([], 0.125)
    schedule.run(100.25)
    assert (made, schedule.wait_s(100.25)) == ([1], 0.25)
    assert schedule.wait_s(101.0) == 0.0


@given(st.lists(st.floats(0.0, 3.0), min_size=1), st.floats(0.01, 1.0))
def test_late_runs_leave_periods_out_and_keep_the_phase(waits, period_s):
    schedule, made, now_s = Schedule(), [], 1000.0
    call = schedule.add(now_s, period_s, lambda: made.append(now_s))
    for number, wait_s in enumerate(waits, 1):
        now_s += wait_s
        schedule.run(now_s)
        assert len(made) <= number
        assert now_s < call.due_s <= now_s + period_s * (1 + 1e-9)
        phase = (call.due_s - 1000.0) / period_s
        assert phase == pytest.approx(round(phase), abs=1e-6)


def test_calls_may_remove_and_add_others():
    schedule, made = Schedule(), []
    second = None

    def first():
        made.append('first')
        schedule.remove(second)
        schedule.add(1.0, 1.0, lambda: made.append('third'))

    schedule.add(0.0, 1.0, first)
    second = schedule.add(0.0, 1.0, lambda: made.append('second'))
    schedule.run(1.0)
    assert made == ['first']
