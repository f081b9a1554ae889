"""A signal to stop reaches an operator who has asked for a pass; the test plays the station, without ROS."""

import os
import signal
from types import SimpleNamespace

import pytest
from action_msgs.msg import GoalStatus
from qkd_gs.action import TrackPass
from rclpy.task import Future

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.errors import StationError
from qkd_gs.nodes.clients import operator as module
from qkd_gs.nodes.clients.operator import Operator

ABORTED = TrackPass.Result(error_code=TrackPass.Result.ABORTED, error_msg='aborted by the operator')


class Station:
    """An action server that does one thing more at each look of the operator, as a list of steps says."""

    def __init__(self, *steps):
        self.steps, self.did = list(steps), []
        self.accepted, self.result, self.canceled = Future(), Future(), Future()

    # the client of the action
    def server_is_ready(self):
        return 'ready' in self.did

    def send_goal_async(self, goal, feedback_callback, goal_uuid):
        self.did.append('sent')
        return self.accepted

    def destroy(self):
        self.did.append('destroyed')

    # the handle of the goal
    def cancel_goal_async(self):
        self.did.append('cancel')
        return self.canceled

    def get_result_async(self):
        return self.result

    def look(self, *_):
        step = self.steps.pop(0)  # an operator who waits for more than happens fails here
        if step in ('SIGINT', 'SIGTERM'):
            os.kill(os.getpid(), getattr(signal, step))
        elif step == 'accept':
            self.accepted.set_result(SimpleNamespace(accepted=True, **self.of_the_goal()))
        elif step == 'canceling':
            self.canceled.set_result(SimpleNamespace(goals_canceling=[1]))
        elif step == 'parked':
            self.result.set_result(SimpleNamespace(result=ABORTED, status=GoalStatus.STATUS_CANCELED))
        self.did.append(step)
        return SimpleNamespace(nodes=[SimpleNamespace(name='tracker', pid=1)], session=None, now_ns=0)

    def of_the_goal(self):
        return {
            'cancel_goal_async': self.cancel_goal_async,
            'get_result_async': self.get_result_async,
            'status': GoalStatus.STATUS_EXECUTING,
        }


def track(monkeypatch, station, **options):
    asking = object.__new__(Operator)
    asking._node = None
    monkeypatch.setattr(asking, '_listen_to_station', station.look)
    monkeypatch.setattr(asking, 'listen', lambda _: None)
    monkeypatch.setattr(module, 'ActionClient', lambda *_: station)
    with ended_by_signals():
        return asking.track(0, 'one', lambda *_: None, **options)


@pytest.mark.parametrize('number', ['SIGINT', 'SIGTERM'])
def test_an_abort_asked_for_before_the_acceptance_is_carried_out_at_the_acceptance(monkeypatch, number):
    station = Station('ready', number, 'slow', 'accept', 'canceling', 'moving', 'parked')
    with pytest.raises(StationError, match='aborted by the operator'):
        track(monkeypatch, station)
    assert station.did.index('accept') < station.did.index('cancel') < station.did.index('canceling')


def test_an_abort_in_mid_pass_waits_until_the_mount_is_parked(monkeypatch):
    station = Station('ready', 'accept', 'tracking', 'SIGINT', 'canceling', 'parked')
    with pytest.raises(StationError, match='aborted by the operator'):
        track(monkeypatch, station)
    assert station.did.count('cancel') == 1


def test_a_second_signal_ends_the_waiting_and_leaves_the_abort_in_force(monkeypatch):
    station = Station('ready', 'accept', 'SIGINT', 'canceling', 'SIGINT')
    with pytest.raises(KeyboardInterrupt):
        track(monkeypatch, station)
    assert station.did[-3:] == ['cancel', 'canceling', 'destroyed']


def test_before_anything_was_asked_for_nothing_is_waited_for(monkeypatch):
    station = Station('not yet', 'SIGINT')
    with pytest.raises(KeyboardInterrupt):
        track(monkeypatch, station)
    assert 'sent' not in station.did


@pytest.mark.parametrize('steps', [('ready', 'SIGTERM'), ('ready', 'accept', 'tracking', 'SIGTERM')])
def test_whoever_stops_the_whole_station_waits_for_no_answer(monkeypatch, steps):
    station = Station(*steps)
    with pytest.raises(KeyboardInterrupt):
        track(monkeypatch, station, aborts=False)
    assert 'cancel' not in station.did
