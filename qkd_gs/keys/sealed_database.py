"""Encrypted database of a key store: every change moves its counter, and what a change deletes cannot be read again."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyRow, KeyStateName, Side
from qkd_gs.keys.files import check_private, sync_folder
from qkd_gs.keys.migration import keys_of_version_1
from qkd_gs.keys.root_file import RootFile

SCHEMA_VERSION = 2
_SCHEMA = """
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
"""
_SEALED_TABLES = ('keys', 'refills', 'held')
_ADDED_TABLES = """
CREATE TABLE IF NOT EXISTS refills (key_id TEXT PRIMARY KEY, wrapped BLOB, sealed BLOB);
CREATE TABLE IF NOT EXISTS held (key_id TEXT PRIMARY KEY, source TEXT NOT NULL, wrapped BLOB, sealed BLOB);
CREATE INDEX IF NOT EXISTS held_by_source ON held (source)
"""
_NONCE_BYTES, _KEY_BYTES = 12, 32
_BUSY_S = 30.0


class SealedDatabase:
    """Database whose key rows are encrypted, each under a key of its own.

    Row keys are wrapped under a key derived from the master key and the root key of the present state (`RootFile`).
    `change` draws a new root key and wraps the row keys again.

    Parameters
    ----------
    path : Path
        The database; created on first use.
    root : RootFile
    master_key : bytes
        32 bytes, kept elsewhere.
    simulated, side : bool, Side
        Must be those that it was created with.

    Raises
    ------
    StationError
        Not a key store, of another version, kind, side or master key, an older copy, or open to others.
    """

    def __init__(self, path: Path, root: RootFile, master_key: bytes, simulated: bool, side: Side) -> None:
        self.path, self._root, self._master_key = path, root, master_key
        self._simulated, self._side = simulated, side
        self._changing = False
        if not path.exists():
            if root.exists() and max(root.read()) > 0:
                raise StationError(
                    'is missing, and with it what was used of its keys and pulses',
                    where=path,
                    hint=f'restore its newest copy; delete {root.path.name} too if all its keys are given up',
                )
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.fsync(descriptor)
            os.close(descriptor)
            sync_folder(path.parent)
        check_private(path)
        try:
            self.sql = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self.sql.execute('PRAGMA synchronous = EXTRA')  # the journal's removal is synced too
            self.sql.execute('PRAGMA secure_delete = ON')
            self._open()
        except sqlite3.DatabaseError as error:
            raise StationError(f'is not a sound key store: {error}', where=path) from error

    @contextmanager
    def change(self) -> Iterator[None]:
        """Change it: all or nothing, alone among all processes, on the disk when it ends.

        A change within a change belongs to the outer one.

        Raises
        ------
        StationError
            It is an older copy, or cannot be written.
        """
        if self._changing:
            yield
            return
        with self._root.locked(), self._reporting_errors():
            self._changing = True
            try:
                with self._transaction():
                    count, roots = self._count(), self._root.read()
                    self._kek = self._wrapping_key(self._known_root(roots, count))
                    yield
                    fresh = secrets.token_bytes(_KEY_BYTES)
                    self._root.write({count: roots[count], count + 1: fresh})
                    self._wrap_again(fresh, count + 1)
            finally:
                self._changing = False
            self._forget_other_roots()

    @contextmanager
    def note(self) -> Iterator[None]:
        """Change what is not key material, and leave the counter: all or nothing, on the disk when it ends.

        Raises
        ------
        StationError
            It is an older copy, or cannot be written.
        """
        with self._root.locked(), self._reporting_errors(), self._transaction():
            self._known_root(self._root.read(), self._count())
            yield

    def add(self, row: KeyRow, packed: bytes) -> None:
        """Add a key, within `change`."""
        self.sql.execute(
            'INSERT INTO keys (key_id, session_id, created_utc, length_bits, epsilon, result, state, sent_bits,'
            ' received_bits) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
            row,
        )
        self.seal(row, packed)

    def add_refill(self, key_id: str, packed: bytes) -> None:
        """Add the pre-shared bits that come with a key, within `change`."""
        self.sql.execute('INSERT INTO refills (key_id) VALUES (?)', (key_id,))
        self._seal('refills', key_id, packed, _refill_head(key_id))

    def hold(self, key_id: str, source: str, material: bytes) -> None:
        """Keep bits that left a key until they are handed out under a name of their own, within `change`.

        Parameters
        ----------
        key_id : str
            Name under which they wait.
        source : str
            Key that they were part of.
        material : bytes
        """
        self.sql.execute('INSERT INTO held (key_id, source) VALUES (?, ?)', (key_id, source))
        self._seal('held', key_id, material, _held_head(key_id))

    def holds(self, key_id: str) -> bool:
        """True if bits wait under a name."""
        return self.sql.execute('SELECT 1 FROM held WHERE key_id = ?', (key_id,)).fetchone() is not None

    def unseal_held(self, key_id: str) -> bytes:
        """Bits that wait under a name, within `change`."""
        return self._unseal('held', key_id, _held_head(key_id))

    def drop_held(self, key_id: str) -> None:
        """Destroy the bits that wait under a name, within `change`."""
        self.sql.execute('DELETE FROM held WHERE key_id = ?', (key_id,))

    def seal(self, row: KeyRow, packed: bytes) -> None:
        """Store the bits of a key under a fresh row key, within `change`; the old ones cannot be read again."""
        self._seal('keys', row.key_id, packed, self._head(row))

    def unseal(self, row: KeyRow) -> bytes:
        """Bits of a key, within `change`."""
        return self._unseal('keys', row.key_id, self._head(row))

    def unseal_refill(self, key_id: str) -> bytes:
        """Pre-shared bits that came with a key, within `change`."""
        return self._unseal('refills', key_id, _refill_head(key_id))

    def set_state(self, row: KeyRow, state: KeyStateName) -> None:
        """Set the state of a key, within `change`."""
        self.sql.execute('UPDATE keys SET state = ? WHERE key_id = ?', (state, row.key_id))

    def destroy(self, row: KeyRow) -> None:
        """Delete the bits of a key, within `change`."""
        self.sql.execute('UPDATE keys SET wrapped = NULL, sealed = NULL WHERE key_id = ?', (row.key_id,))

    def rows(self, clause: str = '', *values: str) -> list[KeyRow]:
        """Keys that a clause of SQL selects, without their bits."""
        columns = ', '.join(KeyRow._fields)
        return [KeyRow(*row) for row in self.sql.execute(f'SELECT {columns} FROM keys {clause}', values)]

    def close(self) -> None:
        """Close the database; any number of times."""
        self.sql.close()

    def _seal(self, table: str, key_id: str, packed: bytes, head: bytes) -> None:
        key = secrets.token_bytes(_KEY_BYTES)
        sealed = _encrypt(self._kek, key, b'row key'), _encrypt(key, packed, head)
        self.sql.execute(f'UPDATE {table} SET wrapped = ?, sealed = ? WHERE key_id = ?', (*sealed, key_id))

    def _unseal(self, table: str, key_id: str, head: bytes) -> bytes:
        statement = f'SELECT wrapped, sealed FROM {table} WHERE key_id = ?'
        wrapped, sealed = self.sql.execute(statement, (key_id,)).fetchone()
        return self._decrypt(self._decrypt(self._kek, wrapped, b'row key'), sealed, head)

    def _open(self) -> None:
        with self._root.locked():
            with self._transaction():
                if not self.sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
                    self._create()
                schema, simulated, *_ = self.sql.execute('SELECT * FROM store').fetchone()
                if schema == 1:
                    self._check_simulated(bool(simulated))
                    self._migrate()
                elif schema != SCHEMA_VERSION:
                    raise StationError(
                        f'has version {schema}, not {SCHEMA_VERSION}',
                        where=self.path,
                        hint='use the software that wrote it',
                    )
                self._check_simulated(bool(simulated))
                self._check_side()
                for statement in _ADDED_TABLES.split(';'):
                    self.sql.execute(statement)
                (probe,) = self.sql.execute('SELECT probe FROM store').fetchone()
                self._decrypt(self._wrapping_key(self._known_root(self._root.read(), self._count())), probe, b'probe')
            self._forget_other_roots()

    def _create(self) -> None:
        if not self._root.exists():
            self._root.write({0: secrets.token_bytes(_KEY_BYTES)})
        for statement in _SCHEMA.split(';'):
            self.sql.execute(statement)
        probe = _encrypt(self._wrapping_key(self._known_root(self._root.read(), 0)), b'', b'probe')
        row = SCHEMA_VERSION, self._simulated, self._side, 0, probe
        self.sql.execute('INSERT INTO store VALUES (?, ?, ?, ?, ?)', row)

    def _migrate(self) -> None:
        """Bring a store of version 1 to this version."""
        old = keys_of_version_1(self.sql, self._master_key, self._simulated, self.path)
        for table in ('keys', 'store', 'attempts'):
            self.sql.execute(f'ALTER TABLE {table} RENAME TO old_{table}')
        self._create()
        self._kek = self._wrapping_key(self._root.read()[0])
        self.sql.execute('INSERT INTO attempts SELECT * FROM old_attempts')
        for row, packed in old:
            self.add(row, packed)
        for table in ('keys', 'store', 'attempts'):
            self.sql.execute(f'DROP TABLE old_{table}')

    def _check_simulated(self, simulated: bool) -> None:
        if simulated != self._simulated:
            kind = 'simulated' if simulated else 'real'
            raise StationError(f'holds {kind} keys and cannot be used for others', where=self.path)

    def _check_side(self) -> None:
        (side,) = self.sql.execute('SELECT side FROM store').fetchone()
        if side != self._side:
            raise StationError(f'is the key store of the {side}, not of the {self._side}', where=self.path)

    def _count(self) -> int:
        return int(self.sql.execute('SELECT count FROM store').fetchone()[0])

    def _known_root(self, roots: dict[int, bytes], count: int) -> bytes:
        if count not in roots:
            raise StationError(
                f'is not the newest copy: it was changed {count} times, {self._root.path.name} counts {max(roots)}',
                where=self.path,
                hint='an older copy would hand out bits twice; restore the newest one',
            )
        return roots[count]

    def _forget_other_roots(self) -> None:
        roots, count = self._root.read(), self._count()
        if len(roots) > 1:
            self._root.write({count: roots[count]})

    def _wrap_again(self, root: bytes, count: int) -> None:
        fresh = self._wrapping_key(root)
        for table in _SEALED_TABLES:
            statement = f'SELECT rowid, wrapped FROM {table} WHERE wrapped IS NOT NULL'
            for row, wrapped in self.sql.execute(statement).fetchall():
                again = _encrypt(fresh, self._decrypt(self._kek, wrapped, b'row key'), b'row key')
                self.sql.execute(f'UPDATE {table} SET wrapped = ? WHERE rowid = ?', (again, row))
        self.sql.execute('UPDATE store SET count = ?, probe = ?', (count, _encrypt(fresh, b'', b'probe')))
        self._kek = fresh

    def _head(self, row: KeyRow) -> bytes:
        """Associated data of the encryption, so that no row can be exchanged for another."""
        return json.dumps([row.key_id, row.session_id, row.length_bits, row.epsilon, self._simulated]).encode()

    def _wrapping_key(self, root: bytes) -> bytes:
        info = f'qkd_gs key store {"simulated" if self._simulated else "real"} {self._side}'.encode()
        return HKDF(SHA256(), _KEY_BYTES, salt=root, info=info).derive(self._master_key)

    def _decrypt(self, key: bytes, sealed: bytes, head: bytes) -> bytes:
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], head)
        except InvalidTag as error:
            raise StationError(
                'does not open with the master key of this folder, or was changed', where=self.path
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.sql.execute('BEGIN IMMEDIATE')
        try:
            yield
            self.sql.execute('COMMIT')
        except BaseException:
            if self.sql.in_transaction:  # on a full disk sqlite may have ended it
                self.sql.execute('ROLLBACK')
            raise

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        """Context in which a full disk, or another error of the database, becomes a sentence."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StationError(f'cannot be written: {error}', where=self.path, hint='is the disk full?') from error


def stored_side(path: Path) -> Side:
    """End of the link that a key store belongs to.

    Raises
    ------
    StationError
        It is not a key store.
    """
    sql = sqlite3.connect(f'file:{quote(str(path))}?mode=ro', uri=True, timeout=_BUSY_S)
    try:
        return Side(sql.execute('SELECT side FROM store').fetchone()[0])
    except (sqlite3.DatabaseError, TypeError, ValueError) as error:
        raise StationError('is not a sound key store', where=path) from error
    finally:
        sql.close()


def _held_head(key_id: str) -> bytes:
    return f'held {key_id}'.encode()


def _refill_head(key_id: str) -> bytes:
    return f'refill {key_id}'.encode()


def _encrypt(key: bytes, plain: bytes, head: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, head)
