"""How fast simulated time runs: against machines that miss periods above some speed."""

from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.loops import Loop
from qkd_gs.sim.remote.time_rate import Heartbeats, Pace, Processors


def begun(**options):
    pace = Pace(**options)
    pace.begin(0.0)
    return pace


class Machine:
    """Misses a share of its 100 Hz periods that grows beyond what it can do; heartbeats once a second.

    At what it can do its processors are busy for 70 %: the rest of a period is too short for another step.
    """

    def __init__(self, can, misses_at_start=0):
        self.can, self.steps, self.missed, self.now_s = can, 0, misses_at_start, 0.0

    def run(self, pace, seconds, **load):
        """Speeds over real time, one a half second."""
        speeds = []
        for _ in range(round(2 * seconds)):
            self.now_s += 0.5
            periods = 50 * pace.speed
            missed = periods * min(max(0.1 * (pace.speed / self.can - 1), 0.0), 1.0)
            self.steps, self.missed = self.steps + periods - missed, self.missed + missed
            if self.now_s % 1 == 0:
                self.loops = {'tracker': Loop(round(self.steps), round(self.missed))}
                pace.step(self.now_s, self.loops, **({'busy': min(0.7 * pace.speed / self.can, 1.0)} | load))
            speeds.append(pace.speed)
        return speeds


def test_time_is_slow_until_every_node_has_been_heard():
    pace, nodes = Pace(), Heartbeats(['mount', 'recorder'])
    assert max(Machine(100).run(pace, 60)) < 1.0
    nodes.heard(60.0, 'mount')
    assert not nodes.complete
    nodes.heard(61.0, 'recorder')
    assert nodes.complete
    pace.begin(61.0)
    assert pace.speed == 1.0


def test_a_fast_machine_is_used_up_to_the_most():
    speeds = Machine(100).run(begun(most=4.0), 300)
    assert speeds[-1] == 4.0
    assert speeds[2 * 45] > 2.0  # soon


@given(can=st.floats(0.2, 6.0))
def test_it_settles_near_what_the_machine_can_do(can):
    pace, machine = begun(), Machine(can)
    machine.run(pace, 600)
    settled = machine.run(pace, 100)
    assert 0.75 * can < min(settled)
    assert max(settled) < 1.3 * can  # 1.27 where ten seconds have few periods, of which whole ones are missed


def test_a_machine_that_cannot_keep_real_time_gets_less_within_seconds():
    pace, machine = begun(), Machine(0.3)
    machine.run(pace, 10)  # nothing is decided yet
    assert min(machine.run(pace, 12)) < 0.5


def test_what_happens_while_the_graph_starts_does_not_count():
    assert min(Machine(100, misses_at_start=500).run(begun(), 60)) == 1.0


def test_a_restarted_node_is_not_blamed():
    pace = begun()
    for second in range(30):
        pace.step(float(second), {'mount': Loop(200 * second, 0)})
    before = pace.speed
    for second in range(30, 45):
        pace.step(float(second), {'mount': Loop(200 * (second - 29), 150)})
    assert pace.speed >= before


@given(can=st.floats(0.05, 0.5))
def test_the_periods_that_a_change_costs_do_not_stop_time(can):
    """One or two for each loop, which are a large share where few periods fit into ten seconds."""

    class Costly(Machine):
        def run(self, pace, seconds):
            slowest = pace.speed
            for _ in range(seconds):
                before = pace.speed
                super().run(pace, 1)
                self.missed += 2 * (pace.speed != before)
                slowest = min(slowest, pace.speed)
            return slowest

    assert Costly(can).run(begun(), 900) > 0.5 * can


def test_slow_seconds_are_forgotten():
    pace, machine = begun(), Machine(1.5)
    machine.run(pace, 120)
    slow = pace.speed
    machine.can = 4.0
    assert machine.run(pace, 300)[-1] > 2 * slow


def test_a_full_machine_is_not_driven_harder_even_if_every_loop_keeps_its_period():
    pace = begun()
    for second in range(200):
        pace.step(float(second), {'tracker': Loop(100 * second, 0)}, busy=min(0.3 * pace.speed, 1.0))
    assert 0.72 <= 0.3 * pace.speed <= 0.85


def test_other_programs_that_fill_the_machine_do_not_stop_time():
    assert set(Machine(100).run(begun(), 300, busy=1.0)) == {1.0}


@given(silence_s=st.floats(2.6, 29.0))
def test_a_node_that_is_not_heard_slows_time_down_at_once(silence_s):
    pace, machine = begun(), Machine(100)
    before = machine.run(pace, 60)[-1]
    machine.run(pace, 1, silence_s=silence_s)
    assert pace.speed < 0.7 * before


def test_a_starvation_that_is_over_costs_a_minute_not_ten():
    pace, machine = begun(most=1.0), Machine(100)
    machine.run(pace, 60)
    starved = machine.run(pace, 12, silence_s=6.0)
    assert starved[-1] < 0.1
    assert machine.run(pace, 60)[-1] > 0.7


def test_trouble_that_is_over_costs_a_minute_not_ten():
    """A machine that was busy with something else for a while, and has nothing else to do now."""
    pace, machine = begun(most=1.0), Machine(100)
    machine.run(pace, 60)
    machine.can = 0.1
    machine.run(pace, 120)
    assert pace.speed < 0.2
    machine.can = 100
    assert machine.run(pace, 60)[-1] == 1.0


def test_beside_other_programs_it_returns_carefully():
    pace, machine = begun(most=1.0), Machine(100)
    machine.run(pace, 60)
    machine.can = 0.1
    machine.run(pace, 120)
    machine.can, before = 100, pace.speed
    assert machine.run(pace, 60, busy=0.9)[-1] < 2.5 * before


@given(can=st.floats(0.2, 1.0))
def test_time_does_not_return_to_a_speed_that_the_machine_no_longer_has(can):
    pace, machine = begun(most=1.0), Machine(100)
    machine.run(pace, 60)
    machine.can = can
    machine.run(pace, 12, silence_s=6.0)
    assert max(machine.run(pace, 300)[120:]) < 1.3 * can


def test_the_oldest_heartbeat_counts_but_not_that_of_a_node_that_has_ended():
    nodes = Heartbeats(['mount', 'recorder'])
    nodes.heard(0.0, 'recorder')
    nodes.heard(8.0, 'mount')
    assert nodes.silence_s(10.0) == 10.0
    nodes.heard(10.0, 'recorder')
    assert nodes.silence_s(10.0) == 2.0
    assert nodes.silence_s(1000.0) == 0.0


def test_the_processors_are_as_busy_as_the_kernel_says():
    """Of ten ticks one idle, one niced, one waiting for the disk; a processor on which it may not run does nothing."""
    ticks = iter(range(1, 1000))
    times = (
        f'cpu {14 * n} 0 0 {14 * n} {2 * n} 0 0 0 0 0\n'
        f'cpu0 {7 * n} {n} 0 {n} {n} 0 0 0 0 0\n'
        f'cpu1 0 0 0 {10 * n} 0 0 0 0 0 0\n'
        f'cpu12 {7 * n} {n} 0 {n} {n} 0 0 0 0 0\nintr 1\n'
        for n in ticks
    )
    processors = Processors(lambda: next(times), {0, 12})
    assert [round(processors.busy(), 9) for _ in range(50)] == [0.7] * 50
    assert 0 <= Processors().busy() <= 1
