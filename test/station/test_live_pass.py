"""A real pass that is made into a key while it is recorded, with a server that has the satellite's growing log."""

import shutil
import threading
from contextlib import contextmanager

import pytest
from played_pass import Clock, PlayedPass, equal_keys, paired_key_folders

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.short_sessions import station_with
from qkd_gs.qkd.link.tls import Listener
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.satellite.growing_log import GrowingLog
from qkd_gs.satellite.server import serve_log
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.satellite import PeerSettings
from qkd_gs.sim.synthetic_session import SyntheticSession
from qkd_gs.station.live_recording import light_of_pass
from qkd_gs.station.satellite_link import make_key_live

SECOND = 10**9
STATION = station_with('source', pulse_rate_hz=1e6)
# from 56 s before the satellite sinks too low: the shortest end of a pass that has three parts
ENDING = SyntheticSession(seconds=62.0, before_s=-98.0, gain=300.0, station=STATION)


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
def served(taken, clock, satellite, listener_of=lambda one: one):
    """Address of a server that has the log as it grows; what ended its runs."""
    log = GrowingLog(taken.log, clock.now, clock.sleep)
    terms = Terms.of_station(load_manifest(taken.session).station)
    with Listener(satellite.tls_own()) as listener:
        parts = (log, satellite, terms, listener_of(listener), True, lambda *_: None, clock.now, clock.sleep)
        thread = threading.Thread(target=serve_log, args=parts)
        thread.start()
        yield PeerSettings(address=f'127.0.0.1:{listener.port}')
        thread.join()


def test_a_pass_is_made_into_a_key_while_it_is_recorded(played):
    taken, clock, ground, satellite = played
    steps = []
    with served(taken, clock, satellite) as peer:
        made = make_key_live(
            taken.session, ground, lambda step, done: steps.append((clock.now_ns, step)), 78.0, peer, clock.now, clock.sleep
        )
    print(made['key'], [(t - taken.start_ns) / 1e9 for t in [clock.now_ns]])
    assert made['key']['simulated'] is False
    assert made['key']['secret_bits'] > 10_000
    assert equal_keys(ground, satellite) == 512
    assert audit_session(taken.session).differences == []
    end_ns = light_of_pass(taken.session, load_manifest(taken.session))[1]
    assert clock.now_ns < end_ns + 5 * SECOND
