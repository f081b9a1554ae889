"""Which server a session's key is made with."""

import json

import pytest

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.session.manifest import FILE_NAME
from qkd_gs.settings.satellite import PeerSettings
from qkd_gs.sim.synthetic_session import SyntheticSession
from qkd_gs.station.satellite_link import RECORD_OF_THE_TWIN, is_made_live, make_key, make_key_live, satellite_server


@pytest.fixture
def real(tmp_path):
    """A session that says it is a real pass, and its key folder."""
    keys, folder = KeyFolder.create(tmp_path / 'keys'), tmp_path / 'session'
    SyntheticSession(seconds=1.0, before_s=0.5).write(folder, keys.session_public_key)
    data = json.loads((folder / FILE_NAME).read_text())
    (folder / FILE_NAME).write_text(json.dumps(data | {'simulated': False, 'seed': None}))
    (folder / RECORD_OF_THE_TWIN).rename(tmp_path / RECORD_OF_THE_TWIN)
    return folder, keys


def test_a_session_of_the_twin_whose_mark_is_missing_makes_no_key(real, tmp_path):
    folder, keys = real
    (tmp_path / RECORD_OF_THE_TWIN).rename(folder / RECORD_OF_THE_TWIN)
    with pytest.raises(StationError, match='not marked as simulated'):
        make_key(folder, keys, lambda *_: None, peer=PeerSettings(address='127.0.0.1:1'))


def test_a_real_pass_needs_the_server_of_its_satellite(real):
    with pytest.raises(StationError, match=r'no link to satellite 41731 is configured .* nothing was disclosed'):
        make_key(*real, lambda *_: None)


def test_a_session_of_the_twin_whose_mark_is_missing_makes_no_key_during_the_pass(real, tmp_path):
    folder, keys = real
    (tmp_path / RECORD_OF_THE_TWIN).rename(folder / RECORD_OF_THE_TWIN)
    with pytest.raises(StationError, match='not marked as simulated'):
        make_key_live(folder, keys, lambda *_: None, peer=PeerSettings(address='127.0.0.1:1'))


@pytest.mark.parametrize('live', [True, False])
def test_the_satellites_settings_say_whether_its_key_is_made_during_the_pass(real, monkeypatch, live):
    asked = []
    peer = PeerSettings(address='127.0.0.1:1', live=live)
    monkeypatch.setattr('qkd_gs.station.satellite_link.load_peer', lambda name: asked.append(name) or peer)
    assert is_made_live(real[0]) is live
    assert asked == ['41731']


def test_a_simulated_pass_is_made_into_a_key_when_it_is_over(tmp_path):
    SyntheticSession(seconds=1.0, before_s=0.5).write(
        tmp_path / 'session', KeyFolder.create(tmp_path / 'keys').session_public_key
    )
    assert not is_made_live(tmp_path / 'session')


def test_the_other_sides_certificate_must_be_pinned(real):
    real[1].import_pre_shared(bytes(range(256)) * 4)
    with pytest.raises(StationError, match='the certificate of the other side is not pinned'):
        make_key(*real, lambda *_: None, peer=PeerSettings(address='127.0.0.1:1'))


def test_a_server_that_does_not_answer_is_tried_as_often_as_said(tmp_path, caplog):
    keys, other = KeyFolder.create(tmp_path / 'keys'), KeyFolder.create(tmp_path / 'other')
    keys.pin_satellite(other.own_certificate())
    silent = PeerSettings(address='127.0.0.1:1', tries=3, retry_s=0)
    with pytest.raises(ProtocolError, match='no connection'), satellite_server(silent, keys):
        pass
    assert len(caplog.records) == 2
