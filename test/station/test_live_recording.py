"""A pass that is being recorded: when its parts end, and what is waited for."""

import shutil

import pytest

from qkd_gs.bench.security.short_sessions import short_session
from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.session.manifest import LockedSpan, update_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.session.writers import writing
from qkd_gs.sim.synthetic_session import CULMINATION_NS
from qkd_gs.station.live_recording import LiveRecording, ends_of_parts, light_of_pass

SECOND = 10**9


@pytest.fixture(scope='module')
def taken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('taken')
    keys = KeyFolder.create(folder / 'keys')
    manifest = short_session(seconds=6.0, before_s=3.0).write(folder / 'session', keys.session_public_key)
    return folder / 'session', keys.session_private_key(manifest.session_id), manifest


class Clock:
    """A clock that goes on when somebody sleeps, and does something at each look."""

    def __init__(self, now_ns, look=lambda: None):
        self.now_ns, self.looks, self._look = now_ns, 0, look

    def sleep(self, seconds):
        self.now_ns += round(seconds * SECOND)
        self.looks += 1
        self._look()


def recording(taken, clock, folder=None):
    return LiveRecording(folder or taken[0], taken[1], lambda: clock.now_ns, clock.sleep)


def test_the_parts_end_with_the_light_of_the_pass(taken):
    folder, _, manifest = taken
    first_ns, last_ns = light_of_pass(folder, manifest)
    assert 280 * SECOND < last_ns - first_ns < 340 * SECOND  # published: about 5 minutes above 20 deg
    assert first_ns < CULMINATION_NS < last_ns
    early = recording(taken, Clock(CULMINATION_NS - 600 * SECOND))
    assert early.start_ns == first_ns
    assert early.ends_ns == ends_of_parts(first_ns, last_ns)
    assert recording(taken, Clock(CULMINATION_NS - 60 * SECOND)).start_ns == CULMINATION_NS - 60 * SECOND
    assert recording(taken, Clock(CULMINATION_NS + 60 * SECOND)).ends_ns[-1] == last_ns
    with pytest.raises(StationError, match='too little of the pass is left'):
        recording(taken, Clock(CULMINATION_NS + 120 * SECOND))


def test_what_is_recorded_is_not_waited_for(taken):
    clock = Clock(CULMINATION_NS - 60 * SECOND)
    live = recording(taken, clock)
    clock.now_ns = CULMINATION_NS + 60 * SECOND
    live.wait(CULMINATION_NS + 2 * SECOND, 0)
    assert clock.looks == 0


def test_tags_and_locked_time_are_waited_for_while_somebody_writes(taken, tmp_path):
    folder, whole = tmp_path / 'session', CULMINATION_NS + 2 * SECOND
    shutil.copytree(taken[0], folder)
    (path,) = tags_paths(folder)
    tags = path.read_bytes()
    path.write_bytes(tags[: len(tags) // 2])
    update_manifest(folder, lambda now: {'locked': [], 'closed': False})
    clock = Clock(CULMINATION_NS - 60 * SECOND)
    live = recording(taken, clock, folder)
    clock.now_ns = CULMINATION_NS + 60 * SECOND

    def go_on():
        if clock.looks == 3:
            path.write_bytes(tags)
        if clock.looks == 5:
            update_manifest(folder, lambda now: {'locked': [LockedSpan(start_ns=whole - SECOND, end_ns=whole)]})

    clock._look = go_on
    with writing(folder):
        live.wait(whole, 0)
    assert clock.looks == 5


def test_a_recording_that_ends_too_early_is_told(taken, tmp_path):
    folder = tmp_path / 'session'
    shutil.copytree(taken[0], folder)
    clock = Clock(CULMINATION_NS - 60 * SECOND)
    live = recording(taken, clock, folder)
    with pytest.raises(StationError, match='ended in the middle of the pass'):
        live.wait(CULMINATION_NS + 30 * SECOND, 0)


def test_what_is_not_live_is_refused(taken, capsys):
    folder = str(taken[0])
    assert main(['process', folder, '--live', '--keys', str(taken[0].parent / 'keys')]) != 0
    assert 'is simulated, with a clock of its own' in capsys.readouterr().err
    assert main(['process', '--join', folder, folder, '--live']) != 0
    assert 'nothing of them is live' in capsys.readouterr().err
