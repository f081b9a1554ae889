"""What stops when somebody falls silent, in a running pass; and what an operator may ask for, and may not."""

import os
import signal
import subprocess
import sys
from math import cos, degrees, hypot, radians

import pytest
import qkd_gs.msg as m
from graph_station import AT, running_station

from qkd_gs.devices.dome import Shutter
from qkd_gs.devices.mount import MountMode
from qkd_gs.errors import StationError
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.nodes.conversions import messages
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.types import Phase

REST_RAD_S = radians(0.01)
MS = 1_000_000
COMMAND = 'import sys; from qkd_gs.cli import main; sys.exit(main(sys.argv[1:]))'


class Pass:
    """A station that tracks a pass, asked for by `qkd-gs track` in a process of its own."""

    def __init__(self, station):
        self.station = station
        self.drives = station.overhear('mount/state')
        self.orders = station.overhear('mount/command')
        self.laser = station.overhear('beacon/state')
        self.wanted = station.hear(m.MountCommand, 'mount/command')
        self.states = station.hear(m.SessionState, 'session/state')
        self.track = None

    def begin(self):
        self.track = subprocess.Popen(
            [sys.executable, '-c', COMMAND, 'track', '--at', AT, '--session', 'one'],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
        )  # fmt: skip
        self.locked('the satellite is held')

    def phase(self):
        return Phase(self.states[-1].phase)

    def locked(self, what):
        """Wait until it is held, by news from now on."""
        before = len(self.states)

        def held():
            return any(state.phase == Phase.FINE for state in self.states[before:])

        self.station.until(held, what)

    def at_rest(self):
        """Wait until the drives stand still; station time of the first such reading from now on."""
        before, since_ns = len(self.drives), self.station.clock.now_ns()

        def resting():
            return next((s for s in self.drives[before:] if s.stamp_ns > since_ns and not moves(s)), None)

        return self.station.until(resting, 'the mount is at rest').stamp_ns


def moves(state):
    return hypot(state.az_rate_rad_s * cos(state.el_rad), state.el_rate_rad_s) > REST_RAD_S


@pytest.fixture(scope='module')
def taking(tmp_path_factory):
    with running_station(tmp_path_factory, el_deg=42, lead_s=10.0) as station:
        running = Pass(station)
        station.until(lambda: running.drives and running.states and running.laser, 'the station is heard')
        try:
            yield running
        finally:
            if running.track is not None and running.track.poll() is None:
                running.track.kill()
                running.track.wait()


def asked(at, session='other'):
    """What the station says to a request."""
    operator = Operator()
    try:
        with pytest.raises(StationError) as error:
            operator.track(parse_utc(at), session, lambda snapshot, said: None)
    finally:
        operator.close()
    return str(error.value)


@pytest.mark.parametrize(
    ('at', 'session', 'why'),
    [
        ('2018-10-03T13:30:00Z', 'other', 'REFUSED'),  # that pass is over
        ('2019-03-01T00:00:00Z', 'other', 'REFUSED'),  # the elements are too old for it
        (AT, '../elsewhere', 'REFUSED'),
        (AT, '.hidden', 'REFUSED'),
    ],
)
def test_a_pass_that_cannot_be_taken_is_refused_with_its_reason(taking, at, session, why):
    said = asked(at, session)
    assert said.startswith('track_pass: ')
    assert f'({why})' in said
    assert taking.phase() is Phase.IDLE
    assert not taking.station.sessions.exists() or not any(taking.station.sessions.iterdir())


def test_a_pass_under_way_is_the_only_one(taking):
    taking.begin()
    assert 'a pass is under way (BUSY)' in asked(AT)
    operator = Operator()
    try:
        with pytest.raises(StationError, match=r'a pass, a calibration or a park is under way \(BUSY\)'):
            operator.calibrate(5, lambda snapshot, said: None)
    finally:
        operator.close()
    assert taking.phase() in (Phase.FINE, Phase.LOST, Phase.COARSE, Phase.ACQUIRE)


def test_without_its_tracker_mount_and_beacon_stop_by_themselves(taking):
    """From the last set-point: the drives' watchdog, braking, and the beacon's own silence."""
    station = taking.station
    watchdog_s = load_yaml(station.place / 'station.yaml', StationSettings).mount.watchdog_s
    taking.locked('the satellite is held')
    station.until(lambda: taking.laser[-1].emitting, 'the beacon is lit')
    assert moves(taking.drives[-1])
    station.supervised = False
    try:
        station.kill('tracker')
        rest_ns = taking.at_rest()
        station.until(lambda: not taking.laser[-1].emitting, 'the beacon is dark')
        last_ns = taking.orders[-1].at_ns
        fastest = max(abs(s.az_rate_rad_s) for s in taking.drives if s.stamp_ns > last_ns - 50 * MS)
        braking_s = fastest / radians(15 * 0.7)
        # a set-point holds for a time a little ahead of its arrival, and the world tells the drives every 10 ms
        assert (rest_ns - last_ns) * 1e-9 < watchdog_s + braking_s + 0.1
        dark_ns = next(s.stamp_ns for s in taking.laser if s.stamp_ns > last_ns and not s.emitting)
        assert (dark_ns - last_ns) * 1e-9 < 0.3 + 0.1
        stood = taking.drives[-1]
        assert stood.mode == MountMode.HOLD
    finally:
        station.supervised = True
    taking.locked('a new tracker has found it again')
    assert load_manifest(station.sessions / 'one').session_id == taking.states[-1].session_id


def test_without_its_driver_the_mount_stops_and_knows_where_it_is(taking):
    station = taking.station
    taking.locked('the satellite is held')
    station.supervised = False
    try:
        station.kill('mount')
        taking.at_rest()
        last_ns = taking.orders[-1].at_ns
        stopping = [s for s in taking.drives if s.stamp_ns > last_ns]
        after_ns = next(s.stamp_ns for s in stopping if s.mode != MountMode.TRACK)
        assert (after_ns - last_ns) * 1e-9 < 0.1 + 0.05
        stood = taking.drives[-1]
    finally:
        station.supervised = True
    station.until(lambda: taking.drives[-1] is not stood, 'the drives are heard again')
    moved = taking.drives[taking.drives.index(stood) + 1]
    assert hypot(moved.az_rad - stood.az_rad, moved.el_rad - stood.el_rad) < 1e-5
    taking.locked('a new driver has gone on')


def test_without_a_safety_status_the_mount_stops(taking):
    station = taking.station
    taking.locked('the satellite is held')
    statuses = station.hear(m.SafetyStatus, 'safety/status')
    domes = station.overhear('dome/state')
    station.until(lambda: statuses and domes, 'the supervisor is heard')
    station.supervised = False
    try:
        station.kill('monitor')
        taking.at_rest()
        station.until(lambda: not taking.laser[-1].emitting, 'the beacon is dark')
        last_ns = messages.stamp_of(statuses[-1])
        stopped_ns = taking.orders[-1].at_ns
        assert (stopped_ns - last_ns) * 1e-9 < 0.3 + 0.1

        def wanted_later():
            return messages.stamp_of(taking.wanted[-1]) - stopped_ns > 50 * MS

        station.until(wanted_later, 'it has not stopped for want of set-points')
    finally:
        station.supervised = True
    taking.locked('it goes on with a new safety status')
    assert {dome.shutter for dome in domes} == {Shutter.OPEN}, 'a supervisor that has just begun closes nothing'


def test_ctrl_c_parks_and_darkens(taking):
    station = taking.station
    taking.track.send_signal(signal.SIGINT)

    def parked():
        return taking.phase() is Phase.IDLE

    station.until(parked, 'parked')
    station.until(lambda: taking.track.poll() is not None, '`qkd-gs track` has ended')
    told = taking.track.communicate()[0]
    if 'ABORTED' not in told:  # its goal was lost with the tracker that was killed: it knows no more than that
        assert 'the pass is over' in told
    assert 'Traceback' not in told
    taking.at_rest()
    rest = taking.drives[-1]
    settings = load_yaml(station.place / 'station.yaml', StationSettings).mount
    assert degrees(rest.az_rad) == pytest.approx(settings.park_az_deg, abs=0.05)
    assert degrees(rest.el_rad) == pytest.approx(settings.park_el_deg, abs=0.05)
    assert not taking.laser[-1].emitting


def test_a_pass_that_is_broken_off_ends_as_aborted(taking):
    """The tracker that took the goal is the one that is asked to end it."""
    station = taking.station
    track = subprocess.Popen(
        [sys.executable, '-c', COMMAND, 'track', '--at', AT, '--session', 'two'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        station.until(lambda: taking.states[-1].folder == 'two', 'another pass is under way')
        track.send_signal(signal.SIGINT)
        station.until(lambda: track.poll() is not None, '`qkd-gs track` has ended')
    finally:
        track.kill()
        _, told = track.communicate()
    assert track.returncode == 2
    assert told.strip().splitlines()[-1] == 'qkd-gs track: track_pass: aborted by the operator (ABORTED)'
    assert taking.phase() is Phase.IDLE
    assert not taking.laser[-1].emitting
    assert load_manifest(station.sessions / 'two').satellite == 'MICIUS'
