"""A post-processor that is killed in mid-key, and what the next one makes of it."""

import signal

import pytest
import qkd_gs.msg as m
from one_graph import node_process, real_time

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.nodes.runtime.qos import TRANSIENT_LOCAL
from qkd_gs.session.manifest import FINISHED, KEY, PENDING, load_manifest, sessions_without_key, update_manifest
from qkd_gs.sim.synthetic_session import SyntheticSession
from qkd_gs.tracking.types import Phase


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session whose pass is over and whose key was not made."""
    keys = KeyFolder.create(tmp_path / 'keys')
    monkeypatch.setenv('QKD_GS_KEYS', str(keys.path))
    folder = tmp_path / 'sessions' / 'one'
    SyntheticSession(seconds=8.0, before_s=4.0, gain=8.0).write(folder, keys.session_public_key)
    update_manifest(folder, lambda now: {'run': now.run | {KEY: PENDING}})
    return folder


def test_a_key_that_was_not_finished_is_finished_by_the_next_process(station, session, tmp_path):
    station.state_dir = tmp_path / 'state'
    options = {'sessions_dir': session.parent, 'state_dir': station.state_dir}
    station.hear(m.KeyState, 'key/state', TRANSIENT_LOCAL)
    states = station.heard['key/state']

    def idle():
        station.say('session/state', m.SessionState(phase=int(Phase.IDLE), simulated=True))

    assert sessions_without_key(session.parent) == [session]
    with node_process('post_processor', **options) as process:
        station.say('station_clock', real_time(), TRANSIENT_LOCAL)
        station.until(lambda: any(s.state == m.KeyState.WORKING for s in states), idle)  # steps may be passed over
        process.send_signal(signal.SIGKILL)
        process.wait()
    states.clear()
    with node_process('post_processor', **options):
        station.until(lambda: any(state.state == m.KeyState.DONE for state in states), idle)
    assert states[-1].folder == 'one'
    assert states[-1].sifted_bits > 0
    assert load_manifest(session).run[KEY] == FINISHED
    assert sessions_without_key(session.parent) == []
