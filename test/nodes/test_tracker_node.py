"""The tracker's loop when the program itself fails; rclpy is there, the rest of the station is not."""

import time
from math import nan
from types import SimpleNamespace

import pytest
from one_graph import in_this_process, real_time
from qkd_gs.action import TrackPass

from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.tracker_node import TrackerNode
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.tracking.types import Phase, TrackerOutputs

STEPS = 100  # that fail one after the other end the pass
WAITING = TrackerOutputs(Phase.WAIT, None, False, nan, nan, None, None, nan, nan, nan, nan)


class Pass:
    """A pass whose step ends in an error when it is told to."""

    def __init__(self):
        created = format_utc(time.time_ns())
        manifest = SimpleNamespace(satellite='MICIUS', created_utc=created, session_id='0' * 32, simulated=True)
        self.writer = SimpleNamespace(manifest=manifest, folder=SimpleNamespace(name='one'))
        self.light = SimpleNamespace(part=dict, step=lambda *_: None)
        self.tracker = SimpleNamespace(line_of_sight_el_rad=lambda reading: 0.5)
        self.locked, self.notes, self.done, self.start_ns, self.end_ns = [], (), False, 2**61, 2**62
        self.wrong, self.closed = False, None

    def step(self, now_ns, inputs):
        if self.wrong:
            raise ZeroDivisionError('division by zero')
        return WAITING

    def close(self, run):
        self.closed = run

    def keep(self):
        pass


@pytest.fixture
def tracker(domain, tmp_path):
    with in_this_process(TrackerNode, state_dir=tmp_path, sessions_dir=tmp_path) as node:
        run, answers, now_s = Pass(), [], [time.monotonic()]
        goal = SimpleNamespace(is_cancel_requested=False, abort=lambda: None, publish_feedback=lambda feedback: None)
        goal.execute = lambda end: answers.append(end(goal))
        node._set_clock(real_time())
        node._take_mount(messages.mount_state(MountReading(time.time_ns(), 0.5, 0.5, 0.0, 0.0, MountMode.HOLD)))
        node._goal = goal
        node._start(run)

        def go(steps, wrong):
            run.wrong = wrong
            for _ in range(steps):
                now_s[0] += 0.01
                node.schedule.run(now_s[0])

        yield SimpleNamespace(node=node, run=run, answers=answers, go=go)


def test_a_pass_goes_on_after_some_errors_and_ends_with_an_answer_when_they_do_not_stop(tracker):
    tracker.go(10, wrong=False)
    tracker.go(STEPS // 2, wrong=True)
    assert tracker.node.fault == 'node.error'
    tracker.go(10, wrong=False)
    assert tracker.node.fault == ''
    tracker.go(STEPS // 2, wrong=True)
    assert not tracker.answers
    tracker.go(STEPS, wrong=True)
    (answer,) = tracker.answers
    assert answer.error_code == TrackPass.Result.DEVICE_FAULT
    assert answer.error_msg == 'ZeroDivisionError: division by zero'
    assert 'loop' in tracker.run.closed  # the session is kept
    assert tracker.node.may_end
    assert tracker.node.fault == ''
