"""A recorded pass on a real graph again: by `qkd-gs replay`, heard by this test as any other node."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import qkd_gs.msg as m
from one_graph import WAIT_S, real_time
from passes_on_topics import ABOUT, BEGIN_NS, whole_bag
from passes_on_topics import messages as pass_messages
from rosgraph_msgs.msg import Clock

from qkd_gs.cli import main
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import SENSOR, TRANSIENT_LOCAL
from qkd_gs.recording import metrics_of_bag, open_bag
from qkd_gs.session.manifest import Manifest, create_manifest, update_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.station.instance_lock import stand_in, take_part
from qkd_gs.tracking.record.manifest_writer import finite
from qkd_gs.tracking.record.topics import STATION_METRICS

SECONDS = 12


@pytest.fixture(scope='module')
def settings():
    return load_yaml(share_path('config', 'station.yaml'), StationSettings)


@pytest.fixture
def session(tmp_path, settings):
    """A session whose live pass has kept its own figures."""
    whole_bag(tmp_path / 'bag', pass_messages(SECONDS))
    live = finite(asdict(metrics_of_bag(open_bag(tmp_path), settings.tracking)))
    create_manifest(tmp_path, manifest(settings, live))
    return tmp_path


def manifest(settings, live):
    return Manifest(
        session_id=ABOUT.session_id, simulated=True, software='qkd_gs', created_utc='2018-10-03T15:50:00Z',
        satellite='MICIUS', elements_file='elements.tle', elements_used='', site=load_site('shanghai'), pass_info={},
        culmination_ns=BEGIN_NS, time_bias_s=0.0, cross_track_m=0.0, locked=[], closed=True,
        station=settings, run={STATION_METRICS: live},
    )  # fmt: skip


def replay(session, *more):
    command = [sys.executable, '-m', 'qkd_gs', 'replay', str(session), '--json', *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_of(process):
    output, errors = process.communicate(timeout=WAIT_S)
    assert 'Traceback' not in errors, errors
    return output, errors


def test_the_same_figures_come_out_and_the_clock_is_the_bags(station, session):
    station.hear(m.SessionState, 'session/state')
    station.hear(m.StationClock, 'station_clock', TRANSIENT_LOCAL)
    station.hear(Clock, '/clock', SENSOR)
    process = replay(session, '--speed', '4', '--wait-for', 'session/state')
    station.until(lambda: process.poll() is not None)
    output, errors = end_of(process)
    assert process.returncode == 0, errors
    told = json.loads(output)
    assert told['different'] == {}
    assert told['beside'] == 'the live pass'
    assert told['tracking']['losses'] == 0
    assert told['tracking']['spot_rms_x_urad'] > 1
    assert told['run']['messages'] == sum(name != '/station_clock' for name, _, _ in pass_messages(SECONDS))
    (clock,) = station.heard['station_clock']
    assert (clock.epoch_ns, clock.speed) == (open_bag(session).start_ns, 4.0)
    sent = [messages.stamp_of(message) for _, _, message in open_bag(session).messages(('session/state',))]
    assert [messages.stamp_of(message) for message in station.heard['session/state']] == sent
    clocks = [messages.from_time(message.clock) for message in station.heard['/clock']]
    assert clocks == sorted(clocks)
    assert clocks[0] >= clock.epoch_ns


def test_a_figure_that_differs_is_named(domain, session, settings):
    live = finite(asdict(metrics_of_bag(open_bag(session), settings.tracking))) | {'losses': 3}
    update_manifest(session, lambda _: {'run': manifest(settings, live).run})
    process = replay(session, '--speed', '20')
    output, _ = end_of(process)
    assert process.returncode == 1
    assert json.loads(output)['different'] == {'losses': [3, 0]}


def test_a_station_that_runs_is_not_disturbed(domain, session):
    with take_part(''):
        process = replay(session)
        _, errors = end_of(process)
    assert process.returncode == 2
    assert 'a station is running in this ROS domain' in errors


def test_beside_a_station_of_another_machine_the_replay_ends(station, session):
    """No lock tells of it, but its clock is heard.  The replay waits for a listener that never comes."""
    station.say('station_clock', real_time(), TRANSIENT_LOCAL)
    station.hear(m.SessionState, 'session/state')
    process = replay(session, '--wait-for', 'mount/state')
    station.until(lambda: process.poll() is not None)
    _, errors = end_of(process)
    assert process.returncode == 2
    assert 'a station is running in this ROS domain' in errors
    assert station.heard['session/state'] == []


def test_beside_a_replay_no_node_of_a_station_starts(domain, tmp_path):
    with stand_in(''):
        done = subprocess.run(
            [sys.executable, '-m', 'qkd_gs.nodes.gps_node'], capture_output=True, text=True, timeout=WAIT_S, check=False
        )
    assert done.returncode == 2
    assert 'a recorded pass is played in ROS domain' in done.stderr


def test_a_topic_that_is_not_in_the_bag_cannot_be_waited_for(session, capsys):
    assert main(['replay', str(session), '--wait-for', 'session/stat']) == 2
    assert capsys.readouterr().err == 'qkd-gs replay: wait_for: /session/stat is not played from this bag\n'


def test_a_bag_of_no_station_is_refused(tmp_path, capsys):
    assert main(['replay', str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f'qkd-gs replay: {tmp_path}: is not a bag of this station')
    assert said.count('\n') == 1


def test_a_bag_that_was_cut_off_is_played_as_far_as_it_goes(domain, session, capsys):
    path = session / 'bag' / 'bag_0.mcap'
    data = path.read_bytes()
    path.write_bytes(data[: 2 * len(data) // 3])
    process = replay(session, '--speed', '20')
    output, errors = end_of(process)
    assert process.returncode == 1  # the figures of a part are not those of the whole
    assert 'incomplete: bag_0.mcap was cut off' in errors.splitlines()[0]
    assert json.loads(output)['tracking']['locked_s'] > 1
