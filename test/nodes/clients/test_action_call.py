"""A goal that is looked at again and again: its server dies, refuses or forgets it; the test plays it, without ROS."""

from types import SimpleNamespace

import pytest
from action_msgs.msg import GoalStatus
from qkd_gs.action import Calibrate, TrackPass
from rclpy.task import Future

from qkd_gs.evening.heard import LOST, Answer
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.snapshot import SessionStatus, Snapshot
from qkd_gs.nodes.clients.action_call import ActionCall
from qkd_gs.tracking.types import Phase

S = 10**9
KINDS = {'track_pass': (TrackPass, 'tracker'), 'calibrate': (Calibrate, 'calibrator')}


class Server:
    """Node, client of the action and handle of the goal in one; time goes on by a second with each look."""

    def __init__(self, name='track_pass'):
        self.kind, self.name = KINDS[name]
        self.accepted, self.result, self.canceled = Future(), Future(), Future()
        self.goal = None  # the handle that the client has of it
        self.asked = []
        self.pid, self.now_ns, self.phase, self.folder = 1, 0, Phase.IDLE, ''
        self.ready = True
        self.call = ActionCall(self, self, self.kind, name, self.kind.Goal())

    # client
    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal, feedback_callback, goal_uuid):
        self.asked.append('sent')
        self.hear, self.id = feedback_callback, goal_uuid
        return self.accepted

    def _cancel_goal_async(self, handle):
        assert handle.goal_id == self.id
        return self.cancel_goal_async()

    def _get_result_async(self, handle):
        assert handle.goal_id == self.id
        return self.get_result_async()

    # handle
    def cancel_goal_async(self):
        self.asked.append('cancel')
        return self.canceled

    def get_result_async(self):
        return self.result

    # node, and client of the service
    def create_client(self, kind, name):
        return SimpleNamespace(
            service_is_ready=lambda: self.ready, call_async=lambda _: self.asked.append(f'{name} of {self.pid}')
        )

    def destroy_client(self, client):
        self.asked.append('destroyed')

    def take(self, accepted=True):
        self.goal = SimpleNamespace(
            accepted=accepted, status=GoalStatus.STATUS_EXECUTING,
            cancel_goal_async=self.cancel_goal_async, get_result_async=self.get_result_async,
        )  # fmt: skip
        self.accepted.set_result(self.goal)

    def finish(self, status=GoalStatus.STATUS_SUCCEEDED, **result):
        self.result.set_result(SimpleNamespace(status=status, result=self.kind.Result(**result)))

    def look(self):
        self.now_ns += S
        session = SessionStatus(self.now_ns, self.phase, folder=self.folder)
        node = NodeHealth(self.name, 0.1, 'active', pid=self.pid)
        return self.call.step(Snapshot(self.now_ns, session=session, nodes=(node,) if self.pid else ()))


def test_it_is_sent_when_its_server_is_there_and_answered_with_its_fields():
    server = Server('calibrate')
    server.ready = False
    assert server.look() is None
    assert not server.call.sent
    server.ready, server.pid = True, 0
    assert server.look() is None
    assert not server.call.sent, 'without its heartbeat nobody would notice its death'
    server.pid = 1
    server.look()
    server.take()
    assert server.look() is None
    assert server.call.accepted
    server.hear(SimpleNamespace(feedback=SimpleNamespace(message='going to Vega')))
    assert server.call.said == 'going to Vega'
    server.finish(summary='20 stars', rms_rad=1e-5)
    answer = server.look()
    assert (answer.code, answer.sentence, answer.values['rms_rad']) == ('DONE', '20 stars', 1e-5)
    assert server.asked == ['sent']


def test_what_went_wrong_is_its_sentence():
    server = Server()
    server.look()
    server.take()
    server.finish(error_code=TrackPass.Result.NO_LOCK, error_msg='never locked', folder='one')
    answer = server.look()
    assert (answer.code, answer.sentence, answer.values['folder']) == ('NO_LOCK', 'never locked', 'one')


def test_a_refused_goal():
    server = Server()
    server.look()
    server.take(accepted=False)
    assert server.look() == Answer('REFUSED', 'the station does not take track_pass')


@pytest.mark.parametrize('name', KINDS)
def test_a_server_that_dies_before_it_answers_has_lost_the_goal_and_its_successor_says_so(name):
    server = Server(name)
    server.look()
    assert server.look() is None
    server.pid = 2
    assert server.look() is None
    server.finish(GoalStatus.STATUS_UNKNOWN)
    answers = [server.look() for _ in range(3)]
    assert next(filter(None, answers)) == Answer(LOST, f'the {KINDS[name][1]} has died before it answered')


def test_a_pass_that_was_given_to_a_successor_before_anybody_answered_ends_with_its_own_result():
    server = Server()
    server.look()
    server.pid = 2
    for phase in (Phase.IDLE, Phase.SLEW, Phase.FINE, Phase.IDLE):
        server.phase = phase
        assert server.look() is None
    server.finish(error_code=TrackPass.Result.NO_LOCK, error_msg='never locked')
    assert server.look().code == 'NO_LOCK'


def test_an_end_before_anybody_answered_reaches_the_successor():
    server = Server('calibrate')
    server.look()
    server.call.end()
    server.pid = 2
    assert server.look() is None
    assert server.asked == ['sent', 'cancel']


def test_a_pass_that_a_tracker_begins_and_its_successor_goes_on_with_is_followed_although_nobody_answered():
    server = Server()
    server.look()
    server.pid, server.phase, server.folder = 2, Phase.SLEW, 'one'
    assert server.look() is None
    server.finish(GoalStatus.STATUS_UNKNOWN)
    assert server.look() is None
    server.phase, server.folder = Phase.IDLE, ''
    assert server.look() == Answer('DONE', '', {'folder': 'one'})


@pytest.mark.parametrize('heard_first', [False, True])
def test_a_calibrator_that_dies_has_lost_the_goal_and_its_successor_says_so(heard_first):
    """Its answer may come before its heartbeat, or after it."""
    server = Server('calibrate')
    server.look()
    server.take()
    assert server.look() is None
    if heard_first:
        server.pid, server.result = 2, Future()  # the answer to the first question never comes
        assert server.look() is None
    server.finish(GoalStatus.STATUS_UNKNOWN)
    assert server.look() == Answer(LOST, 'the calibrator has died before it was done')


@pytest.mark.parametrize('answered', [False, True])
def test_a_goal_that_a_successor_has_taken_before_its_heartbeat_was_heard_is_not_lost(answered):
    """Whether anybody had answered the goal by then, or not."""
    server = Server('calibrate')
    server.look()
    if answered:
        server.take()
        assert server.look() is None
    server.pid = 2
    for _ in range(20):
        assert server.look() is None
    server.call.end()
    server.look()
    assert server.asked == ['sent', 'cancel']
    server.finish(error_code=Calibrate.Result.ABORTED, error_msg='aborted by the operator')
    assert server.look().code == 'ABORTED'


def test_a_tracker_that_dies_goes_on_and_the_end_of_its_pass_is_waited_for():
    server = Server()
    server.look()
    server.take()
    server.phase, server.folder = Phase.FINE, 'one'
    for _ in range(3):
        assert server.look() is None
    server.pid = 2
    for _ in range(3):
        assert server.look() is None
    server.phase, server.folder = Phase.IDLE, ''
    assert server.look() == Answer('DONE', '', {'folder': 'one'})


def test_a_tracker_whose_successor_answers_before_its_heartbeat_is_heard_has_lost_no_pass():
    server = Server()
    server.look()
    server.take()
    server.phase, server.folder = Phase.FINE, 'one'
    assert server.look() is None
    server.finish(GoalStatus.STATUS_UNKNOWN)
    for pid in (1, 1, 2, 2):
        server.pid = pid
        assert server.look() is None
    server.phase, server.folder = Phase.IDLE, ''
    assert server.look() == Answer('DONE', '', {'folder': 'one'})


def test_an_end_before_it_was_sent_asks_nobody():
    server = Server()
    server.ready = False
    server.look()
    server.call.end()
    assert server.look().code == 'ABORTED'
    assert not server.asked


def test_an_end_before_the_acceptance_is_carried_out_at_the_acceptance():
    server = Server('calibrate')
    server.look()
    server.call.end()
    assert server.look() is None
    assert server.asked == ['sent']
    server.take()
    assert server.look() is None
    assert server.asked == ['sent', 'cancel']
    server.finish(error_code=Calibrate.Result.ABORTED, error_msg='aborted by the operator')
    assert server.look().code == 'ABORTED'


@pytest.mark.parametrize('knows', [True, False])
def test_a_tracker_that_does_not_know_the_goal_is_told_to_abort_the_pass(knows):
    server = Server()
    server.look()
    server.take()
    server.look()
    server.call.end()
    server.look()
    server.canceled.set_result(SimpleNamespace(goals_canceling=[1] if knows else []))
    for _ in range(3):
        assert server.look() is None
    assert server.asked == ['sent', 'cancel', *([] if knows else ['abort_pass of 1'])]


def test_each_tracker_that_comes_back_in_mid_abort_is_told_once():
    server = Server()
    server.look()
    server.take()
    server.phase = Phase.FINE
    server.look()
    for pid in (2, 3):
        server.pid = pid
        server.look()
        server.call.end()
        for _ in range(3):
            assert server.look() is None
    assert server.asked == ['sent', 'abort_pass of 2', 'abort_pass of 3']
    server.call.close()
    assert server.asked[-1] == 'destroyed'
    server.phase = Phase.IDLE
    assert server.look().code == 'DONE'


@pytest.mark.parametrize('status', [GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_ABORTED])
def test_a_result_that_was_lost_is_asked_for_again_once_the_goal_is_over(status):
    server = Server('calibrate')
    server.look()
    server.take()
    assert server.look() is None
    server.result = Future()  # the answer to the first question never comes
    for _ in range(1000):
        assert server.look() is None
    assert server.asked == ['sent']
    server.goal.status = status
    server.finish(status, summary='20 stars')
    answers = [server.look() for _ in range(10)]
    assert next(one for one in answers if one is not None).sentence == '20 stars'


def test_a_server_that_does_not_know_any_more_how_it_ended_is_no_success():
    server = Server('calibrate')
    server.look()
    server.take()
    server.goal.status = GoalStatus.STATUS_SUCCEEDED
    server.finish(GoalStatus.STATUS_UNKNOWN)
    assert server.look() == Answer(LOST, 'the calibrator does not know any more how it ended')
