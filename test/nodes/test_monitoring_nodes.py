"""The scene's process and the terminal's ears on a real graph, with this test as all other nodes."""

import os
import signal
import time
from math import cos, radians, sin
from types import SimpleNamespace

import pytest
import qkd_gs.msg as m
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from one_graph import WAIT_S, node_process, real_time
from std_msgs.msg import String, UInt8
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from qkd_gs.cli import main
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.monitoring.load import Stage
from qkd_gs.monitoring.markers import Kind
from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.nodes.clients.listener import StationListener
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.nodes.conversions import messages, monitoring
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.orbit.sky import sun_at
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, compass_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.station.instance_lock import take_part
from qkd_gs.tracking.types import Phase

AT = '2018-10-03T15:56:42Z'


@pytest.fixture
def scene(domain, tmp_path):
    with node_process('scene', state_dir=f"'{tmp_path}'") as process:
        yield process


def reading(now_ns, az_deg=40.0, el_deg=30.0):
    return MountReading(now_ns, radians(az_deg), radians(el_deg), 0.0, 0.0, MountMode.TRACK)


def target(now_ns):
    return m.Target(
        header=messages.header(now_ns, 'station'), satellite='MICIUS', az_rad=1.0, el_rad=radians(43.1), range_m=8e5
    )


def session(now_ns, phase=Phase.FINE):
    return m.SessionState(header=messages.header(now_ns), satellite='MICIUS', phase=int(phase), error_x_urad=4.0)


def test_the_scene_is_published(station, scene):
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)
    station.hear(String, 'robot_description', TRANSIENT_LOCAL)
    station.hear(TFMessage, '/tf_static', TRANSIENT_LOCAL)
    station.hear(TFMessage, '/tf')
    station.hear(MarkerArray, 'markers')
    station.hear(DiagnosticArray, '/diagnostics')

    def drawn():
        return {marker.ns for got in station.heard['markers'][-1:] for marker in got.markers}

    def tell():
        now_ns = time.time_ns()
        station.say('joint_states', messages.joint_state(reading(now_ns)))
        station.say('target', target(now_ns))
        station.say('session/state', session(now_ns))
        station.say('beacon/state', m.BeaconState(header=messages.header(now_ns, 'beacon'), emitting=True))

    wanted = {'line_of_sight', 'satellite', 'label', 'our_beacon', 'satellite_beacon'}
    station.until(lambda: wanted <= drawn() and all(station.heard.values()), tell)
    tree = FrameTree(station.heard['robot_description'][-1].data)
    told = {
        step.child_frame_id: step for topic in ('/tf', '/tf_static') for step in station.heard[topic][-1].transforms
    }
    assert sorted(told) == sorted(set(tree.links) - {'station'})
    assert told['fork'].header.frame_id == 'mount_base'
    half = radians(90 - 40) / 2  # yaw of azimuth 40 deg
    turn = told['fork'].transform.rotation
    assert (turn.z, turn.w) == pytest.approx((sin(half), cos(half)))

    # the name by which config/diagnostics.yaml knows it
    beat = station.heard['/diagnostics'][-1].status[0]
    assert (beat.name, beat.hardware_id) == ('scene: scene', 'scene')

    # nobody tells anything any more: the satellite and all light go
    def gone():
        return {
            marker.ns for got in station.heard['markers'] for marker in got.markers if marker.action == Marker.DELETE
        }

    station.until(lambda: gone() >= wanted - {'line_of_sight'}, lambda: None)


def test_no_markers_are_drawn_while_the_machine_is_too_busy_and_frames_move_on(station, scene):
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)
    station.hear(TFMessage, '/tf')
    station.hear(MarkerArray, 'markers')
    moved, drawn = station.heard['/tf'], station.heard['markers']
    told_ns = [0]

    def tell():
        now_ns = time.time_ns()
        station.say('joint_states', messages.joint_state(reading(now_ns)))
        station.say('target', target(now_ns))
        station.say('session/state', session(now_ns))
        if drawn and drawn[-1].markers:
            told_ns[0] = messages.stamp_of(drawn[-1].markers[0])

    def last_ns():
        return int(moved[-1].transforms[0].header.stamp.sec) * 10**9

    station.until(lambda: drawn and moved, tell)
    station.say('load', UInt8(data=Stage.NO_MARKERS), TRANSIENT_LOCAL)
    station.until(lambda: last_ns() - told_ns[0] > 3 * 10**9, tell)
    before = len(drawn)
    station.say('load', UInt8(data=Stage.FEW_IMAGES), TRANSIENT_LOCAL)
    station.until(lambda: len(drawn) > before, tell)


def test_a_joint_that_is_not_measured_moves_no_frame(station, scene):
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)
    station.hear(TFMessage, '/tf')

    def tell():
        message = messages.joint_state(reading(time.time_ns()))
        message.position[1] = float('nan')
        station.say('joint_states', message)

    station.until(lambda: station.heard['/tf'], tell)
    assert {step.child_frame_id for got in station.heard['/tf'] for step in got.transforms} == {'fork'}


def test_a_damaged_pointing_file_is_told_and_the_readiness_goes_on(station, tmp_path):
    station.state_dir = tmp_path
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)
    station.hear(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
    told, path = station.heard['readiness'], tmp_path / FILE_NAME
    settings = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    path.write_text('{"fitted_utc": "2018-10-03T1', encoding='utf-8')
    with node_process('monitor', state_dir=f"'{tmp_path}'", sessions_dir=f"'{tmp_path}'"):
        station.until(lambda: any(str(path) in one.message for one in told))
        compass_pointing(settings.guiding_camera, '2018-10-03T12:00:00Z').save(tmp_path)
        before = len(told)
        station.until(lambda: len(told) > before + 1 and str(path) not in told[-1].message)


def test_a_telescope_that_nobody_moves_out_of_the_suns_way_is_told(station, tmp_path):
    """A known mount model, by day; also after the mount was not heard any more, and not while it is commanded."""
    noon_ns, site = parse_utc('2018-10-03T04:00:00Z'), load_site('shanghai')
    settings = yaml.safe_load(share_path('config', 'station.yaml').read_text(encoding='utf-8'))
    settings['enclosure'] = {kind: {'watch': False} for kind in ('weather', 'shutter')}  # it would be closed
    (tmp_path / 'station.yaml').write_text(yaml.safe_dump(settings), encoding='utf-8')
    StoredPointing.of(MountModel(), (640.0, 512.0), '20 stars', '2018-10-02T14:00:00Z').save(tmp_path)
    sun_az, sun_el = sun_at(site, noon_ns)
    station.state_dir = tmp_path
    station.hear(DiagnosticStatus, 'readiness', TRANSIENT_LOCAL)
    told, moved = station.heard['readiness'], [False]
    clock = m.StationClock(epoch_ns=noon_ns, monotonic_ns=time.monotonic_ns(), speed=1.0)
    station.say('station_clock', clock, TRANSIENT_LOCAL)

    def tell():
        now_ns = noon_ns + time.monotonic_ns() - clock.monotonic_ns
        station.say('mount/state', messages.mount_state(MountReading(now_ns, sun_az, sun_el, 0, 0, MountMode.HOLD)))
        if moved[0]:
            command = MountCommand(now_ns, sun_az, sun_el)
            station.say('mount/command', messages.mount_command(command, m.MountCommand.TRACKER))

    def says(words, meanwhile=tell):
        before = len(told)
        station.until(lambda: any(words in one.message for one in told[before:]), meanwhile)

    folders = dict.fromkeys(('state_dir', 'sessions_dir'), f"'{tmp_path}'")
    with node_process('monitor', station=f"'{tmp_path / 'station.yaml'}'", **folders):
        says('the Sun is too close to the telescope')
        moved[0] = True
        station.until(lambda: told and 'the Sun' not in told[-1].message, tell)
        says('the Sun is too close to the telescope', lambda: None)


def test_a_terminal_hears_the_station(station):
    watching = StationListener()
    told = {'state': 'active', 'cpu_percent': '7.5', 'namespace': '/'}
    heartbeat = DiagnosticStatus(
        name='mount: mount',
        hardware_id='mount',
        message='active',
        values=[KeyValue(key=key, value=value) for key, value in told.items()],
    )
    elsewhere = DiagnosticStatus(
        name='hwp: hwp',
        hardware_id='hwp',
        values=[KeyValue(key=key, value=value) for key, value in (told | {'namespace': '/roof'}).items()],
    )
    said = Readiness(Level.OK, 'tracking, locked, 43.1 deg')
    try:
        while True:
            now_ns = time.time_ns()
            station.say('target', target(now_ns))
            station.say('session/state', session(now_ns))
            station.say(
                'detector/counts', m.Counts(header=messages.header(now_ns - 10**9), bin_s=1.0, h=10, v=20, d=30)
            )
            station.say('key/state', m.KeyState(state=m.KeyState.WORKING, step='reconciliation'), TRANSIENT_LOCAL)
            station.say(
                'next_pass',
                m.NextPass(satellite='MICIUS', start=messages.to_time(now_ns + 60 * 10**9)),
                TRANSIENT_LOCAL,
            )
            station.say('/diagnostics', DiagnosticArray(status=[elsewhere, heartbeat]))
            station.say('readiness', monitoring.readiness(said), TRANSIENT_LOCAL)
            now = watching.listen(0.1)
            if now.nodes and now.key and now.counts and now.coming and now.session and now.el_rad > 0:
                break
    finally:
        watching.close()
    assert now.readiness == said
    assert now.session.phase is Phase.FINE
    assert now.counts.counts[:4] == (10, 20, 30, 0)
    assert now.key.step == 'reconciliation'
    assert now.coming.satellite == 'MICIUS'
    assert [(node.name, node.cpu_percent, node.trouble) for node in now.nodes] == [('mount', 7.5, '')]


def test_station_time_is_what_the_station_publishes(station):
    watching = StationListener()
    clock = m.StationClock(epoch_ns=1_538_581_000 * 10**9, monotonic_ns=time.monotonic_ns(), speed=3.0)
    try:
        station.say('station_clock', clock, TRANSIENT_LOCAL)
        while (now := watching.listen(0.1)).speed == 1.0:
            pass
    finally:
        watching.close()
    assert now.speed == 3.0
    assert 0 < now.now_ns - clock.epoch_ns < 3 * WAIT_S * 10**9


def test_watch_without_a_station_says_so(domain, capfd):
    assert main(['watch', '--once']) == 0
    assert capfd.readouterr().out.startswith('no station found')


@pytest.mark.parametrize(
    'command',
    [['track', '--pass', 'next'], ['track', '--at', AT], ['calibrate'], ['park'], ['tonight'], ['tonight', '--abort']],
)
def test_without_a_station_nothing_is_waited_for(domain, command, capfd):
    assert main(command) == 2
    assert f'qkd-gs {command[0]}: no station runs here' in capfd.readouterr().err


def test_a_station_that_has_no_tracker_yet_is_waited_for(station):
    """It runs, since one of its nodes does; the operator goes on listening until it is gone."""
    operator = Operator()
    looks = []

    def show(snapshot, said):
        looks.append(said)
        if len(looks) == 3:
            held.close()

    with take_part('') as held, pytest.raises(StationError, match='no station runs here'):
        operator.track(parse_utc(AT), '', show)
    operator.close()
    assert looks == ['waiting until the station takes track_pass'] * 3


def test_numbers_of_levels_and_markers_are_ros_own():
    assert {level.name: bytes([level]) for level in Level} == {
        name: getattr(DiagnosticStatus, name) for name in ('OK', 'WARN', 'ERROR')
    }
    assert all(getattr(Marker, kind.name) == kind for kind in Kind)


@pytest.fixture
def interrupting():
    """Ctrl-C as in a terminal; to a program in the background of a script it means nothing."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('domain', 'interrupting')
def test_ctrl_c_is_noticed_while_nothing_is_heard():
    watching = StationListener()
    executor = watching._executor

    def interrupted(timeout_sec):
        watching._executor = executor
        os.kill(os.getpid(), signal.SIGINT)
        executor.spin_once(timeout_sec=timeout_sec)

    watching._executor = SimpleNamespace(spin_once=interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            watching.listen(WAIT_S)
    finally:
        watching.close()
