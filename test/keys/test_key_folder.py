"""The key folder: safe by its modes, whole or not at all, and silent about what it holds."""

import os
import pickle
import stat

import pytest

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder, find_key_folder
from qkd_gs.keys.secret import Secret


@pytest.fixture
def folder(tmp_path):
    return KeyFolder.create(tmp_path / 'keys', pre_shared=bytes(range(256)) * 9)


def test_a_new_folder_is_for_its_owner_alone(folder):
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in folder.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_the_sealing_pair_belongs_together(folder):
    assert folder.sealing_private_key().public_key().public_bytes_raw() == folder.sealing_public_key()


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
    (folder.path / 'sealing.key').rename(tmp_path / 'elsewhere')
    (folder.path / 'sealing.key').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(StationError, match='symbolic link'):
        folder.sealing_private_key()


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
