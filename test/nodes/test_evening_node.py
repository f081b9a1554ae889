"""The evening node in a process of its own: the test plays all other nodes, and its calibrator takes goals."""

import json
import os
import signal
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import qkd_gs.msg as m
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from one_graph import node_process
from qkd_gs.action import Calibrate, Observe, Park, Tonight
from rclpy.action.client import ActionClient
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from std_msgs.msg import UInt8

from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.evening.steps import State, Step
from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.nodes.conversions import messages, monitoring
from qkd_gs.nodes.runtime.actions import conclude
from qkd_gs.nodes.runtime.base import ABORT_EVENING
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing, load_pointing
from qkd_gs.station.graph import NODES
from qkd_gs.tracking.types import MountTask, Phase

NOW_NS, UNTIL_NS = parse_utc('2018-10-03T14:40:00Z'), parse_utc('2018-10-03T15:00:00Z')
SKY = ['time-and-place', 'find', 'focus', 'efficiency', 'noise', 'polarization']
KINDS = {
    'calibrate': (Calibrate, MountTask.CALIBRATING),
    'observe': (Observe, MountTask.FINDING),
    'park': (Park, MountTask.PARKING),
}


class Others:
    """All other nodes of a station: ready, between two passes, in good weather, the mount at rest."""

    def __init__(self, station, state_dir):
        self.station, station.state_dir = station, state_dir
        self.clock = m.StationClock(epoch_ns=NOW_NS, monotonic_ns=time.monotonic_ns(), speed=1.0)
        self.goals, self.canceled, self.task = [], [], MountTask.NONE
        self.reasons, self.keeps_time, self.says_task = '', True, True
        self.nodes = [spec.name for spec in NODES if spec.name != 'evening']
        station.hear(DiagnosticArray, '/diagnostics')
        self.client = ActionClient(station.node, Tonight, 'tonight')
        self.servers = [
            ActionServer(
                station.node, kind, name, lambda goal: None, goal_callback=lambda goal: GoalResponse.ACCEPT,
                handle_accepted_callback=lambda goal, name=name: self.take(name, goal),
                cancel_callback=self.cancel,
            )
            for name, (kind, _) in KINDS.items()
        ]  # fmt: skip

    def take(self, name, goal):
        self.goals.append((name, goal))
        self.task = KINDS[name][1]

    def cancel(self, goal):
        self.canceled.append(goal)
        return CancelResponse.ACCEPT

    def finish(self, code=0, why=''):
        """The calibrator is done with the last goal."""
        name, goal = self.goals[-1]
        self.task = MountTask.NONE
        conclude(goal, KINDS[name][0].Result(error_code=code, error_msg=why))

    def speak(self):
        now_ns = self.clock.epoch_ns + time.monotonic_ns() - self.clock.monotonic_ns
        say = self.station.say
        if self.keeps_time:
            say('station_clock', self.clock, TRANSIENT_LOCAL)
        beats = [
            DiagnosticStatus(
                name=f'{name}: {name}', hardware_id=name, message='active',
                values=[KeyValue(key=k, value=v) for k, v in (('state', 'active'), ('pid', '77'), ('namespace', '/'))],
            )
            for name in self.nodes
        ]  # fmt: skip
        say('/diagnostics', DiagnosticArray(status=beats))
        say('readiness', monitoring.readiness(Readiness(Level.OK, 'ready')), TRANSIENT_LOCAL)
        say('session/state', m.SessionState(header=messages.header(now_ns), phase=int(Phase.IDLE), simulated=True))
        say('mount/state', messages.mount_state(MountReading(now_ns, 1.0, 0.7, 0.0, 0.0, MountMode.HOLD)))
        say('safety/status', m.SafetyStatus(header=messages.header(now_ns), reasons=self.reasons))
        if self.says_task:
            say('calibrator/busy', UInt8(data=self.task), TRANSIENT_LOCAL)

    def hide_time(self):
        """No new process learns station time until `keeps_time` is set again."""
        self.keeps_time = False
        self.station.forget('station_clock')

    def hide_task(self):
        """No new process learns what the calibrator does until `says_task` is set again."""
        self.says_task = False
        self.station.forget('calibrator/busy')

    def until(self, done):
        self.station.until(done, self.speak)

    def ask(self, **goal):
        """Send a goal; its handle, and the result as it comes."""
        self.until(self.client.server_is_ready)
        sent = self.client.send_goal_async(Tonight.Goal(**{'until': messages.to_time(UNTIL_NS)} | goal))
        self.until(sent.done)
        handle = sent.result()
        return SimpleNamespace(handle=handle, future=handle.get_result_async())

    def result(self, asked):
        self.until(asked.future.done)
        return asked.future.result().result

    def said(self):
        """What the evening's newest heartbeat tells of it."""
        statuses = [one for array in self.station.heard['/diagnostics'] for one in array.status]
        values = [{pair.key: pair.value for pair in one.values} for one in statuses if one.hardware_id == 'evening']
        return values[-1].get('evening', '') if values else ''


@pytest.fixture
def others(station, tmp_path):
    state = tmp_path / 'state'
    hwp = (0.0, 0.01)
    StoredPointing.of(MountModel(IA=0.1), (639.5, 511.5), 'one star', '2018-10-02T20:00:00Z', True, hwp).save(state)
    return Others(station, state)


@pytest.fixture
def options(others, tmp_path):
    return {'state_dir': others.station.state_dir, 'sessions_dir': tmp_path / 'sessions'}


def journals(others):
    return [json.loads(path.read_text()) for path in sorted((others.station.state_dir / 'evenings').glob('*.json'))]


def state_of(journal, step):
    return next(State(one['state']) for one in journal['entries'] if one['step'] == step)


def test_an_evening_that_is_asked_for_before_station_time_is_known_begins_with_it(others, options):
    others.keeps_time = False
    with node_process('evening', **options):
        ended, asked = others.ask(skip=SKY), others.ask(skip=SKY)
        others.until(ended.handle.cancel_goal_async().done)
        assert not (others.station.state_dir / 'evenings').exists()
        others.keeps_time = True
        others.until(lambda: others.goals)
        assert not asked.future.done()
        assert others.result(ended).error_code == Tonight.Result.ABORTED


def test_a_damaged_note_of_an_evening_under_way_keeps_no_operator_waiting(others, options):
    note = others.station.state_dir / 'current_evening.json'
    note.write_text('{"folder": ', encoding='utf-8')
    others.keeps_time = False
    with node_process('evening', **options):
        others.ask(skip=SKY)
        others.keeps_time = True
        others.until(lambda: others.goals)
    assert note.with_name('current_evening.json.damaged').read_text(encoding='utf-8') == '{"folder": '


def test_goals_are_refused_with_their_reason_and_an_evening_is_done_to_its_end(others, options):
    with node_process('evening', **options):
        for goal, code, why in (
            ({'skip': ['supper']}, Tonight.Result.REFUSED, "'supper' is no step of an evening"),
            ({'skip': ['park']}, Tonight.Result.REFUSED, 'the step park cannot be skipped'),
            ({'until': messages.to_time(NOW_NS)}, Tonight.Result.REFUSED, '2018-10-03T14:40:00Z has gone by'),
        ):
            result = others.result(others.ask(**goal))
            assert result.error_code == code
            assert why in result.error_msg
        assert not (others.station.state_dir / 'evenings').exists()
        first = others.ask(skip=SKY)
        others.until(lambda: others.goals)
        assert others.result(others.ask(anew=True)).error_code == Tonight.Result.BUSY
        second = others.ask()  # of another operator, who watches from now on
        assert others.result(first).error_msg == 'another operator goes on with the evening'
        assert others.goals[0][0] == 'calibrate'
        others.finish()
        others.until(lambda: len(others.goals) == 2)  # there is no pass before the end of this evening
        assert others.goals[1][0] == 'park'
        others.finish()
        result = others.result(second)
    assert (result.error_code, result.summary) == (Tonight.Result.DONE, 'all steps are over')
    (journal,) = journals(others)
    assert result.journal.startswith(str(others.station.state_dir / 'evenings'))
    assert {state_of(journal, step) for step in (Step.CALIBRATE, Step.ARM, Step.PARK)} == {State.DONE}
    assert {state_of(journal, step) for step in SKY} == {State.SKIPPED}
    assert not (others.station.state_dir / 'current_evening.json').exists()


def test_a_telescope_that_knows_a_compass_only_is_asked_to_find_itself_and_a_restart_waits_for_that(others, options):
    state = others.station.state_dir
    stored = load_pointing(state).model_copy(update={'coarse': True, 'compass': True})
    stored.save(state)
    with node_process('evening', **options) as process:
        others.ask(skip=[one for one in SKY if one != 'find'])
        others.until(lambda: others.goals)
        name, goal = others.goals[0]
        assert (name, goal.request.task) == ('observe', Observe.Goal.FIND)
        process.send_signal(signal.SIGKILL)
        process.wait()
    others.station.heard['/diagnostics'].clear()
    with node_process('evening', **options):
        others.until(lambda: 'waits until the observation under way is over' in others.said())
        found = {'compass': False, 'aligned_deg': (120.0, 40.0), 'summary': 'found on 30 stars'}
        stored.model_copy(update=found).save(state)
        others.finish()
        others.until(lambda: len(others.goals) == 2)
        assert others.goals[1][0] == 'calibrate'
        others.finish()
        others.until(lambda: len(others.goals) == 3)
        others.finish()
        others.until(lambda: not others.said())
    (journal,) = journals(others)
    assert state_of(journal, Step.FIND) is State.DONE


@pytest.mark.parametrize(
    'said', ['waits until the calibration under way is over', 'self-test: waits for the station', '']
)
def test_a_process_that_is_killed_resumes_the_evening_and_can_be_told_to_end_what_went_on(others, options, said):
    """Whether it already waits for the end of that, tests the devices again, or does not know station time yet."""
    with node_process('evening', **options) as process:
        others.ask(skip=SKY)
        others.until(lambda: others.goals)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert state_of(journals(others)[0], Step.CALIBRATE) is State.RUNNING
    assert not others.canceled  # the calibrator goes on, and ends by itself
    others.station.heard['/diagnostics'].clear()
    if 'self-test' in said:
        others.nodes.remove('hwp')
    if not said:
        others.hide_time()
    with node_process('evening', **options):
        others.until(lambda: said in others.said())
        assert others.station.trigger(ABORT_EVENING, others.speak).success
        others.keeps_time = True
        others.until(lambda: others.canceled)
        others.finish(Calibrate.Result.ABORTED, 'aborted by the operator')
        others.until(lambda: not (others.station.state_dir / 'current_evening.json').exists())
        others.until(lambda: not others.said())
        assert len(others.goals) == 1
    (journal,) = journals(others)
    assert journal['restarts'] == 1
    assert state_of(journal, Step.CALIBRATE) is State.PENDING
    assert not journal['ended_utc']


@contextmanager
def over_before_the_calibrator_is_heard(others, options):
    """A node that was killed in a calibration; the evening that its successor resumes is aborted at once."""
    with node_process('evening', **options) as process:
        others.ask(skip=SKY)
        others.until(lambda: others.goals)
        process.send_signal(signal.SIGKILL)
        process.wait()
    others.station.heard['/diagnostics'].clear()
    others.hide_task()
    with node_process('evening', **options):
        others.until(others.said)
        assert others.station.trigger(ABORT_EVENING, others.speak).success
        others.until(lambda: not (others.station.state_dir / 'current_evening.json').exists() and not others.said())
        yield


def test_what_goes_on_is_ended_though_the_evening_was_over_before_it_was_heard(others, options):
    with over_before_the_calibrator_is_heard(others, options):
        assert not others.canceled
        others.says_task = True
        others.until(lambda: others.canceled)
        others.finish(Calibrate.Result.ABORTED, 'aborted by the operator')


def test_what_another_evening_asks_for_is_not_ended_by_the_abort_of_the_one_before(others, options):
    with over_before_the_calibrator_is_heard(others, options):
        others.ask(skip=SKY)
        others.until(lambda: len(others.goals) == 2)
        others.says_task = True
        others.finish()
        others.until(lambda: len(others.goals) == 3)
        assert others.goals[2][0] == 'park'
        assert not others.canceled
        others.finish()


def test_a_cancelled_goal_and_rain_end_what_was_asked_for(others, options):
    with node_process('evening', **options):
        asked = others.ask(skip=SKY)
        others.until(lambda: others.goals)
        others.reasons = 'control.silent weather.rain'
        others.until(lambda: others.canceled)
        others.finish(Calibrate.Result.ABORTED, 'aborted by the operator')
        others.until(lambda: len(others.goals) == 2)
        assert others.goals[1][0] == 'park'
        others.finish()
        others.until(lambda: 'waits for the weather: it rains' in others.said())
        asked.handle.cancel_goal_async()
        result = others.result(asked)
    assert (result.error_code, result.error_msg) == (Tonight.Result.ABORTED, 'aborted by the operator')
    (journal,) = journals(others)
    assert state_of(journal, Step.CALIBRATE) is State.PENDING


def test_a_journal_that_cannot_be_written_refuses_the_evening(others, options):
    if not os.geteuid():
        (others.station.state_dir / 'evenings').write_text(
            ''
        )  # a file where a folder should be: root may write anywhere
    else:
        (others.station.state_dir / 'evenings').mkdir(mode=0o500)
    with node_process('evening', **options):
        result = others.result(others.ask(skip=SKY))
    assert result.error_code == Tonight.Result.FAILED
    assert 'evenings' in result.error_msg
    assert not others.goals
