"""What is left out when the machine is too busy, and when it is taken up again."""

from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.load import Load, Stage
from qkd_gs.monitoring.loops import Loop, worst_loop


class Loops:
    """A loop at 100 Hz beside one that keeps every period."""

    def __init__(self):
        self.load, self.now_s, self.steps, self.missed = Load(), 0.0, 0, 0

    def run(self, seconds, missed_share, real_time_share=0.2):
        """Stages, one a second."""
        stages = []
        for _ in range(seconds):
            self.now_s += 1.0
            self.missed += round(100 * missed_share)
            self.steps += 100 - round(100 * missed_share)
            loops = {'mount': Loop(self.steps, self.missed), 'gps': Loop(self.steps, 0)}
            self.load.step(self.now_s, loops, real_time_share)
            stages.append(self.load.stage)
        return stages


def test_nothing_is_left_out_on_a_machine_that_keeps_its_periods():
    loops = Loops()
    assert set(loops.run(200, 0.0)) == {Stage.NOTHING}
    assert loops.load.sentence == ''


def test_a_busy_machine_leaves_out_images_then_markers_then_all_images_and_says_so():
    loops = Loops()
    stages = loops.run(60, 0.1)
    assert [stages.index(stage) for stage in Stage] == sorted(stages.index(stage) for stage in Stage)
    assert stages[-1] is Stage.NO_IMAGES
    assert loops.load.sentence == (
        'this machine is too busy (mount missed 10% of its periods): no images and no markers, and no images in the bag'
    )


def test_what_was_left_out_returns_one_by_one_when_the_machine_has_been_calm():
    loops = Loops()
    loops.run(30, 0.1)
    stages = loops.run(300, 0.0)
    assert stages[25] is Stage.NO_IMAGES  # not yet
    assert [stages.index(stage) for stage in reversed(Stage)] == sorted(stages.index(stage) for stage in Stage)
    assert stages[-1] is Stage.NOTHING
    assert loops.load.sentence == loops.load.left_out == ''


def test_what_is_left_out_is_told_after_the_trouble_too():
    loops = Loops()
    loops.run(4, 0.1)
    loops.run(3, 0.0)
    assert loops.load.sentence == ''
    assert loops.load.left_out == 'fewer images for viewers until it has not been busy for a while'


def test_real_time_loops_that_leave_too_little_to_others_count_as_too_busy():
    loops = Loops()
    assert loops.run(30, 0.0, real_time_share=0.9)[-1] is Stage.NO_IMAGES
    assert 'real-time loops use 90% of it' in loops.load.sentence


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60))
def test_a_stage_changes_by_one_at_most_and_a_reason_is_told_while_it_rises(shares):
    loops = Loops()
    before = Stage.NOTHING
    for missed, real_time in shares:
        (stage,) = loops.run(1, missed, real_time)
        assert abs(stage - before) <= 1
        assert stage <= before or loops.load.reason
        before = stage


def test_a_node_that_was_started_again_is_not_the_worst():
    assert worst_loop({'mount': Loop(1000, 0)}, {'mount': Loop(10, 90)}) == ('', 0.0)
    assert worst_loop({'mount': Loop(1000, 0)}, {'mount': Loop(1090, 10), 'tracker': Loop(1, 99)}) == ('mount', 0.1)
