"""How fast simulated time runs: against machines that miss periods above some speed."""

from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.sim.remote.time_rate import Loop, Pace, Processors


class Machine:
    """Misses a share of its 100 Hz periods that grows beyond what it can do."""

    def __init__(self, can, misses_at_start=0):
        self.can, self.steps, self.missed, self.now_s = can, 0, misses_at_start, 0.0

    def run(self, pace, seconds):
        """Speeds over real time, one a half second."""
        speeds = []
        for _ in range(round(2 * seconds)):
            self.now_s += 0.5
            periods = round(50 * pace.speed)
            missed = round(periods * max(0.1 * (pace.speed / self.can - 1), 0.0))
            self.steps, self.missed = self.steps + periods - missed, self.missed + missed
            pace.step(self.now_s, {'tracker': Loop(self.steps, self.missed)})
            speeds.append(pace.speed)
        return speeds


def test_a_fast_machine_is_used_up_to_the_most():
    assert Machine(100).run(Pace(most=4.0), 300)[-1] == 4.0


@given(can=st.floats(1.2, 6.0))
def test_it_settles_near_what_the_machine_can_do(can):
    pace = Pace(least=1.0)
    machine = Machine(can)
    machine.run(pace, 400)
    settled = machine.run(pace, 100)
    assert 0.75 * can < min(settled)
    assert max(settled) < 1.25 * can


def test_never_slower_than_the_least():
    assert min(Machine(0.2).run(Pace(least=1.0), 300)) == 1.0


def test_what_happens_while_the_graph_starts_does_not_count():
    assert min(Machine(100, misses_at_start=500).run(Pace(speed=2.0), 60)) == 2.0


def test_a_node_that_was_begun_anew_is_not_blamed():
    pace = Pace()
    for second in range(0, 30):
        pace.step(float(second), {'mount': Loop(200 * second, 0)})
    before = pace.speed
    for second in range(30, 45):
        pace.step(float(second), {'mount': Loop(200 * (second - 29), 150)})
    assert pace.speed >= before


def test_a_slow_stretch_is_forgotten():
    pace, machine = Pace(least=1.0), Machine(1.5)
    machine.run(pace, 120)
    slow = pace.speed
    machine.can = 4.0
    assert machine.run(pace, 600)[-1] > 1.8 * slow


def test_a_full_machine_is_not_driven_harder_even_if_every_loop_keeps_its_period():
    pace = Pace(speed=3.0)
    for second in range(120):
        pace.step(float(second), {'tracker': Loop(100 * second, 0)}, busy=min(0.3 * pace.speed, 1.0))
    assert 0.72 <= 0.3 * pace.speed <= 0.85


def test_the_processors_are_as_busy_as_the_kernel_says():
    """Two of ten ticks idle, one waiting for the disk."""
    ticks = iter(range(1, 1000))
    times = (f'cpu {7 * n} 0 0 {2 * n} {n} 0 0 0 0 0\ncpu0 1 2 3\n' for n in ticks)
    processors = Processors(lambda: next(times))
    assert [round(processors.busy(), 9) for _ in range(50)] == [0.7] * 50
    assert 0 <= Processors().busy() <= 1
