"""The key store of a process that is killed: each change whole or not at all, and no bit given twice."""

import os
import signal

import numpy as np
import pytest
from stored_keys import BITS, HALF, KEY, MASTER, bits_of, key_store, stored

from qkd_gs.errors import StationError
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.protocol.session_record import Booking


@pytest.fixture
def store(tmp_path):
    with key_store(tmp_path) as store:
        yield store


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
