"""Key stores of older versions are brought to this one."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from stored_keys import BITS, HALF, KEY, MASTER, RECEIVE, bits_of, key_store

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyStateName
from qkd_gs.keys.pieces import wipe_bits
from qkd_gs.keys.root_file import RootFile
from qkd_gs.keys.sealed_items import encrypted
from qkd_gs.keys.store import KeyStore


@pytest.fixture
def store(tmp_path):
    with key_store(tmp_path) as store:
        yield store


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


VERSION_2 = """
CREATE TABLE store (schema INTEGER NOT NULL, simulated INTEGER NOT NULL, side TEXT NOT NULL, count INTEGER NOT NULL,
    probe BLOB NOT NULL);
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, created_utc TEXT NOT NULL,
    length_bits INTEGER NOT NULL CHECK (length_bits >= 0), epsilon REAL NOT NULL, result TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'given', 'erased')),
    sent_bits INTEGER NOT NULL DEFAULT 0, received_bits INTEGER NOT NULL DEFAULT 0,
    wrapped BLOB, sealed BLOB
);
CREATE TABLE attempts (session_id TEXT PRIMARY KEY, disclosed_bits INTEGER NOT NULL);
CREATE TABLE announcements (session_id TEXT PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE bookings (
    session_id TEXT NOT NULL, source TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL
);
CREATE INDEX bookings_by_time ON bookings (source, start_ns);
CREATE TABLE refills (key_id TEXT PRIMARY KEY, wrapped BLOB, sealed BLOB);
CREATE TABLE held (key_id TEXT PRIMARY KEY, source TEXT NOT NULL, wrapped BLOB, sealed BLOB);
CREATE INDEX held_by_source ON held (source)
"""


def version_2(path):
    """A store as version 0.4.0 wrote it: 80 bits given of one key, another one erased, a refill and a held key."""
    root = bytes(range(32, 64))
    RootFile(path.with_name('keys.db.root')).write({3: root})
    kek = HKDF(SHA256(), 32, salt=root, info=b'qkd_gs key store real ground').derive(MASTER)

    def sealed(plain, head):
        return encrypted(kek, MASTER, b'row key'), encrypted(MASTER, plain, head)

    left = bytearray(KEY.tobytes())
    wipe_bits(left, 0, 80)
    head = json.dumps(['k', 's', len(KEY), 1e-10, False]).encode()
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_2)
        database.execute("INSERT INTO store VALUES (2, 0, 'ground', 3, ?)", (encrypted(kek, b'', b'probe'),))
        rows = [
            ('k', 's', '2026-11-28T00:00:00+00:00', len(KEY), 1e-10, '{}', 'confirmed', 80, 0, *sealed(left, head)),
            ('e', 't', '2026-11-28T00:00:00+00:00', 800, 1e-10, '{}', 'erased', 0, 0, None, None),
        ]
        database.executemany('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', rows)
        database.execute("INSERT INTO refills VALUES ('k', ?, ?)", sealed(b'refill', b'refill k'))
        database.execute("INSERT INTO held VALUES ('h', 'k', ?, ?)", sealed(b'held', b'held h'))
        database.execute("INSERT INTO attempts VALUES ('t', 777)")
        database.commit()
    path.chmod(0o600)


def test_a_store_of_the_second_version_is_brought_to_this_one(tmp_path):
    version_2(tmp_path / 'keys.db')
    for _ in range(2):
        with key_store(tmp_path) as store:
            assert [one.state for one in store.entries()] == [KeyStateName.CONFIRMED, KeyStateName.ERASED]
            assert store.disclosed_before('t') == 777
    with key_store(tmp_path) as store:
        assert store.refill('k').reveal() == b'refill'
        with store.database.change():
            assert store.database.unseal_held('h') == b'held'
        piece = store.take(80)
        assert piece.first_bit == 80
        np.testing.assert_array_equal(bits_of(piece), BITS[80:160])
        store.erase('t')
        store.erase('s')
        assert not store.database.holds('h')


def test_a_store_of_a_later_version_is_refused_by_its_number(store, tmp_path):
    with sqlite3.connect(tmp_path / 'keys.db') as database:
        database.execute('UPDATE store SET schema = 7')
    with pytest.raises(StationError, match='has version 7, not 3'):
        KeyStore(tmp_path / 'keys.db', MASTER, simulated=False)
