"""A pass in which the disk fails: what is told, and what is lost."""

import numpy as np
import pytest
import qkd_gs.msg as m
from diagnostic_msgs.msg import DiagnosticStatus
from graph_station import AT, running_station
from qkd_gs.action import TrackPass
from rclpy.action import ActionClient
from std_srvs.srv import Trigger

from qkd_gs.bench.faults.injector import full_disk
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.session.manifest import load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.timing.sealed import SealedFile, has_end
from qkd_gs.tracking.types import Phase


class Taking:
    """A station and its passes, asked for by the action itself."""

    def __init__(self, station):
        self.station = station
        self.states = station.hear(m.SessionState, 'session/state')
        self.told = station.hear(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
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
    with running_station(tmp_path_factory, el_deg=42, lead_s=10.0) as station:
        yield Taking(station)


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
