"""Station time, simulated and real."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.station.station_clock import ClockMapping, StationClock

EPOCH_NS = 1_538_581_002_000_000_123


def test_real_time_is_the_machines_own():
    clock = StationClock(must_be_set=False)
    assert clock.is_set
    assert clock.speed == 1.0
    assert clock.identity == 'utc'
    before_ns = time.time_ns()
    now_ns = clock.now_ns()
    assert before_ns <= now_ns <= time.time_ns()


def test_simulated_time_waits_until_it_is_set():
    clock = StationClock(must_be_set=True)
    assert not clock.is_set
    clock.set(ClockMapping(EPOCH_NS, time.monotonic_ns(), 3.0))
    assert clock.is_set
    assert clock.speed == 3.0


def test_two_clocks_of_one_line_tell_the_same_time():
    line = ClockMapping(EPOCH_NS, time.monotonic_ns() - 10**9, 7.5)
    one, other = StationClock(True), StationClock(True)
    one.set(line)
    other.set(line)
    first_ns = one.now_ns()
    second_ns = other.now_ns()
    third_ns = one.now_ns()
    assert EPOCH_NS + 7.5e9 <= first_ns <= second_ns <= third_ns
    assert one.identity == other.identity


@given(st.integers(0, 10**12), st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.7]))
def test_a_line_is_straight_to_the_nanosecond(since_ns, speed):
    line = ClockMapping(EPOCH_NS, 5_000, speed)
    assert line.at(5_000) == EPOCH_NS
    assert abs(line.at(5_000 + since_ns) - EPOCH_NS - speed * since_ns) <= 0.5 + 1e-3


def test_worlds_are_told_apart_and_speeds_may_change_within_one():
    clock = StationClock(True)
    now_ns = time.monotonic_ns()
    line = ClockMapping(EPOCH_NS, now_ns, 1.0)
    clock.set(line, began_ns=now_ns)
    first = clock.identity
    clock.set(ClockMapping(line.at(now_ns + 5), now_ns + 5, 2.0), began_ns=now_ns)
    assert clock.identity == first
    assert clock.speed == 2.0
    clock.set(line, began_ns=now_ns + 1)
    assert clock.identity != first


def test_another_speed_begins_when_it_is_said_to():
    clock = StationClock(True)
    began_ns = time.monotonic_ns()
    clock.set(ClockMapping(EPOCH_NS, began_ns, 1.0), began_ns)
    bent = clock.bent(1000.0, in_ns=3600 * 10**9)
    clock.set(bent, began_ns)
    assert clock.speed == 1000.0  # for timers: it is about to be
    assert clock.now_ns() - EPOCH_NS < 1800 * 10**9  # for everybody else it is not yet
    assert bent.at(bent.monotonic_ns) == ClockMapping(EPOCH_NS, began_ns, 1.0).at(bent.monotonic_ns)


@pytest.mark.parametrize('speed', [1.0, 2.0, 10.0])
def test_time_goes_on_where_it_was_when_the_speed_changes(speed):
    old = ClockMapping(EPOCH_NS, 1_000_000, speed)
    at_ns = 777_777_777
    new = ClockMapping(old.at(at_ns), at_ns, 2 * speed)
    assert new.at(at_ns) == old.at(at_ns)
    assert new.at(at_ns + 1_000_000) - new.at(at_ns) == 2_000_000 * speed


def test_an_age_is_in_station_time_also_across_a_change_of_speed():
    clock = StationClock(True)
    now_ns = time.monotonic_ns()
    clock.set(ClockMapping(EPOCH_NS, now_ns - 10**9, 0.01), began_ns=1)
    sent_ns = now_ns - 10**9  # a second ago, when time was slow
    assert 10_000_000 <= clock.age_ns(sent_ns) < 500_000_000
    clock.set(ClockMapping(clock.now_ns(), time.monotonic_ns(), 1.0), began_ns=1)
    assert 10_000_000 <= clock.age_ns(sent_ns) < 10**9


def test_an_age_of_real_time_is_that_of_the_monotonic_clock():
    clock = StationClock(True)
    clock.set(ClockMapping(EPOCH_NS, time.monotonic_ns(), 1.0))
    sent_ns = time.monotonic_ns() - 7 * 10**9
    assert 7 * 10**9 <= clock.age_ns(sent_ns) < 600 * 10**9
