"""The recorder's process on a real graph, with this test as the station whose pass it records."""

import signal
import time
from math import nan

import numpy as np
import pytest
import qkd_gs.msg as m
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from mcap.reader import make_reader
from one_graph import Station, node_process, real_time
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.qos import SENSOR, TRANSIENT_LOCAL
from qkd_gs.recording import open_bag
from qkd_gs.tracking.types import Phase

FOLDER = '20181003T155642Z-shanghai'


def state(phase, folder=FOLDER):
    return m.SessionState(
        header=messages.header(time.time_ns()),
        session_id='0123456789abcdef' * 2 if folder else '',
        folder=folder,
        satellite='MICIUS' if folder else '',
        simulated=True,
        phase=int(phase),
        time_bias_s=nan,
        cross_track_m=nan,
        error_x_urad=1.5,
        error_y_urad=-2.5,
    )


def picture(stamp_ns):
    image = Image(
        header=messages.header(stamp_ns, 'guiding_camera'), height=480, width=640, encoding='mono16', step=1280
    )
    image.data.frombytes(np.random.default_rng(1).normal(200, 9, (480, 640)).astype('<u2').tobytes())
    return image


class Pass(Station):
    """Tells what a station in a pass tells, and more than may be recorded."""

    def __init__(self):
        super().__init__()
        self.sent = 0

    def publish_transient_local(self):
        """What a station says once; some of it before it can tell the time."""
        self.say('robot_description', String(data='<robot/>'), TRANSIENT_LOCAL)
        self.hear(DiagnosticArray, '/diagnostics')
        self.until(lambda: self.heard['/diagnostics'])  # the recorder is there, and has looked about
        self.say('station_clock', real_time(), TRANSIENT_LOCAL)

    def tell(self, phase=Phase.FINE, folder=FOLDER):
        now_ns = time.time_ns()
        self.sent += 1
        self.say('session/state', state(phase, folder))
        self.say('mount/state', m.MountState(header=messages.header(now_ns), az_rad=float(self.sent)))
        self.say('a/_hidden', String(data='x'))
        stamp_ns = self.sent * 10**8  # ten pictures a second by their stamps
        self.say('guiding_camera/image', picture(stamp_ns), SENSOR)
        self.say('guiding_camera/camera_info', CameraInfo(header=messages.header(stamp_ns)), SENSOR)


@pytest.fixture
def station(domain, tmp_path):
    made = Pass()
    made.state_dir = tmp_path / 'state'
    yield made
    made.close()


@pytest.fixture
def bag(tmp_path):
    return tmp_path / FOLDER / 'bag'


def folders(tmp_path):
    """Options of a recorder of the same station."""
    return {'sessions_dir': f"'{tmp_path}'", 'state_dir': f"'{tmp_path / 'state'}'"}


def recorded(bag, name):
    try:
        found = open_bag(bag)
    except ValueError:  # not yet
        return 0
    return found.counts.get(name, 0)


def run_simulation(station, bag, count=30):
    """Until so many readings of the mount are on the disk."""
    station.until(lambda: recorded(bag, '/mount/state') >= count, station.tell)


def end_pass(station, bag):
    station.until((bag / 'metadata.yaml').exists, lambda: station.tell(Phase.IDLE, ''))


def test_a_pass_becomes_a_bag(station, tmp_path, bag):
    options = folders(tmp_path) | {'guiding_camera.image_rate_hz': 1.0}
    with node_process('recorder', **options):
        station.publish_transient_local()
        run_simulation(station, bag)
        end_pass(station, bag)
    told = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert told['relative_file_paths'] == ['bag_0.mcap']
    assert told['custom_data']['satellite'] == 'MICIUS'
    assert told['custom_data']['simulated'] == 'true'
    with Reader(bag) as reader:  # another reader than ours
        topics = {c.topic: c for c in reader.connections}
        states = [bytes(data) for c, _, data in reader.messages() if c.topic == '/session/state']
    assert not [name for name in topics if '/_' in name]
    assert {'/session/state', '/mount/state', '/station_clock', '/robot_description', '/rosout', '/diagnostics'} <= set(
        topics
    )
    with open(bag / 'bag_0.mcap', 'rb') as file:
        assert make_reader(file, validate_crcs=True).get_summary().statistics.message_count == told['message_count']
    found = open_bag(bag)
    assert found.warning == ''
    # every message from the first to the last, and what was published transient local before
    mount = [message.az_rad for _, _, message in found.messages(('mount/state',))]
    assert np.array_equal(np.diff(mount), np.ones(len(mount) - 1))
    assert found.counts['/station_clock'] == found.counts['/robot_description'] == 1
    phases = [message.phase for _, _, message in found.messages(('session/state',))]
    assert len(states) == len(phases)
    assert phases[0] == Phase.FINE
    assert phases[-1] == Phase.IDLE
    # pictures and what belongs to them: one in each second of their stamps
    for name in ('guiding_camera/image', 'guiding_camera/camera_info'):
        seconds = [message.header.stamp.sec for _, _, message in found.messages((name,))]
        assert seconds == sorted(set(seconds))
        assert len(seconds) == pytest.approx(len(mount) / 10, abs=2)


def test_types_and_profiles_are_what_the_publishers_say(station, tmp_path, bag):
    with node_process('recorder', **folders(tmp_path)):
        station.publish_transient_local()
        run_simulation(station, bag, 3)
        end_pass(station, bag)
    with Reader(bag) as reader:
        topics = {c.topic: c for c in reader.connections}
        assert sum(1 for _ in reader.messages()) == reader.message_count
    for name in ('/mount/state', '/station_clock', '/guiding_camera/image'):
        (published,) = station.node.get_publishers_info_by_topic(name)
        assert topics[name].digest == str(published.topic_type_hash)
        (profile,) = topics[name].ext.offered_qos_profiles
        assert profile.reliability.name == published.qos_profile.reliability.name
        assert profile.durability.name == published.qos_profile.durability.name


def test_a_killed_recorder_goes_on_and_the_bag_is_whole(station, tmp_path, bag):
    options = folders(tmp_path)
    with node_process('recorder', **options) as process:
        station.publish_transient_local()
        run_simulation(station, bag)
        killed_at = station.sent
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (bag / 'metadata.yaml').exists()
    kept = [message.az_rad for _, _, message in open_bag(bag).messages(('mount/state',))]
    with node_process('recorder', **options):
        run_simulation(station, bag, len(kept) + 30)
        end_pass(station, bag)
    assert sorted(path.name for path in bag.iterdir()) == ['bag_0.mcap', 'bag_1.mcap', 'metadata.yaml']
    found = open_bag(bag)
    assert found.warning == ''
    mount = [message.az_rad for _, _, message in found.messages(('mount/state',))]
    assert mount[: len(kept)] == kept
    gaps = np.flatnonzero(np.diff(mount) != 1)
    assert len(gaps) == 1, 'one gap, where nobody recorded'
    assert mount[gaps[0]] <= killed_at <= mount[gaps[0] + 1]
    with Reader(bag) as reader:
        assert sum(c.topic == '/mount/state' for c, _, _ in reader.messages()) == len(mount)


def test_a_recorder_that_is_told_to_end_leaves_a_whole_bag(station, tmp_path, bag):
    with node_process('recorder', **folders(tmp_path)):
        station.publish_transient_local()
        run_simulation(station, bag)
    assert open_bag(bag).warning == ''


def test_what_was_left_behind_is_made_whole_after_the_pass(station, tmp_path, bag):
    with node_process('recorder', **folders(tmp_path)) as process:
        station.publish_transient_local()
        run_simulation(station, bag)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (tmp_path / FOLDER / 'session.json').write_text('{}')
    with node_process('recorder', **folders(tmp_path)):
        end_pass(station, bag)
    assert open_bag(bag).warning == ''
