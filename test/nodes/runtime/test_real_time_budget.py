"""The budget of processor time of a real-time process: the rule, and what the kernel then says of a real one."""

import os
import subprocess
import sys

import pytest

from qkd_gs.nodes.runtime.real_time import CpuBudget

_CHILD = """
import os, sys, time
from qkd_gs.nodes.runtime.real_time import RealTime

real_time = RealTime(10)
if os.sched_getscheduler(0) != os.SCHED_RR:
    sys.exit(77)
began_s = time.process_time()
while time.process_time() - began_s < 20.0 and os.sched_getscheduler(0) == os.SCHED_RR:
    sum(range(50000))
    {pause}
    real_time.step(time.monotonic(), time.process_time())
sys.exit(0 if os.sched_getscheduler(0) == os.SCHED_OTHER else 1)
"""


def steps(budget, seconds, share, start_s=0.0, cpu_s=0.0, scale=1.0):
    """Whether it is over after each second."""
    over = []
    for second in range(1, seconds + 1):
        budget.step(start_s + second, cpu_s + share * second, scale)
        over.append(budget.over)
    return over


def test_a_process_within_its_budget_keeps_its_priority():
    assert not any(steps(CpuBudget(0.6), 100, 0.59))


def test_one_above_it_loses_it_and_has_it_again_after_some_calm_seconds():
    budget = CpuBudget(0.6)
    assert steps(budget, 5, 0.9)[-1]
    after = steps(budget, 20, 0.1, start_s=5.0, cpu_s=4.5)
    assert after[0]  # not at once
    assert not after[-1]


def test_between_the_two_limits_nothing_changes():
    budget = CpuBudget(0.6)
    steps(budget, 5, 0.9)
    assert all(steps(budget, 60, 0.5, start_s=5.0, cpu_s=4.5))


def test_simulated_time_that_runs_faster_may_use_more():
    assert not any(steps(CpuBudget(0.6), 20, 1.1, scale=2.0))
    assert any(steps(CpuBudget(0.6), 20, 1.3, scale=2.0))


@pytest.mark.parametrize('pause', ['pass', 'time.sleep(1e-4)'], ids=['without a pause', 'with pauses'])
def test_a_process_that_computes_without_end_goes_on_with_normal_priority(pause):
    code = _CHILD.format(pause=pause)
    found = subprocess.run([sys.executable, '-c', code], env=os.environ, timeout=120, check=False)
    if found.returncode == 77:
        pytest.skip('no right to real-time priorities')
    assert found.returncode == 0
