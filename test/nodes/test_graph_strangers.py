"""Somebody in the ROS domain commands the station without being of it: nothing moves, and it is told."""

import os
import subprocess
import sys
from itertools import pairwise
from math import hypot, radians

import pytest
import qkd_gs.msg as m
from graph_station import running_station
from rclpy.qos import QoSProfile
from test_graph_faults import Taking

from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.safety.supervisor import SafetyStatus
from qkd_gs.tracking.types import Phase

COMMAND = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'
PERMITTED = SafetyStatus(motion_permitted=True, light_permitted=True, reasons=(), sun_margin_s=1e9)
BURST = 100


@pytest.fixture(scope='module')
def taking(tmp_path_factory):
    with running_station(tmp_path_factory, el_deg=42, lead_s=10.0) as station:
        made = Taking(station)
        made.drives = station.overhear('mount/state')
        made.orders = station.overhear('mount/command')
        made.laser = station.overhear('beacon/state')
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
