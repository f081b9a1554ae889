"""Two passes that give nothing alone give a key together, the same at both ends; and what is refused."""

import json
import os
import shutil
import threading
from contextlib import contextmanager, suppress

import pytest

from qkd_gs.audit.joined_audit import audit_joined
from qkd_gs.bench.security.link_attacks import cut_before
from qkd_gs.bench.security.short_sessions import short_session, station_with
from qkd_gs.cli import main
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.entries import KeyStateName, Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SLOT_BYTES
from qkd_gs.keys.refilled import RefilledKey
from qkd_gs.processing.joining import join_sessions
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.kept_bits import joined_session
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.session.manifest import load_manifest, update_manifest
from qkd_gs.sim.photons.satellite_record import load_record
from qkd_gs.sim.satellite import present_ns

SECONDS, GAIN = 6.0, 0.75
KEEPING = station_with('key', keep='without_key')


class Ends:
    """Key folders of both ends, and a link between them that breaks before a message of some kind."""

    def __init__(self, folder):
        material = os.urandom(12 * SLOT_BYTES)
        self.keys, self.satellite = (KeyFolder.create(folder / name, material) for name in ('keys', 'satellite'))

    def link(self, folder, cut=None):
        record, manifest = load_record(folder), load_manifest(folder)

        @contextmanager
        def opened():
            ground, other = channel_pair(timeout_s=300.0)

            def answer():
                with (
                    self.satellite.store(simulated=False, side=Side.SATELLITE) as store,
                    TranscriptFile(folder, 'satellite-transcript') as transcript,
                    suppress(DeviceFault, StationError),
                ):
                    pre_shared = RefilledKey(self.satellite.pre_shared_key(), store)
                    terms = Terms.of_station(manifest.station)
                    now_ns = lambda: present_ns(manifest)  # noqa: E731
                    serve(other, record.transmitter(), terms, pre_shared, store, now_ns, transcript=transcript)

            thread = threading.Thread(target=answer)
            thread.start()
            try:
                yield cut_before(cut)(ground) if cut else ground
            finally:
                ground.close()
                thread.join()

        return opened

    def process(self, folder, cut=None):
        return process_session(folder, self.keys, self.link(folder, cut), lambda step, done: None)['key']

    def join(self, folders, cut=None):
        return join_sessions(folders, self.keys, self.link(folders[0], cut), lambda step, done: None)

    @contextmanager
    def stores(self):
        keys = self.keys.store(simulated=False)
        with keys as ground, self.satellite.store(simulated=False, side=Side.SATELLITE) as satellite:
            yield ground, satellite


def write(folder, keys, number):
    """A real session of some seconds; the pulses of two do not overlap."""
    one = short_session(seconds=SECONDS, before_s=3.0 + 8.0 * number, gain=GAIN, seed=1 + number, station=KEEPING)
    session_id = one.write(folder, keys.session_public_key).session_id
    update_manifest(folder, lambda _: {'simulated': False, 'seed': None})
    return session_id


@pytest.fixture(scope='module')
def taken(tmp_path_factory):
    """Two processed sessions."""
    folder = tmp_path_factory.mktemp('taken')
    ends = Ends(folder)
    for number in range(2):
        write(folder / f'session{number}', ends.keys, number)
        key = ends.process(folder / f'session{number}')
        assert (key['secret_bits'], key['kept']) == (0, True)
    return folder


@pytest.fixture
def ends(taken, tmp_path):
    """A copy of both ends and their sessions."""
    shutil.copytree(taken, tmp_path, dirs_exist_ok=True)
    ends = Ends.__new__(Ends)
    ends.keys, ends.satellite = KeyFolder(tmp_path / 'keys'), KeyFolder(tmp_path / 'satellite')
    ends.folders = [tmp_path / f'session{number}' for number in range(2)]
    return ends


def test_two_passes_that_give_nothing_alone_give_a_key_together(ends, capsys):
    sessions = [load_manifest(folder).session_id for folder in ends.folders]
    for session in sessions:  # what is kept is in the key store; nothing else opens the tags
        with pytest.raises(StationError, match='no key to the tags'):
            ends.keys.session_private_key(session)
    for folder in (ends.keys, ends.satellite):
        assert main(['keys', 'status', str(folder.path), '--json']) == 0
        assert sorted(json.loads(capsys.readouterr().out)['kept_sessions']) == sorted(sessions)
    made = ends.join(ends.folders)
    assert made['secret_bits'] > 500
    assert sorted(made['sessions']) == sorted(sessions)
    assert made['epsilon'] == pytest.approx(1e-10)
    with ends.stores() as (ground, satellite):
        (mine,), (theirs,) = ([one for one in store.entries() if one.length_bits] for store in (ground, satellite))
        assert mine.state is theirs.state is KeyStateName.CONFIRMED
        assert (mine.key_id, mine.length_bits) == (theirs.key_id, theirs.length_bits)
        piece = ground.take(mine.send.left_bits)
        assert satellite.take_named(piece.name).material.reveal() == piece.material.reveal()
        assert ground.refills() == satellite.refills() == [mine.key_id]
    assert ends.join(ends.folders) == made  # stored; nothing is said
    for folder in ends.folders:
        assert load_manifest(folder).result['joined'] == made


def test_a_broken_join_costs_its_hashes(ends):
    with pytest.raises(ProtocolError):
        ends.join(ends.folders, cut=Kind.JOIN)
    with pytest.raises(ProtocolError):
        ends.join(ends.folders, cut=Kind.VERIFY_REQUEST)
    with ends.stores() as (ground, satellite):
        name = joined_session([load_manifest(folder).session_id for folder in ends.folders])
        booked = ground.disclosed_before(name), satellite.disclosed_before(name)
    assert min(booked) > 3000
    made = ends.join(ends.folders)  # with both disclosures charged again there would be no key
    assert made['disclosed_before'] == 65 * made['blocks']
    assert made['secret_bits'] > 500
    assert audit_joined(ends.folders).differences == []


def test_a_join_whose_last_messages_are_lost_is_confirmed_later(ends, caplog):
    made = ends.join(ends.folders, cut=Kind.STORED)
    assert 'has not confirmed the key' in caplog.text
    with ends.stores() as (ground, satellite):
        assert {one.state for store in (ground, satellite) for one in store.entries() if one.length_bits} == {
            KeyStateName.PENDING
        }
    assert ends.join(ends.folders) == made
    with ends.stores() as (ground, satellite):
        for store in (ground, satellite):
            assert {one.state for one in store.entries() if one.length_bits} == {KeyStateName.CONFIRMED}


def test_sessions_that_do_not_fit_are_refused(ends):
    first, second = ends.folders
    with pytest.raises(StationError, match='given twice'):
        ends.join([first, first])
    with pytest.raises(StationError, match='give no key together'):
        ends.join([first])
    update_manifest(second, lambda _: {'satellite': 'ANOTHER'})
    with pytest.raises(StationError, match='is of another satellite'):
        ends.join([first, second])
    update_manifest(second, lambda manifest: {'satellite': load_manifest(first).satellite})
    with ends.keys.store(simulated=False) as store:
        store.drop_old_kept(0)
    with pytest.raises(StationError, match='no sifted bits are kept'):
        ends.join([first, second])


def test_the_auditor_computes_the_joined_key_again(ends, capsys):
    made = ends.join(ends.folders)
    audit = audit_joined(ends.folders)
    assert audit.differences == []
    assert audit.secret_bits == made['secret_bits']
    assert main(['audit', *map(str, ends.folders), '--json']) == 0
    capsys.readouterr()
    first = ends.folders[0]
    for change, told in (
        ({'secret_bits': made['secret_bits'] + 8}, 'secret_bits is'),
        ({'sessions': made['sessions'][:1]}, 'joins 1 other sessions'),
        ({'disclosed_bits': 1}, 'disclosed_bits is 1 in the session'),
    ):
        for folder in ends.folders:
            update_manifest(folder, lambda one, change=change: {'result': one.result | {'joined': made | change}})
        assert any(told in line for line in audit_joined(ends.folders).differences), told
    for folder in ends.folders:
        update_manifest(folder, lambda one: {'result': one.result | {'joined': made}})
    path = first / made['transcript']['file']
    data = bytearray(path.read_bytes())
    data[data.index(b'"choices":2') + 10] ^= 3  # 2 becomes 1
    path.write_bytes(data)
    assert any('hash chain breaks' in line for line in audit_joined(ends.folders).differences)
    update_manifest(first, lambda one: {'result': {k: v for k, v in one.result.items() if k != 'joined'}})
    with pytest.raises(StationError, match='not joined'):
        audit_joined(ends.folders)
