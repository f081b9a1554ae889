"""The key folder: safe by its modes, whole or not at all, and silent about what it holds."""

import os
import pickle
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.keys.files import erase_secret, write_secret
from qkd_gs.keys.folder import KeyFolder, find_key_folder
from qkd_gs.keys.secret import Secret
from qkd_gs.timing.sealed import SealedFile, SealedWriter
from qkd_gs.timing.sealed.hybrid import PRIVATE_BYTES, SealingKey
from qkd_gs.timing.tags import TagBlock

SESSIONS = [f'{number:032x}' for number in range(7)]


@pytest.fixture
def folder(tmp_path):
    return KeyFolder.create(tmp_path / 'keys', pre_shared=bytes(range(256)) * 9)


def test_a_new_folder_is_for_its_owner_alone(folder):
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in folder.path.rglob('*'):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path.name


def test_each_session_has_a_sealing_pair_of_its_own(folder):
    pairs = {session: folder.session_public_key(session) for session in SESSIONS}  # more than wait ready
    assert len(set(pairs.values())) == len(SESSIONS)
    again = KeyFolder(folder.path)  # a detector process that starts again, and the post-processor
    for session, public in pairs.items():
        assert again.session_public_key(session) == public
        assert again.session_private_key(session).public_bytes() == public
    with pytest.raises(StationError, match='no key to the tags of session'):
        folder.session_private_key('f' * 32)


def test_sessions_that_begin_at_once_take_different_pairs(folder):
    def take(session):
        return KeyFolder(folder.path).session_public_key(session)

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(take, SESSIONS))
    assert len(set(taken)) == len(SESSIONS)


def test_tags_of_a_session_cannot_be_opened_once_its_key_is_destroyed(folder, tmp_path):
    """Whoever copies the sealed file now, and seizes the key folder afterwards, reads nothing."""
    session = SESSIONS[0]
    writer = SealedWriter(tmp_path / 'tags', bytes.fromhex(session), folder.session_public_key(session), 0, bytes(32))
    writer.append(0, TagBlock(np.array([5]), np.array([1], np.uint8)))
    writer.close()
    private = folder.session_private_key(session)
    assert len(list(SealedFile(tmp_path / 'tags', private).blocks())) == 1
    other = folder.session_public_key(SESSIONS[1])
    for _ in range(2):
        folder.destroy_session_key(session)
    with pytest.raises(StationError, match='no key to the tags'):
        folder.session_private_key(session)
    left = [path.read_bytes() for path in folder.path.rglob('*') if path.is_file()]
    for secret in (private.private_bytes(), private.private_bytes()[:32], private.private_bytes()[32:]):
        assert not any(secret in content for content in left)
    for content in left:
        if len(content) == PRIVATE_BYTES:
            with pytest.raises(StationError, match='sealed for another key'):
                list(SealedFile(tmp_path / 'tags', SealingKey(content)).blocks())
    assert folder.session_private_key(SESSIONS[1]).public_bytes() == other


def test_a_secret_that_is_replaced_or_deleted_is_overwritten_where_it_lay(tmp_path):
    write_secret(tmp_path / 'secret', b'first secret')
    os.link(tmp_path / 'secret', tmp_path / 'blocks')  # the same place on the disk
    write_secret(tmp_path / 'secret', b'second', replace=True)
    assert (tmp_path / 'blocks').read_bytes() == bytes(12)
    os.link(tmp_path / 'secret', tmp_path / 'more blocks')
    erase_secret(tmp_path / 'secret')
    erase_secret(tmp_path / 'secret')
    assert (tmp_path / 'more blocks').read_bytes() == bytes(6)


def test_a_folder_of_the_first_version_gets_what_it_lacks_and_keeps_what_it_has(folder):
    shutil.rmtree(folder.path / 'sealing')
    (folder.path / 'version').unlink()
    for name in ('sealing.key', 'sealing.pub'):
        write_secret(folder.path / name, bytes(32))
    again = KeyFolder(folder.path)
    public = again.session_public_key(SESSIONS[0])
    assert again.session_private_key(SESSIONS[0]).public_bytes() == public
    assert (folder.path / 'sealing.key').exists()
    assert (folder.path / 'version').read_text() == '2\n'


def test_a_folder_of_a_later_version_is_refused_by_its_number(folder):
    (folder.path / 'version').write_text('3\n')
    with pytest.raises(StationError, match='has version 3, not 2'):
        KeyFolder(folder.path)


@pytest.mark.parametrize('mode', [0o750, 0o705, 0o777])
def test_a_folder_open_to_others_is_refused(folder, mode):
    folder.path.chmod(mode)
    with pytest.raises(StationError, match='chmod 0700'):
        KeyFolder(folder.path)


def test_a_secret_file_open_to_others_is_refused(folder):
    (folder.path / 'pre-shared.key').chmod(0o640)
    with pytest.raises(StationError, match='chmod 0600'):
        folder.pre_shared_key().take('0')


def test_a_missing_part_is_named(folder):
    (folder.path / 'store-master.key').unlink()
    with pytest.raises(StationError, match=r'store-master\.key: is missing'):
        KeyFolder(folder.path)


def test_a_link_in_place_of_a_key_is_refused(folder, tmp_path):
    folder.session_public_key(SESSIONS[0])
    for path in list((folder.path / 'sealing').glob('*.key')):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    with pytest.raises(StationError, match='symbolic link'):
        folder.session_private_key(SESSIONS[0])


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can give a file away')
def test_somebody_elses_folder_is_refused(folder):
    os.chown(folder.path, 12345, -1)
    with pytest.raises(StationError, match='belongs to another user'):
        KeyFolder(folder.path)


def test_a_folder_is_never_made_over_another(folder):
    with pytest.raises(StationError, match='not empty'):
        KeyFolder.create(folder.path)
    with pytest.raises(StationError, match='exists already'):
        folder.import_pre_shared(b'other')


def test_nothing_is_left_behind_when_the_place_is_bad(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(StationError, match='cannot be created'):
        KeyFolder.create(tmp_path / 'file' / 'keys')
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_simulated_work_makes_its_folder_and_real_work_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv('QKD_GS_KEYS', str(tmp_path / 'from-environment'))
    with pytest.raises(StationError, match='there is no key folder'):
        find_key_folder(simulated=False)
    assert find_key_folder(simulated=True).path == tmp_path / 'from-environment'
    assert find_key_folder(tmp_path / 'told', simulated=True).path == tmp_path / 'told'
    with pytest.raises(StationError, match='no key shared with the satellite'):  # a real pass needs a real one
        find_key_folder(simulated=False).pre_shared_key()
    monkeypatch.delenv('QKD_GS_KEYS')
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    assert find_key_folder(simulated=True).path == tmp_path / 'data' / 'qkd_gs' / 'keys'


def test_the_real_satellite_must_be_pinned(folder):
    with pytest.raises(StationError, match='not pinned'):
        folder.tls_ground(simulated=False)
    with pytest.raises(StationError, match='not a certificate'):
        folder.pin_satellite(b'-----BEGIN NONSENSE-----')
    folder.pin_satellite((folder.path / 'simulated-satellite.tls.crt').read_bytes())
    assert 'BEGIN CERTIFICATE' in folder.tls_ground(simulated=False).peer_certificate


def test_a_secret_shows_nothing_and_forgets():
    secret = Secret(b'hunter2')
    assert 'hunter2' not in f'{secret} {secret!r} {[secret]}'
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with secret:
        assert secret.reveal() == b'hunter2'
    assert secret.reveal() == bytes(7)


def test_random_bits_of_a_session_are_drawn_once_and_gone_with_its_key(folder):
    folder.session_public_key(SESSIONS[0])
    first, unsaved = (folder.session_random_tape(SESSIONS[0]) for _ in range(2))
    drawn = np.concatenate([first.bits(count) for count in (16, 8, 0, 80_000)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert (drawn != unsaved.bits(80_024)).mean() == pytest.approx(0.5, abs=0.01)  # of the system, not of a key
    first.save()
    again = KeyFolder(folder.path).session_random_tape(SESSIONS[0])
    np.testing.assert_array_equal(drawn, again.bits(80_024))
    longer = again.bits(100)
    again.save()
    assert stat.S_IMODE(next(folder.path.rglob('*.random')).stat().st_mode) == 0o600
    third = folder.session_random_tape(SESSIONS[0])
    np.testing.assert_array_equal(
        np.concatenate([drawn, longer]), np.concatenate([third.bits(80_024), third.bits(100)])
    )
    assert repr(third) == '<RandomTape of 10016 bytes>'
    folder.destroy_session_key(SESSIONS[0])
    assert not list(folder.path.rglob('*.random'))
    assert (folder.session_random_tape(SESSIONS[0]).bits(1000) != drawn[:1000]).any()
