"""The calibrator's process on a real graph, with this test as all other nodes."""

import time
from math import degrees
from types import SimpleNamespace

import pytest
import qkd_gs.msg as m
from diagnostic_msgs.msg import DiagnosticArray
from one_graph import in_this_process, node_process, real_time
from qkd_gs.action import Park
from rclpy.action.client import ActionClient

from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.nodes.calibrator_node import CalibratorNode
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.pointing.pointing_file import FILE_NAME
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.control.parking import Parking


def standing():
    return messages.mount_state(MountReading(time.time_ns(), 0.5, 0.5, 0.0, 0.0, MountMode.HOLD))


def test_the_mount_is_parked_also_with_a_damaged_pointing_file(station, tmp_path):
    """A roof may wait for it to close; the supervisor keeps the way off the Sun."""
    mount = load_yaml(share_path('config', 'station.yaml'), StationSettings).mount
    (tmp_path / FILE_NAME).write_text('{"fitted_utc": "2018-10-03T1', encoding='utf-8')
    station.state_dir = tmp_path
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)
    station.hear(DiagnosticArray, '/diagnostics')
    station.hear(m.MountCommand, 'mount/command')
    commands, client = station.heard['mount/command'], ActionClient(station.node, Park, 'park')

    def tell():
        station.say('mount/state', standing())

    def ready():
        told = [one for got in station.heard['/diagnostics'] for one in got.status]
        return any(value.key == 'state' and value.value == 'active' for one in told for value in one.values)

    with node_process('calibrator', state_dir=f"'{tmp_path}'"):
        station.until(lambda: ready() and client.server_is_ready(), tell)
        asked = client.send_goal_async(Park.Goal())
        station.until(lambda: asked.done() and commands, tell)
        assert asked.result().accepted
        first_rad = commands[0].el_rad
        station.until(lambda: commands[-1].el_rad != first_rad, tell)
        assert (commands[-1].el_rad > first_rad) == (mount.park_el_deg > degrees(first_rad))


class Goal:
    """A goal of the action `park` as rclpy's server hands it over."""

    request, goal_id, is_cancel_requested, result = Park.Goal(), 1, False, None

    def execute(self, end):
        self.result = end(self)

    def abort(self):
        pass

    def publish_feedback(self, feedback):
        pass


@pytest.fixture
def calibrator(domain, tmp_path):
    with in_this_process(CalibratorNode, state_dir=tmp_path) as node:
        yield node


def test_an_error_of_the_program_ends_what_is_under_way_and_the_mount_can_be_parked(calibrator, monkeypatch):
    step, calls, commands = Parking.step, [], []

    def wrong_once(self, now_ns, mount):
        calls.append(now_ns)
        if len(calls) == 1:
            raise KeyError('park_az_deg')
        return step(self, now_ns, mount)

    monkeypatch.setattr(Parking, 'step', wrong_once)
    calibrator._commands = SimpleNamespace(publish=commands.append)
    calibrator._set_clock(real_time())
    calibrator._take_mount(standing())
    first, second = Goal(), Goal()
    calibrator._take_park(first)
    calibrator.schedule.run(time.monotonic() + 1)
    assert (first.result.error_code, first.result.error_msg) == (Park.Result.FAILED, "KeyError: 'park_az_deg'")
    assert not calibrator.fault
    assert not commands
    calibrator._take_park(second)
    calibrator.schedule.run(time.monotonic() + 2)
    assert second.result is None  # it goes on
    assert len(commands) == 1
