"""Older copies of a key store: refused, and what was given cannot be read in them."""

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from stored_keys import BITS, HALF, KEY, MASTER, RECEIVE, key_store, stored

from qkd_gs.errors import StationError
from qkd_gs.keys.sealed_items import decrypted
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.protocol.session_record import Booking


@pytest.fixture
def store(tmp_path):
    with key_store(tmp_path) as store:
        yield store


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
    with closing(sqlite3.connect(copy)) as database:
        count, group_keys = database.execute('SELECT count, group_keys FROM store').fetchone()
    assert {count} == roots_of_the_copy
    seized = store._database._root.read()
    assert count not in seized
    for root in seized.values():  # the keys that there are open nothing of the copy
        with pytest.raises(StationError, match='does not open'):
            decrypted(store._database._wrapping_key(root), group_keys, b'group keys', copy)
    with store._database.change():  # nor is anything in what is still there
        left = np.unpackbits(
            np.frombuffer(store._database.read(store._database.rows()[0], 0, len(KEY.tobytes())), np.uint8),
            count=len(KEY),
        )
    assert not left[: HALF + 64].any()
    np.testing.assert_array_equal(left[HALF + 64 :], BITS[HALF + 64 :])
