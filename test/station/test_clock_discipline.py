"""Station time with real devices, on a machine whose clock somebody sets."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.station.clock_discipline import LARGEST_SLEW_NS, SLEW, ClockDiscipline, StoredMapping, read_clocks
from qkd_gs.station.station_clock import ClockMapping, StationClock

S = 10**9
UTC_NS = 1_790_000_000 * S
BOOT_NS = 5_000 * S
PERIOD_NS = S // 2


class Machine:
    """Two clocks of a machine, and the station time that its monitor publishes."""

    def __init__(self):
        self.monotonic_ns, self.offset_ns = BOOT_NS, UTC_NS - BOOT_NS
        self.discipline = ClockDiscipline(ClockMapping(UTC_NS, BOOT_NS, 1.0))
        self.active = self.discipline.mapping
        self.told = []

    def set(self, by_ns):
        self.offset_ns += by_ns

    def run(self, seconds, may_jump=False):
        """Station time, read every 10 ms."""
        times = []
        for k in range(round(seconds * 100)):
            if k % 50 == 0:
                news = self.discipline.step(self.monotonic_ns, self.monotonic_ns + self.offset_ns, may_jump)
                self.told += [news] if news else []
            if self.monotonic_ns >= self.discipline.mapping.monotonic_ns:
                self.active = self.discipline.mapping
            times.append(self.active.at(self.monotonic_ns))
            self.monotonic_ns += 10_000_000
        return times

    @property
    def off_ns(self):
        return self.monotonic_ns + self.offset_ns - self.active.at(self.monotonic_ns)


def test_a_clock_that_nobody_sets_is_followed_to_the_nanosecond():
    machine = Machine()
    machine.run(100)
    assert (machine.off_ns, machine.told, machine.discipline.held_ns) == (0, [], 0)


@pytest.mark.parametrize('step_s', [-2.0, 2.0, -0.2, 3600.0])
def test_in_a_pass_a_step_is_told_once_and_not_followed(step_s):
    machine = Machine()
    before = machine.run(1)[-1]
    machine.set(round(step_s * S))
    after = machine.run(60)
    assert [b - a for a, b in zip([before, *after], after, strict=False)] == [10_000_000] * len(after)
    assert machine.told == [f'the clock of this machine was set by {step_s:+.3f} s']
    assert machine.discipline.held_ns == round(step_s * S)
    machine.run(2, may_jump=True)  # the pass is over
    assert machine.told[1:] == [f'station time follows the clock of this machine, which was set by {step_s:+.3f} s']
    assert (machine.off_ns, machine.discipline.held_ns) == (0, 0)


def test_a_step_that_was_a_mistake_and_is_taken_back_leaves_nothing():
    machine = Machine()
    for step_ns in (-2 * S, 2 * S):
        machine.set(step_ns)
        machine.run(3)
    assert (machine.off_ns, machine.discipline.held_ns, machine.discipline.mapping.monotonic_ns) == (0, 0, BOOT_NS)


@given(st.lists(st.tuples(st.integers(-LARGEST_SLEW_NS // 4, LARGEST_SLEW_NS // 4), st.integers(1, 8)), max_size=4))
def test_small_steps_are_slewed_and_station_time_never_runs_unevenly(steps):
    machine = Machine()
    times = machine.run(1)
    for by_ns, seconds in steps:
        machine.set(by_ns)
        times += machine.run(seconds)
    times += machine.run(2 * LARGEST_SLEW_NS / SLEW * 1e-9)
    assert machine.discipline.held_ns == 0
    assert abs(machine.off_ns) <= 60_000
    for a, b in pairwise(times):
        assert abs(b - a - 10_000_000) <= 10_000_000 * SLEW + 1


@pytest.mark.parametrize('speed', [1.0, 1 + SLEW, 1 - SLEW])
def test_a_killed_monitor_goes_on_with_the_same_time(tmp_path, speed):
    mapping = ClockMapping(UTC_NS, BOOT_NS, speed)
    StoredMapping(tmp_path / 'state', 'boot 1').save(mapping)
    assert StoredMapping(tmp_path / 'state', 'boot 1').load() == (mapping, '')
    fresh = StoredMapping(tmp_path / 'state', 'boot 2').load(lambda: (7, UTC_NS + 1))
    assert fresh == (ClockMapping(UTC_NS + 1, 7, 1.0), '')
    assert StoredMapping(tmp_path / 'none', 'boot 1').load(lambda: (7, 9)) == (ClockMapping(9, 7, 1.0), '')


SLOW = {'boot': '1', 'epoch_ns': 1, 'monotonic_ns': 1, 'speed': 0.5}


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[]',
        '{}',
        '{"boot": "1"}',
        json.dumps({'boot': '1', 'epoch_ns': 'x'}),
        json.dumps(SLOW),
        '{"boot": "1", "ep',
    ],
)
def test_a_damaged_file_is_kept_and_station_time_begins_with_utc(tmp_path, text):
    stored, file = StoredMapping(tmp_path, '1'), tmp_path / 'station_clock.json'
    file.write_text(text)
    mapping, damage = stored.load(lambda: (7, UTC_NS))
    assert mapping == ClockMapping(UTC_NS, 7, 1.0)
    assert damage.startswith(f'{file}: is damaged')
    assert (tmp_path / 'station_clock.json.damaged').read_text() == text
    stored.save(mapping)
    assert stored.load() == (mapping, '')


def test_ages_do_not_depend_on_the_clock_of_the_machine(monkeypatch):
    monkeypatch.setattr('time.time_ns', lambda: 0)  # somebody has set it back by 56 years
    clock = StationClock(must_be_set=True)
    clock.set(ClockMapping(UTC_NS, read_clocks()[0], 1.0))
    first_ns = clock.steady_ns()
    assert first_ns <= clock.steady_ns()
    assert clock.now_ns() >= UTC_NS
    clock.set(ClockMapping(UTC_NS - 2 * S, read_clocks()[0], 1.0))
    assert clock.steady_ns() >= first_ns


def test_in_a_simulated_world_ages_run_at_its_speed():
    clock = StationClock(must_be_set=True)
    clock.set(ClockMapping(UTC_NS, read_clocks()[0], 50.0), began_ns=1)
    assert UTC_NS <= clock.steady_ns() <= clock.now_ns()
