"""An evening on a whole station whose evening node is killed in mid-pass and in mid-calibration; then it is parked."""

import json
import os
import subprocess
import sys
from math import cos, hypot, radians

import pytest
import qkd_gs.msg as m
from graph_station import running_station
from qkd_gs.action import Tonight
from rclpy.action import ActionClient
from std_msgs.msg import UInt8
from std_srvs.srv import Trigger

from qkd_gs.devices.mount import MountMode
from qkd_gs.evening.choice import READY_S
from qkd_gs.evening.steps import State, Step
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import ABORT_EVENING, ABORT_PASS
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.parking import away_rad, rests_near_park
from qkd_gs.tracking.types import MountTask, Phase

COMMAND = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'
REST_RAD_S = radians(0.01)
ENOUGH_S = 40.0  # locked, for a key
ASKED_S = 30.0  # from the first heartbeats of all nodes, before which time hardly goes on, to the choice of the passes
UNTIL = '2018-10-03T16:40:00Z'
SKY = ['find', 'calibrate', 'focus', 'efficiency', 'noise', 'polarization']


class Watched:
    """A station with ears, and a client for its evening."""

    def __init__(self, station):
        self.station = station
        self.drives, self.laser = station.overhear('mount/state'), station.overhear('beacon/state')
        self.states = station.hear(m.SessionState, 'session/state')
        self.keys = station.hear(m.KeyState, 'key/state', TRANSIENT_LOCAL)
        self.tasks = station.hear(UInt8, 'calibrator/busy', TRANSIENT_LOCAL)
        self.client = ActionClient(station.node, Tonight, 'tonight')
        self.mount = load_yaml(station.place / 'station.yaml', StationSettings).mount

    def ask(self, **goal):
        """Send a goal; its future result."""
        self.station.until(self.client.server_is_ready, 'the evening takes goals')
        until = messages.to_time(parse_utc(UNTIL))
        sent = self.client.send_goal_async(Tonight.Goal(**{'until': until} | goal))
        self.station.until(sent.done, 'the goal is answered')
        return sent.result().get_result_async()

    def phase(self):
        return Phase(self.states[-1].phase)

    def moves(self):
        now = self.drives[-1]
        return hypot(now.az_rate_rad_s * cos(now.el_rad), now.el_rate_rad_s) > REST_RAD_S

    def comes_to_rest(self, what):
        self.station.until(lambda: not self.moves() and self.drives[-1].mode == MountMode.HOLD, what)
        assert not self.laser[-1].emitting

    def journal(self):
        path = sorted((self.station.state / 'evenings').glob('*.json'))[-1]
        return json.loads(path.read_text())

    def state(self, step):
        return next(State(one['state']) for one in self.journal()['entries'] if one['step'] == step)


@pytest.fixture(scope='module')
def watched(tmp_path_factory):
    with running_station(tmp_path_factory, el_deg=45, lead_s=READY_S + ASKED_S, speed=0.0) as station:
        running = Watched(station)
        station.until(lambda: running.drives and running.states and running.laser, 'the station is heard')
        yield running


def locked_s(session):
    return sum(span.end_ns - span.start_ns for span in load_manifest(session).locked) * 1e-9


def test_an_evening_whose_node_dies_in_mid_pass_comes_to_its_key_and_ends_parked(watched):
    station = watched.station
    watched.ask(skip=SKY)
    station.until(lambda: watched.phase() is Phase.FINE, 'the satellite is held')
    folder = watched.states[-1].folder
    before = len(watched.states)
    pid = station.kill('evening')
    station.back('evening', pid)
    phases = {Phase(state.phase) for state in watched.states[before:]}
    assert phases <= {Phase.FINE, Phase.LOST, Phase.COARSE, Phase.ACQUIRE}, 'the pass goes on without it'
    assert {state.folder for state in watched.states[before:]} == {folder}

    def enough():
        return locked_s(station.sessions / folder) > ENOUGH_S or watched.phase() in (Phase.END, Phase.PARK, Phase.IDLE)

    station.until(enough, 'there is light for a key', step_s=0.5)
    station.call(Trigger, ABORT_PASS, Trigger.Request())
    station.until(lambda: watched.journal()['ended_utc'], 'the evening is over', step_s=0.5)
    journal = watched.journal()
    assert (journal['why_ended'], journal['restarts']) == ('all steps are over', 1)
    done = (Step.SELF_TEST, Step.TIME_AND_PLACE, Step.ARM, Step.TRACK, Step.PROCESS, Step.REPORT, Step.PARK)
    assert {step: watched.state(step) for step in done} == dict.fromkeys(done, State.DONE)
    values = next(one['values'] for one in journal['entries'] if one['step'] == Step.PROCESS)
    assert values['secret_bits'] == watched.keys[-1].secret_bits > 0
    watched.comes_to_rest('parked')
    assert rests_near_park(watched.mount, watched.drives[-1])


def slewing(watched):
    """The calibrator moves the mount, and has moved it."""
    away = away_rad(watched.mount, watched.drives[-1]) > radians(1)
    return watched.tasks[-1].data == MountTask.CHECKING and watched.moves() and away


def test_a_calibration_goes_on_while_its_evening_is_dead_and_ends_at_the_operators_word(watched):
    station = watched.station
    watched.ask(skip=[one for one in SKY if one != 'calibrate'], anew=True)
    station.until(lambda: slewing(watched), 'the mount is on its way to a star')
    pid = station.kill('evening')
    station.back('evening', pid)
    assert watched.tasks[-1].data == MountTask.CHECKING
    assert not watched.laser[-1].emitting
    said = station.call(Trigger, ABORT_EVENING, Trigger.Request())
    assert said.success
    station.until(lambda: watched.tasks[-1].data == MountTask.NONE, 'the calibration has ended')
    watched.comes_to_rest('braked')
    assert away_rad(watched.mount, watched.drives[-1]) > radians(1)
    station.until(lambda: watched.state(Step.CALIBRATE) is State.PENDING, 'the journal says so')


def test_without_its_calibrator_the_mount_brakes_and_the_evening_says_so(watched):
    station = watched.station
    over = watched.ask()  # goes on with the same evening
    station.until(lambda: slewing(watched), 'the mount is on its way to a star')
    pid = station.kill('calibrator')
    watched.comes_to_rest('braked')
    station.back('calibrator', pid)

    def told():
        entry = next(one for one in watched.journal()['entries'] if one['step'] == Step.CALIBRATE)
        return 'the calibrator has died' in entry['sentence']

    station.until(told, 'the journal says so')
    station.call(Trigger, ABORT_EVENING, Trigger.Request())
    station.until(over.done, 'the evening has ended')
    assert over.result().result.error_code == Tonight.Result.ABORTED


def test_the_telescope_is_parked_by_command(watched):
    station = watched.station
    assert not rests_near_park(watched.mount, watched.drives[-1])
    park = subprocess.Popen(
        [sys.executable, '-c', COMMAND, 'park'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ,
    )  # fmt: skip
    try:
        station.until(lambda: park.poll() is not None, '`qkd-gs park` has ended')
    finally:
        park.kill()
        said, told = park.communicate()
    assert (said, park.returncode) == ('parked\n', 0), told
    watched.comes_to_rest('parked')
    assert rests_near_park(watched.mount, watched.drives[-1])
    assert [task.data for task in watched.tasks[-2:]] == [MountTask.PARKING, MountTask.NONE]
