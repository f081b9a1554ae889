"""An evening in whose pass every process is killed in turn: it goes on, its key comes out, and no secret with it."""

import base64
import importlib
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import qkd_gs.msg as m
from graph_station import running_station
from mcap.reader import make_reader
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import Reader
from station_evening import SKY, Watched
from std_srvs.srv import Trigger

from qkd_gs.evening.choice import ready_s
from qkd_gs.evening.steps import State, Step
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.nodes.runtime.base import ABORT_PASS
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.control.parking import rests_near_park
from qkd_gs.tracking.types import Phase

ROUNDS = (  # killed together: none needs another one of its round
    ('gps', 'planner', 'calibrator', 'evening', 'post_processor', 'scene', 'hwp'),  # the satellite is held without them
    ('recorder', 'detector', 'guiding_camera'),
    ('mount', 'monitor'),
    ('tracking_camera', 'beacon'),
    ('tracker',),
)
ENOUGH_S = 30.0  # locked, for a key
ASKED_S = 30.0  # from the first heartbeats of all nodes, before which time hardly goes on, to the choice of the passes
LEAD_S = ASKED_S + ready_s(load_yaml(share_path('config', 'station.yaml'), StationSettings).mount)
LOST_S = (
    2.0  # of real time, of the locked time with the tracker's death; half a second on a machine with nothing else to do
)
NEVER_PUBLIC = ('/image', '/compressed', '/sim/')  # pixels; and the twin's own
GAP_S = 40.0  # the recorder was killed; on a busy machine its successor is long in coming
RATES_HZ = {'/mount/state': 100, '/safety/status': 20, '/beacon/state': 20, '/hwp/state': 50, '/detector/counts': 1}
RECORDED = set(RATES_HZ) | {
    f'/{name}'
    for name in [
        'session/state',
        'mount/command',
        'guiding_camera/spot',
        'tracking_camera/spot',
        'tracking_camera/image',
        'target',
        'gps/fix',
        'gps/time',
        'joint_states',
        'tf',
        'tf_static',
        'robot_description',
        'markers',
        'diagnostics',
        'readiness',
        'rosout',
        'clock',
        'station_clock',
        'next_pass',
    ]
}


def message_type(name):
    package, group, stem = name.split('/')
    module = importlib.import_module(f'{package}.{group}')
    if stem.endswith('_FeedbackMessage'):
        return getattr(module, stem.removesuffix('_FeedbackMessage')).Impl.FeedbackMessage
    return getattr(module, stem)


class Ears:
    """Every byte that is published on the station's topics."""

    def __init__(self, station):
        self.station = station
        self.bytes = {}

    def listen(self):
        """Subscribe to what is new."""
        for name, kinds in self.station.node.get_topic_names_and_types():
            if name in self.bytes or any(part in name for part in NEVER_PUBLIC):
                continue
            publishers = self.station.node.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            kind = message_type(kinds[0])
            transient_local = all(p.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL for p in publishers)
            reliable = all(p.qos_profile.reliability is ReliabilityPolicy.RELIABLE for p in publishers)
            qos = QoSProfile(
                depth=100,
                reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE,
            )
            heard = self.bytes[name] = bytearray()
            self.station.node.create_subscription(kind, name, heard.extend, qos, raw=True)


def written(secret):
    """A secret in the ways in which it might be written down by mistake: parts of it, as they are and as text."""
    parts = {secret[:12], secret[len(secret) // 2 :][:12], secret[-12:]}
    for part in parts:
        yield part
        yield part.hex().encode()
        yield base64.b64encode(part[:12])


def secrets_of(keys):
    """Everything in a key folder that nobody else may know."""
    folder = KeyFolder(keys)
    for path in keys.rglob('*.key'):
        yield path.read_bytes()
    with folder.store(simulated=True) as store:
        for entry in store.entries():
            piece = store.take(entry.send.left_bits // 8 * 8, simulated=True)
            yield piece.material.reveal()


def locked_s(session):
    """Seconds with the satellite held, as far as the manifest tells."""
    return sum(span.end_ns - span.start_ns for span in load_manifest(session).locked) * 1e-9


def kept_after(session, t_ns):
    return any(span.end_ns > t_ns for span in load_manifest(session).locked)


def test_every_process_is_killed_in_a_pass_and_a_key_comes_out(tmp_path_factory):
    """How soon they are back is measured by `qkd-gs bench graph`; here the machine has other tests to run."""
    with running_station(tmp_path_factory, el_deg=45, lead_s=LEAD_S, speed=0.0) as station:
        watched, ears = Watched(station), Ears(station)
        states = watched.states
        watched.ask(skip=SKY)

        def held():
            ears.listen()
            return any(state.phase == Phase.FINE for state in states[before:])

        before = 0
        station.until(held, 'the satellite is held')
        session = station.sessions / states[-1].folder
        killed_ns, speed = {}, 1.0
        assert sorted(name for names in ROUNDS for name in names) == sorted(set(station.names) - {'world'})
        for names in ROUNDS:
            if 'tracker' in names:  # it may have found the satellite this moment, with nothing of that in the manifest
                kept_ns = station.clock.now_ns()
                station.until(partial(kept_after, session, kept_ns), 'the manifest has that the satellite is held')
            killed_ns |= dict.fromkeys(names, station.clock.now_ns())
            speed = max(speed, station.clock.speed)
            for name, pid in {name: station.kill(name) for name in names}.items():
                station.back(name, pid)
            before = len(states)
            station.until(held, f'the satellite is held without the old {names}')
            assert {state.folder for state in states[before:]} == {session.name}, names
            assert load_manifest(session).satellite == 'MICIUS'
        assert station.processes.starts() == {name: 1 if name == 'world' else 2 for name in station.names}

        def enough():  # or the pass is over
            return locked_s(session) > ENOUGH_S or watched.phase() in (Phase.END, Phase.PARK, Phase.IDLE)

        station.until(enough, 'there is light for a key', step_s=0.5)
        station.call(Trigger, ABORT_PASS, Trigger.Request())
        station.until(lambda: watched.journal()['ended_utc'], 'the evening is over', step_s=0.5)
        the_key_is_made(watched, session)
        the_evening_is_over(watched)
        manifest = load_manifest(session)
        assert manifest.closed
        assert len(manifest.locked) >= 2  # where time is slow, the others are back before the satellite is lost
        lost_s = min(abs(killed_ns['tracker'] - span.end_ns) for span in manifest.locked) * 1e-9
        assert lost_s < LOST_S * speed

        pids = station.processes.pids()
        station.leave()
        station.processes.stop()
        assert not any(Path(f'/proc/{pid}').exists() for pid in pids.values())
        recorded = the_bag_is_whole(session / 'bag')
        nothing_secret(station, session, ears, recorded)


def the_key_is_made(watched, session):
    """As its topic, the manifest and the journal of the evening tell."""
    key = watched.keys[-1]
    assert key.state == m.KeyState.DONE, key.message
    assert key.secret_bits > 0, key.message
    assert key.simulated
    assert load_manifest(session).result['key']['secret_bits'] == key.secret_bits
    values = next(one['values'] for one in watched.journal()['entries'] if one['step'] == Step.PROCESS)
    assert values['secret_bits'] == key.secret_bits


def the_evening_is_over(watched):
    """Its node was killed once, and its successor went on with it to the end: parked."""
    journal = watched.journal()
    assert (journal['why_ended'], journal['restarts']) == ('all steps are over', 1)
    done = (Step.SELF_TEST, Step.TIME_AND_PLACE, Step.ARM, Step.TRACK, Step.PROCESS, Step.REPORT, Step.PARK)
    assert {step: watched.state(step) for step in done} == dict.fromkeys(done, State.DONE)
    watched.comes_to_rest('parked')
    assert rests_near_park(watched.mount, watched.drives[-1])


def the_bag_is_whole(folder):
    """Its topics' bytes, as two readers of other makes see them; the recorder was killed once, each node once."""
    stamps, heard = {}, {}
    with Reader(folder) as reader:
        for connection, stamp_ns, data in reader.messages():
            stamps.setdefault(connection.topic, []).append(stamp_ns)
            heard.setdefault(connection.topic, bytearray()).extend(data)
    counted = Counter()
    for path in folder.glob('*.mcap'):
        with path.open('rb') as file:
            counted.update(channel.topic for _, channel, _ in make_reader(file).iter_messages())
    assert counted == {topic: len(times) for topic, times in stamps.items()}
    assert len(list(folder.glob('*.mcap'))) == 2  # of two recorders
    assert set(stamps) >= RECORDED
    assert not [topic for topic in stamps if topic.startswith('/sim/')]
    for topic, rate_hz in RATES_HZ.items():
        times = sorted(stamps[topic])
        span_s = (times[-1] - times[0]) * 1e-9
        assert 0.6 * rate_hz * span_s < len(times) < 1.2 * rate_hz * span_s + 20, topic
        assert max(b - a for a, b in pairwise(times)) < GAP_S * 1e9, topic
    return heard


def nothing_secret(station, session, ears, recorded):
    """No part of any secret was published, logged, or left in the session."""
    wanted = {name for name in ears.bytes if ears.bytes[name]}
    assert {'/mount/state', '/detector/counts', '/key/state', '/session/state', '/rosout', '/diagnostics'} <= wanted
    places = {f'topic {name}': bytes(heard) for name, heard in ears.bytes.items()}
    places |= {f'recorded {name}': bytes(heard) for name, heard in recorded.items() if not name.endswith('/image')}
    for path in (*station.logs.glob('*.log'), *session.rglob('*')):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    found = [secret for secret in secrets_of(station.keys) if len(secret) >= 12]
    assert len(found) >= 3
    for secret in found:
        for form in written(secret):
            assert not [place for place, content in places.items() if form in content]
