"""The key store: each bit once and in one direction, whole or not at all; what was given cannot be read again."""

import json
import os
import shutil
import signal
import sqlite3

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyStateName, Purpose, Side, border
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.protocol.session_record import Booking
from qkd_gs.qkd.sifting.packed_bits import PackedBits

MASTER = bytes(range(32))
RNG = np.random.default_rng(5)
BITS = RNG.integers(0, 2, 4001).astype(np.uint8)
KEY = PackedBits.of(BITS)
HALF = border(len(KEY))  # the ground sends with the bits before it, the satellite with those behind
SEND, RECEIVE = Purpose.SEND, Purpose.RECEIVE


@pytest.fixture
def store(tmp_path):
    with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as store:
        yield store


def stored(store, session_id='s', key_id='k', bits=KEY, result=None):
    """A key that both sides hold."""
    store.put(session_id, key_id, bits, 1e-10, result or {})
    store.confirm(session_id, key_id)


def bits_of(piece):
    return np.unpackbits(np.frombuffer(piece.material.reveal(), np.uint8), count=piece.length_bits)


@given(takes=st.lists(st.tuples(st.integers(1, 900), st.sampled_from(Purpose)), max_size=8))
@settings(max_examples=20, deadline=None)
def test_bits_handed_out_are_those_of_their_direction_in_order_and_once(tmp_path_factory, takes):
    path = tmp_path_factory.mktemp('store') / 'keys.db'
    with KeyStore(path, MASTER, simulated=False) as store:
        stored(store)
    at, end = {SEND: 0, RECEIVE: HALF}, {SEND: HALF, RECEIVE: len(KEY)}
    for amount, purpose in takes:
        with KeyStore(path, MASTER, simulated=False) as store:
            first = at[purpose]
            if first + amount > end[purpose]:
                with pytest.raises(StationError, match='bits left to'):
                    store.take(amount, purpose)
            else:
                np.testing.assert_array_equal(bits_of(store.take(amount, purpose)), BITS[first : first + amount])
                at[purpose] += amount


@given(turns=st.lists(st.tuples(st.booleans(), st.integers(1, 600)), max_size=12))
@settings(max_examples=20, deadline=None)
def test_two_ends_that_take_the_next_bits_to_send_with_never_get_the_same(tmp_path_factory, turns):
    folder = tmp_path_factory.mktemp('ends')
    used = np.zeros(len(KEY), int)
    with (
        KeyStore(folder / 'ground.db', MASTER, simulated=False) as ground,
        KeyStore(folder / 'satellite.db', os.urandom(32), simulated=False, side=Side.SATELLITE) as satellite,
    ):
        ends = {True: ground, False: satellite}
        for end in ends.values():
            stored(end)
        for sender, amount in turns:
            if ends[sender].entry('s').send.left_bits < amount:
                continue
            piece = ends[sender].take(amount)
            mirror = ends[not sender].take_named(piece.name)
            assert mirror.material.reveal() == piece.material.reveal()
            used[piece.first_bit : piece.first_bit + piece.length_bits] += 1
    assert used.max() <= 1


def test_a_piece_is_found_by_its_name_once_and_only_in_its_direction(store, tmp_path):
    stored(store)
    with KeyStore(tmp_path / 'satellite.db', os.urandom(32), simulated=False, side=Side.SATELLITE) as other:
        stored(other)
        store.take(100)  # lost on the way
        piece = store.take(256)
        assert other.take_named(piece.name).material.reveal() == piece.material.reveal()
        with pytest.raises(StationError, match='given already'):
            other.take_named(piece.name)
        with pytest.raises(StationError, match='given already'):
            other.take_named('k-50-10')
        for name in (f'k-{HALF - 8}-16', f'k-{HALF}-8', 'k-0-0'):  # across the border, own direction, nothing
            with pytest.raises(StationError, match='not for receiving'):
                other.take_named(name)
        with pytest.raises(StationError, match='no key'):
            other.take_named('another-0-8')
        with pytest.raises(StationError, match='does not name'):
            other.take_named('k 0 8')


def test_a_session_is_stored_once(store):
    first = store.put('s', 'k', KEY, 1e-10, {'qber': 0.011})
    again = store.put('s', 'other', PackedBits.of(1 - BITS), 1e-5, {'qber': 0.5})
    assert again == first
    assert first.result == {'qber': 0.011}
    store.confirm('s', 'k')
    np.testing.assert_array_equal(bits_of(store.take(HALF)), BITS[:HALF])


def test_a_key_is_not_handed_out_before_both_sides_hold_it(store):
    store.put('s', 'k', KEY, 1e-10, {})
    for take in (lambda: store.take(8), lambda: store.take(8, RECEIVE), lambda: store.take_named(f'k-{HALF}-8')):
        with pytest.raises(StationError):
            take()
    with pytest.raises(StationError, match='no key other to confirm'):
        store.confirm('s', 'other')
    store.confirm('s', 'k')
    store.confirm('s', 'k')  # the confirmation that was lost and sent again
    assert store.take(8).length_bits == 8


def test_the_satellite_replaces_a_pending_key_and_no_confirmed_one(tmp_path):
    with KeyStore(tmp_path / 'satellite.db', MASTER, simulated=False, side=Side.SATELLITE) as satellite:
        satellite.put('s', 'first', PackedBits.of(1 - BITS), 1e-10, {})
        assert not satellite.is_finished('s')
        satellite.put('s', 'second', KEY, 1e-10, {})
        satellite.confirm('s', 'second')
        assert satellite.is_finished('s')
        satellite.put('s', 'third', PackedBits.of(1 - BITS), 1e-10, {})
        np.testing.assert_array_equal(bits_of(satellite.take(16)), BITS[HALF : HALF + 16])


def test_the_states_of_a_key(store):
    def state():
        return store.entry('s').state

    store.put('s', 'k', KEY, 1e-10, {})
    states = [state()]
    store.confirm('s', 'k')
    states.append(state())
    store.take(HALF)
    states.append(state())
    store.take(len(KEY) - HALF, RECEIVE)
    states.append(state())
    store.confirm('s', 'k')  # late
    store.erase('s')  # nothing is left of it
    states.append(state())
    given = KeyStateName.GIVEN
    assert states == [KeyStateName.PENDING, KeyStateName.CONFIRMED, KeyStateName.CONFIRMED, given, given]


def test_an_erased_key_is_gone_and_its_session_stays_finished(store):
    stored(store)
    store.erase('s')
    assert store.entry('s').state is KeyStateName.ERASED
    assert store.entry('s').left_bits == 0
    assert store.is_finished('s')
    with pytest.raises(StationError, match='bits left'):
        store.take(8)
    with pytest.raises(StationError, match='no key of session'):
        store.erase('other')


def test_a_session_without_a_key_is_recorded_too(store):
    assert store.put('s', 'k', PackedBits.zeros(0), 1e-10, {'reasons': ['too few counts']}).length_bits == 0
    with pytest.raises(StationError, match='no key has 1 bits left'):
        store.take(1)


def test_the_oldest_key_that_is_long_enough_goes_first(store):
    stored(store, 's1', 'short', PackedBits.of(BITS[:24]))
    stored(store, 's2', 'long')
    assert [store.take(n).key_id for n in (6, 8, 2)] == ['short', 'long', 'short']


def test_nothing_on_the_disk_shows_the_key(store, tmp_path):
    stored(store)
    store.take(128)
    packed = np.packbits(BITS).tobytes()
    for path in tmp_path.iterdir():
        assert packed[:8] not in path.read_bytes()
    assert packed.hex()[:8] not in repr(store) + repr(store.entries())


def test_simulated_keys_never_pass_for_real(tmp_path):
    path = tmp_path / 'keys-simulated.db'
    with KeyStore(path, MASTER, simulated=True) as store:
        stored(store)
        with pytest.raises(StationError, match='not handed out as real'):
            store.take(8)
        with pytest.raises(StationError, match='not handed out as real'):
            store.take_named(f'k-{HALF}-8')
        assert store.take(8, simulated=True).simulated
    with pytest.raises(StationError, match='holds simulated keys'):
        KeyStore(path, MASTER, simulated=False)
    with pytest.raises(StationError, match='of the ground, not of the satellite'):
        KeyStore(path, MASTER, simulated=True, side=Side.SATELLITE)
    with sqlite3.connect(path) as database:  # even if somebody repaints the file
        database.execute('UPDATE store SET simulated = 0')
    with pytest.raises(StationError, match='does not open'):
        KeyStore(path, MASTER, simulated=False)


def test_a_wrong_master_key_and_a_changed_row_are_noticed(store, tmp_path):
    stored(store)
    with pytest.raises(StationError, match='does not open'):
        KeyStore(tmp_path / 'keys.db', bytes(32), simulated=False)
    with sqlite3.connect(tmp_path / 'keys.db') as database:
        database.execute("UPDATE keys SET epsilon = 1e-30 WHERE key_id = 'k'")
    with pytest.raises(StationError, match='was changed'):
        store.take(8)


@given(junk=st.binary(min_size=600, max_size=800))
@settings(max_examples=20, deadline=None)
def test_junk_is_not_a_store(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp('junk') / 'keys.db'
    path.write_bytes(junk)
    path.chmod(0o600)
    with pytest.raises(StationError, match='not a sound key store'):
        KeyStore(path, MASTER, simulated=False)


def test_a_store_open_to_others_is_refused(store, tmp_path):
    (tmp_path / 'keys.db').chmod(0o644)
    with pytest.raises(StationError, match='chmod 0600'):
        KeyStore(tmp_path / 'keys.db', MASTER, simulated=False)


def killed_at(step, path, action):
    """Run `action` on the store in a child that is killed at the `step`-th instruction of the database."""
    child = os.fork()
    if child == 0:
        store = KeyStore(path, MASTER, simulated=False)
        left = iter(range(step))
        store._database.sql.set_progress_handler(
            lambda: os.kill(os.getpid(), signal.SIGKILL) if next(left, None) is None else 0, 1
        )
        action(store)
        store._database.sql.set_progress_handler(None, 0)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_killed_while_storing_the_key_is_there_whole_or_not_at_all(tmp_path):
    outcomes, survived = set(), False
    for step in range(0, 400, 3):
        path = tmp_path / f'{step}.db'
        KeyStore(path, MASTER, simulated=False).close()
        survived = not killed_at(step, path, lambda store: store.put('s', 'k', KEY, 1e-10, {}))
        with KeyStore(path, MASTER, simulated=False) as store:
            outcomes.add(len(store.entries()))
            store.put('s', 'k', KEY, 1e-10, {})  # the run that is repeated after the crash
            assert len(store.entries()) == 1
            store.confirm('s', 'k')
            np.testing.assert_array_equal(bits_of(store.take(HALF)), BITS[:HALF])
        path.unlink()
        if survived:
            break
    assert survived, 'the last kill must be behind the end, or the end was not tested'
    assert outcomes == {0, 1}


def test_killed_at_any_moment_from_outside(tmp_path):
    # the database's own instructions are too coarse to die inside a commit; a parent that kills is not
    outcomes = []
    for delay in range(0, 60_000, 4_000):
        path = tmp_path / f'{delay}.db'
        KeyStore(path, MASTER, simulated=False).close()
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            store = KeyStore(path, MASTER, simulated=False)
            os.write(told, b'.')
            store.put('s', 'k', KEY, 1e-10, {})
            os._exit(0)
        os.read(ready, 1)
        for _ in range(delay):
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)
        with KeyStore(path, MASTER, simulated=False) as store:
            outcomes.append(len(store.entries()))
            store.put('s', 'k', KEY, 1e-10, {})
            store.confirm('s', 'k')
            np.testing.assert_array_equal(bits_of(store.take(HALF)), BITS[:HALF])
        path.unlink()
    assert set(outcomes) <= {0, 1}


def test_killed_while_handing_out_no_bit_comes_twice(tmp_path):
    path = tmp_path / 'keys.db'
    with KeyStore(path, MASTER, simulated=False) as store:
        stored(store)
    taken_by_children = tmp_path / 'taken'

    def take_and_tell(store):
        piece = store.take(8)
        taken_by_children.write_text(f'{piece.first_bit}')

    last = -8
    for step in range(0, 400, 3):
        survived = not killed_at(step, path, take_and_tell)
        told = int(taken_by_children.read_text()) if taken_by_children.exists() else last
        assert told >= last
        with KeyStore(path, MASTER, simulated=False) as store:
            ours = store.take(8).first_bit
        assert ours > told
        last = ours
        if survived:
            break
    assert survived


def test_disclosures_of_broken_attempts_are_remembered(store, tmp_path):
    assert store.disclosed_before('s') == 0
    store.record_leakage('s', 130_000)
    store.record_leakage('s', 140_000)
    with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as again:
        assert again.disclosed_before('s') == 140_000


def copies(tmp_path):
    """Database as it is now, for somebody who will have everything else later."""
    shutil.copyfile(tmp_path / 'keys.db', tmp_path / 'copy.db')
    return tmp_path / 'copy.db'


@pytest.mark.parametrize('change', ['take', 'erase', 'book', 'leak', 'confirm'])
def test_a_restored_copy_of_the_database_is_refused(store, tmp_path, change):
    """It would hand out bits twice, or forget what was announced and disclosed."""
    store.put('s', 'k', KEY, 1e-10, {})
    if change != 'confirm':
        store.confirm('s', 'k')
    copy = copies(tmp_path)
    {
        'take': lambda: store.take(8),
        'erase': lambda: store.erase('s'),
        'book': lambda: store.book_pulses(Booking('s', 'sat', ((0, 10),), 'd')),
        'leak': lambda: store.record_leakage('s', 100),
        'confirm': lambda: store.confirm('s', 'k'),
    }[change]()
    store.close()
    shutil.copyfile(copy, tmp_path / 'keys.db')
    with pytest.raises(StationError, match=r'not the newest copy: .* restore the newest one'):
        KeyStore(tmp_path / 'keys.db', MASTER, simulated=False)


def test_a_store_that_has_disappeared_is_not_created_again(store, tmp_path):
    store.record_leakage('s', 100)
    (tmp_path / 'keys.db').unlink()
    with pytest.raises(StationError, match=r'is missing.* delete keys\.db\.root too'):
        KeyStore(tmp_path / 'keys.db', MASTER, simulated=False)


def test_the_counter_can_lie_elsewhere(tmp_path):
    (tmp_path / 'stick').mkdir()
    path, root = tmp_path / 'keys.db', tmp_path / 'stick' / 'keys.root'
    with KeyStore(path, MASTER, simulated=False, root=root) as store:
        stored(store)
    before = {name.name: name.read_bytes() for name in tmp_path.iterdir() if name.is_file()}
    with KeyStore(path, MASTER, simulated=False, root=root) as store:
        store.take(8)
    for name, content in before.items():  # everything but the stick from a backup
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StationError, match='not the newest copy'):
        KeyStore(path, MASTER, simulated=False, root=root)


def test_bits_that_were_given_cannot_be_read_again_even_from_an_old_copy(store, tmp_path):
    """Somebody copies the database, and seizes the whole key folder after the bits were given."""
    stored(store)
    copy = copies(tmp_path)
    roots_of_the_copy = set(store._database._root.read())
    store.take(HALF)
    store.take(64, RECEIVE)
    with sqlite3.connect(copy) as database:
        (count,) = database.execute('SELECT count FROM store').fetchone()
    assert {count} == roots_of_the_copy
    seized = store._database._root.read()
    assert count not in seized
    for root in seized.values():  # the keys that there are open nothing of the copy
        row = store._database.rows()[0]
        with sqlite3.connect(copy) as database:
            wrapped, _ = database.execute('SELECT wrapped, sealed FROM keys').fetchone()
        with pytest.raises(StationError, match='does not open'):
            store._database._decrypt(store._database._wrapping_key(root), wrapped, b'row key')
    with store._database.change():  # nor is anything in what is still there
        left = np.unpackbits(np.frombuffer(store._database.unseal(row), np.uint8), count=len(KEY))
    assert not left[: HALF + 64].any()
    np.testing.assert_array_equal(left[HALF + 64 :], BITS[HALF + 64 :])


def test_a_session_announces_once_what_it_announces(store, tmp_path):
    first = Booking('s', 'micius', ((1000, 2000), (3000, 4000)), 'first')
    store.book_pulses(first)
    store.book_pulses(first)  # the run that broke, once more
    with pytest.raises(StationError, match='announces other detections'):
        store.book_pulses(Booking('s', 'micius', ((1000, 2000),), 'other'))
    for span in ((1500, 1600), (0, 1001), (3999, 5000), (0, 9000)):
        with pytest.raises(StationError, match='announces pulses that session s has used'):
            store.book_pulses(Booking('t', 'micius', ((10, 20), span), 'd'))
    with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as again:
        again.book_pulses(Booking('t', 'micius', ((0, 1000), (2000, 3000), (4000, 5000)), 'd'))
        again.book_pulses(Booking('u', 'another satellite', ((1000, 2000),), 'd'))


def test_killed_at_any_statement_a_booking_holds_before_it_is_answered(tmp_path):
    booking, others = Booking('s', 'sat', ((0, 10), (20, 30)), 'first'), Booking('t', 'sat', ((5, 25),), 'other')
    told = tmp_path / 'told'

    def book_and_tell(store):
        store.book_pulses(booking)
        told.write_text('answered')

    for step in range(0, 400, 3):
        path = tmp_path / f'{step}.db'
        KeyStore(path, MASTER, simulated=False).close()
        survived = not killed_at(step, path, book_and_tell)
        with KeyStore(path, MASTER, simulated=False) as store:
            if told.exists():
                with pytest.raises(StationError, match='session s has used'):
                    store.book_pulses(others)
            store.book_pulses(booking)  # whole or not at all: the same one is accepted in any case
        told.unlink(missing_ok=True)
        if survived:
            break
    assert survived


OLD_SCHEMA = """
CREATE TABLE store (schema INTEGER NOT NULL, simulated INTEGER NOT NULL, probe BLOB NOT NULL);
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, created_utc TEXT NOT NULL, length_bits INTEGER NOT NULL,
    epsilon REAL NOT NULL, result TEXT NOT NULL, given_bits INTEGER NOT NULL DEFAULT 0, sealed BLOB NOT NULL
);
CREATE TABLE attempts (session_id TEXT PRIMARY KEY, disclosed_bits INTEGER NOT NULL);
"""


def version_1(path, given):
    """A store as version 0.2.0 wrote it."""
    cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=b'qkd_gs key store real').derive(MASTER))
    head = json.dumps(['k', 's', len(KEY), 1e-10, False]).encode()
    with sqlite3.connect(path) as database:
        database.executescript(OLD_SCHEMA)
        database.execute('INSERT INTO store VALUES (1, 0, ?)', (bytes(12) + cipher.encrypt(bytes(12), b'', b'probe'),))
        sealed = b'1' * 12 + cipher.encrypt(b'1' * 12, KEY.tobytes(), head)
        row = ('k', 's', '2026-11-28T00:00:00+00:00', len(KEY), 1e-10, '{"qber": 0.01}', given, sealed)
        database.execute('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)', row)
        database.execute("INSERT INTO attempts VALUES ('t', 777)")
    path.chmod(0o600)


@pytest.mark.parametrize('given', [0, 800, 3000, len(KEY)])
def test_a_store_of_the_first_version_is_brought_to_this_one(tmp_path, given):
    version_1(tmp_path / 'keys.db', given)
    for _ in range(2):
        with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as store:
            entry = store.entry('s')
            assert entry.send.left_bits == max(0, HALF - given)
            assert entry.receive.left_bits == len(KEY) - max(HALF, given)
            assert entry.result == {'qber': 0.01}
            assert store.disclosed_before('t') == 777
    with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as store:
        if given < len(KEY):
            piece = store.take(8, RECEIVE)
            np.testing.assert_array_equal(bits_of(piece), BITS[piece.first_bit : piece.first_bit + 8])
            assert piece.first_bit == max(HALF, given)


def test_a_store_of_a_later_version_is_refused_by_its_number(store, tmp_path):
    with sqlite3.connect(tmp_path / 'keys.db') as database:
        database.execute('UPDATE store SET schema = 7')
    with pytest.raises(StationError, match='has version 7, not 2'):
        KeyStore(tmp_path / 'keys.db', MASTER, simulated=False)
