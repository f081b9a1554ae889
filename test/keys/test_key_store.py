"""The key store: each bit once and in one direction, whole or not at all; what was given cannot be read again."""

import os
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_keys import BITS, HALF, KEY, MASTER, RECEIVE, SEND, bits_of, key_store, stored

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyStateName, Purpose, Side
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.protocol.session_record import Booking
from qkd_gs.qkd.sifting.packed_bits import PackedBits


@pytest.fixture
def store(tmp_path):
    with key_store(tmp_path) as store:
        yield store


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


def test_disclosures_of_broken_attempts_are_remembered(store, tmp_path):
    assert store.disclosed_before('s') == 0
    store.record_leakage('s', 130_000)
    store.record_leakage('s', 140_000)
    with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as again:
        assert again.disclosed_before('s') == 140_000


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
