"""The key store: each bit once, whole or not at all, nothing readable on the disk."""

import os
import signal
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.sifting.packed_bits import PackedBits

MASTER = bytes(range(32))
RNG = np.random.default_rng(5)
BITS = RNG.integers(0, 2, 4001).astype(np.uint8)
KEY = PackedBits.of(BITS)


@pytest.fixture
def store(tmp_path):
    with KeyStore(tmp_path / 'keys.db', MASTER, simulated=False) as store:
        yield store


def bits_of(piece):
    return np.unpackbits(np.frombuffer(piece.material.reveal(), np.uint8), count=piece.length_bits)


@given(amounts=st.lists(st.integers(1, 1500), max_size=8))
@settings(max_examples=20, deadline=None)
def test_bits_handed_out_are_the_key_in_order_and_once(tmp_path_factory, amounts):
    path = tmp_path_factory.mktemp('store') / 'keys.db'
    given_out, total = [], 0
    with KeyStore(path, MASTER, simulated=False) as store:
        store.put('s', 'k', KEY, 1e-10, {})
    for amount in amounts:
        with KeyStore(path, MASTER, simulated=False) as store:
            if total + amount > len(KEY):
                with pytest.raises(StationError, match='bits left'):
                    store.take(amount)
            else:
                given_out.append(bits_of(store.take(amount)))
                total += amount
    np.testing.assert_array_equal(np.concatenate([*given_out, BITS[:0]]), BITS[:total])


def test_both_ends_find_the_same_bits(store, tmp_path):
    store.put('s', 'k', KEY, 1e-10, {})
    with KeyStore(tmp_path / 'satellite.db', os.urandom(32), simulated=False) as other:
        other.put('s', 'k', KEY, 1e-10, {})
        store.take(100)  # lost on the way
        piece = store.take(256)
        mirror = other.take_at(piece.key_id, piece.first_bit, piece.length_bits)
        assert mirror.material.reveal() == piece.material.reveal()
        with pytest.raises(StationError, match='given already'):
            other.take_at('k', 50, 10)
        with pytest.raises(StationError, match='given already'):
            other.take_at('k', 3900, 200)
        with pytest.raises(StationError, match='no key'):
            other.take_at('another', 0, 8)


def test_a_session_is_stored_once(store):
    first = store.put('s', 'k', KEY, 1e-10, {'qber': 0.011})
    again = store.put('s', 'other', PackedBits.of(1 - BITS), 1e-5, {'qber': 0.5})
    assert again == first
    assert first.result == {'qber': 0.011}
    np.testing.assert_array_equal(bits_of(store.take(len(KEY))), BITS)


def test_a_session_without_a_key_is_recorded_too(store):
    assert store.put('s', 'k', PackedBits.zeros(0), 1e-10, {'reasons': ['too few counts']}).length_bits == 0
    with pytest.raises(StationError, match='no key has 1 bits left'):
        store.take(1)


def test_the_oldest_key_that_is_long_enough_goes_first(store):
    store.put('s1', 'short', PackedBits.of(BITS[:10]), 1e-10, {})
    store.put('s2', 'long', KEY, 1e-10, {})
    assert [store.take(n).key_id for n in (8, 8, 2)] == ['short', 'long', 'short']


def test_nothing_on_the_disk_shows_the_key(store, tmp_path):
    store.put('s', 'k', KEY, 1e-10, {})
    store.take(128)
    packed = np.packbits(BITS).tobytes()
    for path in tmp_path.iterdir():
        assert packed[:8] not in path.read_bytes()
    assert packed.hex()[:8] not in repr(store) + repr(store.entries())


def test_simulated_keys_never_pass_for_real(tmp_path):
    path = tmp_path / 'keys-simulated.db'
    with KeyStore(path, MASTER, simulated=True) as store:
        store.put('s', 'k', KEY, 1e-10, {})
        with pytest.raises(StationError, match='not handed out as real'):
            store.take(8)
        with pytest.raises(StationError, match='not handed out as real'):
            store.take_at('k', 0, 8)
        assert store.take(8, simulated=True).simulated
    with pytest.raises(StationError, match='holds simulated keys'):
        KeyStore(path, MASTER, simulated=False)
    with sqlite3.connect(path) as database:  # even if somebody repaints the file
        database.execute('UPDATE store SET simulated = 0')
    with pytest.raises(StationError, match='does not open'):
        KeyStore(path, MASTER, simulated=False)


def test_a_wrong_master_key_and_a_changed_row_are_noticed(store, tmp_path):
    store.put('s', 'k', KEY, 1e-10, {})
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
        store._database.set_progress_handler(
            lambda: os.kill(os.getpid(), signal.SIGKILL) if next(left, None) is None else 0, 1
        )
        action(store)
        store._database.set_progress_handler(None, 0)
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
            np.testing.assert_array_equal(bits_of(store.take(len(KEY))), BITS)
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
            np.testing.assert_array_equal(bits_of(store.take(len(KEY))), BITS)
        path.unlink()
    assert set(outcomes) <= {0, 1}


def test_killed_while_handing_out_no_bit_comes_twice(tmp_path):
    path = tmp_path / 'keys.db'
    with KeyStore(path, MASTER, simulated=False) as store:
        store.put('s', 'k', KEY, 1e-10, {})
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
