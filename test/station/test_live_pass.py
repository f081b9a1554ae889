"""A real pass that is made into a key while it is recorded, with a server that has the satellite's growing log."""

import threading
from contextlib import contextmanager, suppress

import pytest
from cut_link import Cut
from played_pass import Clock, PlayedPass, SlowPulses, equal_keys, paired_key_folders

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.short_sessions import station_with
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.processing.parts_plan import load_plan
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.tls import Listener
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.satellite.growing_log import GrowingLog
from qkd_gs.satellite.server import serve_log
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.satellite import PeerSettings
from qkd_gs.station.live_recording import light_of_pass
from qkd_gs.station.satellite_link import make_key_live

SECOND = 10**9
STATION = station_with('source', pulse_rate_hz=5e5)
# from 56 s before the satellite sinks too low: the shortest end of a pass that has three parts
ENDING = SlowPulses(seconds=66.0, before_s=-86.0, gain=300.0, station=STATION)


@pytest.fixture(scope='module')
def photons(tmp_path_factory):
    """The pass as it will be, generated once."""
    return PlayedPass(tmp_path_factory.mktemp('pass'), ENDING)


@pytest.fixture
def played(photons, tmp_path):
    """A pass that is about to begin, its clock, and the key folders of both ends."""
    ground, satellite = paired_key_folders(tmp_path)
    taken = photons.again(tmp_path)
    clock = Clock(taken.start_ns)
    clock.come = taken.come
    taken.begin(ground.session_public_key)
    return taken, clock, ground, satellite


@contextmanager
def served(taken, clock, satellite, listener_of=lambda one: one, runs=1):
    """Address of a server that has the log as it grows, and answers so many runs."""
    log = GrowingLog(taken.log, clock.now, clock.sleep)
    terms = Terms.of_station(load_manifest(taken.session).station)
    with Listener(satellite.tls_own()) as listener:
        heard = listener_of(listener)

        def serve():
            for _ in range(runs):
                with suppress(StationError, DeviceFault):
                    serve_log(log, satellite, terms, heard, True, lambda *_: None, clock.now, clock.sleep)

        thread = threading.Thread(target=serve)
        thread.start()
        yield PeerSettings(address=f'127.0.0.1:{listener.port}')
        thread.join()


def live(played, peer):
    """Make the key live; where that fails the rest of the pass comes."""
    taken, clock, ground, _ = played

    def progress(step, done):
        while step == 'waiting for the end of the pass' and taken.recording:
            clock.sleep(0.5)

    return make_key_live(taken.session, ground, progress, peer=peer, now_ns=clock.now, sleep=clock.sleep)


def latest_transcript(satellite):
    return max((satellite.path / 'transcripts').glob('run-*.qgt'), key=lambda path: path.stat().st_mtime_ns)


def test_a_pass_is_made_into_a_key_while_it_is_recorded(played, caplog):
    taken, clock, ground, satellite = played
    with served(taken, clock, satellite) as peer:
        key = live(played, peer)['key']
    assert 'the key is made when the pass is over' not in caplog.text
    assert key['simulated'] is False
    assert key['secret_bits'] > 5_000
    assert len(load_plan(taken.session).parts) == 3
    assert equal_keys(ground, satellite) == 128
    assert audit_session(taken.session, latest_transcript(satellite)).differences == []
    end_ns = light_of_pass(taken.session, load_manifest(taken.session))[1]
    assert end_ns + 0.99 * SECOND < clock.now_ns < end_ns + 6 * SECOND  # a second since its light was sent


def served_again(kind, number):
    """A server that is killed at a message, and comes back."""

    class Killed:
        def __init__(self, listener):
            self._listener, self._runs = listener, 0

        def accept(self, *limits):
            self._runs += 1
            channel = self._listener.accept(*limits)
            return Cut(channel, kind, number) if self._runs == 1 else channel

    return Killed


def check_made_afterwards(played, made, parts):
    taken, _, ground, satellite = played
    assert len(load_plan(taken.session).parts) == parts
    assert made['key']['secret_bits'] > 5_000
    assert made['key']['disclosed_before'] < 4096  # of parities nothing is charged twice
    assert equal_keys(ground, satellite) == 128
    assert audit_session(taken.session, latest_transcript(satellite)).differences == []


@pytest.mark.long
@pytest.mark.parametrize(
    ('kind', 'number', 'parts'),
    [
        (Kind.LOG_REQUEST, 1, 0),
        (Kind.PARITY_REQUEST, 9, 2),
        (Kind.DETECTIONS, 2, 3),
        (Kind.CORRECT, 2, 3),
        (Kind.LOG_REQUEST, 3, 3),
        (Kind.DETECTIONS, 3, 3),
        (Kind.VERIFY_REQUEST, 1, 3),
    ],
)
def test_a_server_that_is_killed_comes_back(played, kind, number, parts, caplog):
    taken, clock, ground, satellite = played
    with served(taken, clock, satellite, served_again(kind, number), runs=2) as peer:
        made = live(played, peer)
    assert 'the key is made when the pass is over' in caplog.text
    if parts:
        check_made_afterwards(played, made, parts)
    else:  # nothing was announced: all of it is one part
        assert not (taken.session / 'parts.json').exists()
        assert equal_keys(ground, satellite) == 128


def test_a_file_of_the_log_that_is_too_late_ends_the_run_and_the_key_is_made_afterwards(played, caplog):
    """It comes when the pass is over, so late that the second part is not there for its ground."""
    taken, clock, _, satellite = played
    taken.delay(23, 45)  # sent 40 to 42 s after the beginning: the second part
    with served(taken, clock, satellite, runs=2) as peer:
        made = live(played, peer)
    assert 'the log before it ends with pulse' in caplog.text
    assert 'the key is made when the pass is over' in caplog.text
    check_made_afterwards(played, made, 2)


@pytest.mark.long
def test_a_recording_that_dies_is_made_into_a_key_as_far_as_it_came(played, caplog):
    taken, clock, _, satellite = played

    def die(now_ns):
        taken.come(now_ns)
        if taken.recording and now_ns > taken.start_ns + 50 * SECOND:
            taken.end()

    clock.come = die
    with served(taken, clock, satellite, runs=2) as peer:
        made = live(played, peer)
    assert 'the recording ended in the middle of the pass' in caplog.text
    check_made_afterwards(played, made, 3)
