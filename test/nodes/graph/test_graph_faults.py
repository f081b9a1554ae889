"""A station that somebody in its ROS domain commands without being of it, and whose disk fails: it goes on, and tells.

One station, whose pass is taken several times.
"""

import os
import subprocess
import sys
from itertools import pairwise
from math import hypot, radians

import numpy as np
import pytest
import qkd_gs.msg as m
from diagnostic_msgs.msg import DiagnosticStatus
from graph_station import AT, running_station
from qkd_gs.action import TrackPass
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from qkd_gs.bench.faults.injector import full_disk
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.safety.supervisor import SafetyStatus
from qkd_gs.session.manifest import load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.timing.sealed import SealedFile, has_end
from qkd_gs.tracking.types import Phase

COMMAND = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'
PERMITTED = SafetyStatus(motion_permitted=True, light_permitted=True, reasons=(), sun_margin_s=1e9)
BURST = 100
EL_DEG = 30.0


class Taking:
    """A station and its passes, asked for by the action itself."""

    def __init__(self, station):
        self.station = station
        self.states = station.hear(m.SessionState, 'session/state')
        self.told = station.hear(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
        self.drives, self.orders = station.overhear('mount/state'), station.overhear('mount/command')
        self.laser = station.overhear('beacon/state')
        self.client = ActionClient(station.node, TrackPass, 'track_pass')

    def ask(self, session):
        """The goal's handle."""
        station = self.station
        station.until(self.client.server_is_ready, 'the tracker takes goals')
        goal = TrackPass.Goal(at=messages.to_time(parse_utc(AT)), session=session)
        asked = self.client.send_goal_async(goal)
        station.until(asked.done, 'the goal is answered')
        return asked.result()

    def result(self, handle):
        done = handle.get_result_async()
        self.station.until(done.done, 'the goal has ended')
        return done.result().result

    def phase(self, wanted):
        before = len(self.states)
        self.station.until(lambda: any(s.phase == wanted for s in self.states[before:]), f'{wanted.name}')

    def says(self, words, absent=False):
        """Wait until the station's sentence has these words, or has them no more; the sentence."""
        before = len(self.told)

        def said():
            return any((words in one.message) != absent for one in self.told[before:])

        self.station.until(said, f'{words!r} is {"over" if absent else "told"}')
        return next(one.message for one in self.told[before:] if (words in one.message) != absent)

    def abort(self, handle):
        handle.cancel_goal_async()
        return self.result(handle)


@pytest.fixture(scope='module')
def taking(tmp_path_factory):
    """The pass lasts long enough for one after the other to be asked for and broken off, on a busy machine, too."""
    with running_station(tmp_path_factory, el_deg=EL_DEG, lead_s=10.0) as station:
        made = Taking(station)
        station.until(lambda: made.drives and made.laser and made.told, 'the station is heard')
        yield made


def command(station, **changes):
    fields = {'at_ns': station.clock.now_ns(), 'az_rad': radians(-121), 'el_rad': 0.5} | changes
    return messages.mount_command(MountCommand(**fields), m.MountCommand.TRACKER)


def moved(before, after):
    return hypot(after.az_rad - before.az_rad, after.el_rad - before.el_rad)


def test_foreign_commands_and_permits_move_nothing_and_light_nothing(taking):
    station = taking.station
    before = taking.drives[-1]
    for _ in range(BURST):
        station.say('safety/status', messages.safety_status(station.clock.now_ns(), PERMITTED), stranger=True)
        station.say('mount/command', command(station), stranger=True)
        station.say('beacon/command', messages.beacon_command(station.clock.now_ns(), True), stranger=True)
        station.spin(0.01)
    told = taking.says('refused')
    assert 'is not of this station' in told
    assert all(state.mode == MountMode.HOLD and moved(before, state) < 1e-4 for state in taking.drives[-BURST:])
    assert not any(state.emitting for state in taking.laser)


def test_who_publishes_commands_is_named(taking):
    taking.station.say('mount/command', command(taking.station), stranger=True)
    assert '/test publishes mount/command and is no node of this station' in taking.says('is no node of this station')


def test_in_a_pass_foreign_and_repeated_commands_do_not_disturb_it(taking):
    station = taking.station
    genuine = []
    station.node.create_subscription(
        m.MountCommand, 'mount/command', lambda data: genuine.append(bytes(data)), NEWEST, raw=True
    )
    handle = taking.ask('disturbed')
    taking.phase(Phase.FINE)
    again = station.node.create_publisher(m.MountCommand, 'mount/command', QoSProfile(depth=1))
    first = len(taking.orders)
    for k in range(3 * BURST):
        station.say('mount/command', command(station, az_rate_rad_s=1e30), stranger=True)
        station.say('session/state', m.SessionState(phase=99, folder='../x'), stranger=True)
        again.publish(genuine[-1 - k % min(len(genuine), 20)])
        station.spin(0.01)
    given = taking.orders[first:]  # to the drives
    assert given
    assert not [order for order in given if order.az_rate_rad_s > 1 or order.az_rad == radians(-121)]
    assert all(one.at_ns < other.at_ns for one, other in pairwise(given))
    taking.phase(Phase.FINE)
    assert 'refused' in taking.says('refused')
    assert taking.abort(handle).error_code != 0
    assert {path.name for path in station.place.iterdir()} >= {'sessions', 'state'}
    assert not (station.place / 'x').exists()
    assert len(list((station.sessions / 'disturbed').glob('tags*'))) == 1


def test_watch_survives_nonsense(taking):
    station = taking.station
    watch = subprocess.Popen(
        [sys.executable, '-c', COMMAND, 'watch', '--once'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
    )  # fmt: skip
    nonsense = m.SessionState(phase=99, folder='../x')
    station.until(lambda: station.say('session/state', nonsense, stranger=True) or watch.poll() is not None, 'it ends')
    told = watch.communicate()[0]
    assert 'Traceback' not in told
    assert watch.returncode == 0


def test_a_full_disk_in_mid_pass_is_told_and_costs_no_tag(taking):
    station = taking.station
    handle = taking.ask('full')
    assert handle.accepted
    taking.phase(Phase.FINE)
    pid = station.processes.pids()['detector']
    folder = station.sessions / 'full'
    (path,) = tags_paths(folder)
    with full_disk(pid, path.stat().st_size):
        sentence = taking.says('cannot be written')
        assert sentence.startswith(('no tags are recorded', 'detector reports'))
        taking.says('no tags are recorded: their file has not grown')
        station.beats_more('detector', 3)  # so long it lasts at least
    taking.says('tags are recorded', absent=True)
    station.until(lambda: station.is_active('detector', pid), 'the same detector works')
    taking.phase(Phase.FINE)
    assert taking.abort(handle).error_code == TrackPass.Result.ABORTED
    station.until(lambda: has_end(path), 'the run has ended')
    assert tags_paths(folder) == [path]
    session_id = load_manifest(folder).session_id
    private = KeyFolder(station.keys).session_private_key(session_id)
    blocks = list(SealedFile(path, private, bytes.fromhex(session_id)).blocks())
    pps_s = np.concatenate([block.time_ps[block.channel == 6] for block in blocks]) * 1e-12
    np.testing.assert_allclose(np.diff(pps_s), 1.0, atol=1e-3)  # not one second is missing
    assert not [path for path in folder.iterdir() if path.name.startswith('.reserved')]


def test_a_session_folder_that_is_moved_is_told_and_its_pass_ends_with_the_reason(taking):
    station = taking.station
    handle = taking.ask('moved')
    taking.phase(Phase.FINE)
    (station.sessions / 'moved').rename(station.sessions / 'elsewhere')
    taking.says('no tags are recorded: there is no tag file in moved')
    result = taking.abort(handle)
    assert result.error_code == TrackPass.Result.DEVICE_FAULT
    assert result.error_msg.startswith(f'{station.sessions / "moved"}: ')
    station.until(lambda: has_end(tags_paths(station.sessions / 'elsewhere')[-1]), 'the run has ended')
    taking.phase(Phase.IDLE)


def test_a_tracker_that_cannot_write_refuses_and_answers(taking):
    station = taking.station
    with full_disk(station.processes.pids()['tracker'], 0):
        handle = taking.ask('unwritten')
        result = taking.result(handle)
        assert result.error_code == TrackPass.Result.REFUSED
        assert 'cannot be written' in result.error_msg
        answer = station.call(Trigger, 'abort_pass', Trigger.Request())
        assert not answer.success
        assert answer.message == 'no pass is under way'
    handle = taking.ask('written')
    taking.phase(Phase.SLEW)
    assert station.call(Trigger, 'abort_pass', Trigger.Request()).success
    assert taking.result(handle).error_code == TrackPass.Result.ABORTED
