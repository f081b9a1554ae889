"""Somebody sets the clock of the machine: with real devices nothing that protects people or equipment depends on it."""

from pathlib import Path

import faults.wall_clock
import foreign_drivers
import pytest
import qkd_gs.msg as m
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from one_graph import Started, node_process, real_time

from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.safety.supervisor import SafetyStatus
from qkd_gs.tracking.types import Phase

HOUR_NS = 3_600_000_000_000
PERMITTED = SafetyStatus(motion_permitted=True, light_permitted=True, reasons=(), sun_margin_s=1e9)


class WallClock:
    """Of the processes started from now on."""

    def __init__(self, path, monkeypatch):
        self._path = path
        self.set(0)
        monkeypatch.setenv('WALL_CLOCK_FILE', str(path))
        monkeypatch.setenv('PYTHONPATH', str(Path(faults.wall_clock.__path__[0])), prepend=':')

    def set(self, by_ns):
        self._path.write_text(str(by_ns))


@pytest.fixture
def wall_clock(tmp_path, monkeypatch):
    return WallClock(tmp_path / 'wall_clock', monkeypatch)


@pytest.fixture
def options(tmp_path, monkeypatch, station):
    station.state_dir = tmp_path / 'state'
    return {
        'devices': foreign_drivers.install(tmp_path, monkeypatch),
        'sessions_dir': tmp_path / 'sessions',
        'state_dir': tmp_path / 'state',
    }


def activate(station, name):
    client = station.node.create_client(ChangeState, f'{name}/change_state')
    station.until(client.service_is_ready)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        done = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        station.until(done.done)
        assert done.result().success


def permit(station):
    station.say('safety/status', messages.safety_status(0, PERMITTED))


@pytest.mark.parametrize('by_ns', [-HOUR_NS, HOUR_NS])
def test_a_mount_without_set_points_stops(station, options, wall_clock, by_ns):
    station.hear(m.MountState, 'mount/state')
    states = station.heard['mount/state']

    def lead():
        permit(station)
        now_ns = real_time().epoch_ns
        station.say('mount/command', messages.mount_command(MountCommand(now_ns, 0.6, 0.6), 1))

    with node_process('mount', Started, **options):
        station.say('station_clock', real_time(), TRANSIENT_LOCAL)
        activate(station, 'mount')
        station.until(lambda: states and states[-1].mode == MountMode.TRACK, lead)
        wall_clock.set(by_ns)
        station.until(
            lambda: states[-1].mode == MountMode.HOLD, lambda: permit(station)
        )  # with the old clock: after an hour


def test_a_beacon_without_commands_goes_dark(station, options, wall_clock):
    station.hear(m.BeaconState, 'beacon/state')
    states = station.heard['beacon/state']

    def ask():
        permit(station)
        station.say('beacon/command', messages.beacon_command(real_time().epoch_ns, True))

    with node_process('beacon', Started, **options):
        station.say('station_clock', real_time(), TRANSIENT_LOCAL)
        activate(station, 'beacon')
        station.until(lambda: states and states[-1].emitting, ask)
        wall_clock.set(-HOUR_NS)
        station.until(lambda: not states[-1].emitting, lambda: permit(station))


def test_in_a_pass_station_time_goes_on_and_the_monitor_says_so(station, options, wall_clock):
    station.hear(m.StationClock, 'station_clock', TRANSIENT_LOCAL)
    station.hear(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
    clocks, told = station.heard['station_clock'], station.heard['readiness']

    def in_pass():
        station.say('session/state', m.SessionState(phase=int(Phase.FINE), folder='tonight'))

    def says(words, meanwhile):
        before = len(told)
        station.until(lambda: any(words in one.message for one in told[before:]), meanwhile)

    with node_process('monitor', Started, **options):
        station.until(lambda: clocks)
        first = clocks[-1]
        says('tracking, locked', in_pass)
        wall_clock.set(-HOUR_NS)
        says('the clock of this machine was set by -3600.000 s', in_pass)
        assert clocks[-1] == first

        def idle():
            station.say('session/state', m.SessionState(phase=int(Phase.IDLE)))

        station.until(lambda: clocks[-1] != first, idle)
        jumped_ns = clocks[-1].epoch_ns - first.epoch_ns - (clocks[-1].monotonic_ns - first.monotonic_ns)
        assert jumped_ns == pytest.approx(-HOUR_NS, abs=1e6)
