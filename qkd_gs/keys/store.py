"""The key store: finished keys, encrypted at rest, each bit handed out at most once."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qkd_gs.errors import StationError
from qkd_gs.keys.files import check_private, sync_folder
from qkd_gs.keys.secret import Secret
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_SCHEMA = """
CREATE TABLE store (schema INTEGER NOT NULL, simulated INTEGER NOT NULL, probe BLOB NOT NULL);
CREATE TABLE keys (
    key_id TEXT PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, created_utc TEXT NOT NULL,
    length_bits INTEGER NOT NULL CHECK (length_bits >= 0), epsilon REAL NOT NULL, result TEXT NOT NULL,
    given_bits INTEGER NOT NULL DEFAULT 0 CHECK (given_bits BETWEEN 0 AND length_bits),
    sealed BLOB NOT NULL
);
CREATE TABLE attempts (session_id TEXT PRIMARY KEY, disclosed_bits INTEGER NOT NULL);
"""
_SCHEMA_VERSION = 1
_NONCE_BYTES = 12
_BUSY_S = 30.0


@dataclass(frozen=True)
class KeyEntry:
    """Public data of a stored key."""

    key_id: str
    session_id: str
    created_utc: str
    length_bits: int
    given_bits: int
    epsilon: float
    simulated: bool
    result: dict[str, Any]  # figures of the session as they were when it was processed

    @property
    def left_bits(self) -> int:
        """Bits not handed out yet."""
        return self.length_bits - self.given_bits


@dataclass(frozen=True)
class KeyPiece:
    """Key material handed out: the other side finds the same bits under the same three numbers."""

    key_id: str
    first_bit: int
    length_bits: int
    simulated: bool
    material: Secret  # packed, first bit in the highest place; the last byte padded with zeros


class KeyStore:
    """A file of finished keys.

    Parameters
    ----------
    path : Path
        The database; made on first use.
    master_key : bytes
        32 bytes, kept elsewhere than the database; the encryption key is derived from it (HKDF-SHA-256).
    simulated : bool
        What this file holds; a file made for the one is refused for the other.
    now : callable
        UTC, for the time of storing.

    Raises
    ------
    StationError
        Not a key store, of the other sort, of another master key, or open to others.
    """

    def __init__(
        self, path: Path, master_key: bytes, simulated: bool, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ):
        self._path, self._simulated, self._now = path, simulated, now
        info = b'qkd_gs key store ' + (b'simulated' if simulated else b'real')
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=info).derive(master_key))
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.fsync(descriptor)
            os.close(descriptor)
            sync_folder(path.parent)
        check_private(path)
        try:
            self._database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._database.execute('PRAGMA synchronous = EXTRA')  # the journal's removal is synced too
            self._database.execute('PRAGMA secure_delete = ON')
            self._open()
        except sqlite3.DatabaseError as error:
            raise StationError(f'is not a sound key store: {error}', where=path) from error

    def put(self, session_id: str, key_id: str, bits: PackedBits, epsilon: float, result: dict[str, Any]) -> KeyEntry:
        """Store the key of a session, once: a second call returns what the first one stored.

        Parameters
        ----------
        session_id : str
            Of the session that made it.
        key_id : str
            Identifier that both sides give it.
        bits : PackedBits
            The key; one without bits records that the session made none.
        epsilon : float
            Failure probability of the key.
        result : dict
            Figures of the session, nothing secret; returned by `entry` from then on.
        """
        with self._transaction():
            stored = self.entry(session_id)
            if stored is not None:
                return stored
            created = self._now().isoformat(timespec='seconds')
            head = _head(key_id, session_id, len(bits), epsilon, self._simulated)
            nonce = secrets.token_bytes(_NONCE_BYTES)
            sealed = nonce + self._cipher.encrypt(nonce, bits.tobytes(), head)
            self._database.execute(
                'INSERT INTO keys (key_id, session_id, created_utc, length_bits, epsilon, result, sealed)'
                ' VALUES (?, ?, ?, ?, ?, ?, ?)',
                (key_id, session_id, created, len(bits), epsilon, json.dumps(result), sealed),
            )
            return self._select('WHERE session_id = ?', session_id)[0]

    def entry(self, session_id: str) -> KeyEntry | None:
        """Entry of a session's key, or None."""
        found = self._select('WHERE session_id = ?', session_id)
        return found[0] if found else None

    def entries(self) -> list[KeyEntry]:
        """All keys, oldest first."""
        return self._select('ORDER BY created_utc, rowid')

    def take(self, bits: int, *, simulated: bool = False) -> KeyPiece:
        """Hand out bits of the oldest key that has so many left; they are never handed out again.

        They are marked as given on the disk before this returns: a crash in between loses them.

        Parameters
        ----------
        bits : int
            How many.
        simulated : bool
            Must be True for a store of simulated keys, so that none is used as a real one.

        Raises
        ------
        StationError
            No key has so many bits left, or the store is simulated and that was not said.
        """
        self._check_sort(simulated)
        with self._transaction():
            entry = next((entry for entry in self.entries() if 0 < bits <= entry.left_bits), None)
            if entry is None:
                largest = max((entry.left_bits for entry in self.entries()), default=0)
                raise StationError(f'no key has {bits} bits left, the largest has {largest}', where=self._path)
            return self._give(entry, entry.given_bits, bits)

    def take_at(self, key_id: str, first_bit: int, bits: int, *, simulated: bool = False) -> KeyPiece:
        """Hand out the bits that the other side named; skipped ones before them are given up.

        Raises
        ------
        StationError
            No such key, or a bit of it was handed out before.
        """
        self._check_sort(simulated)
        with self._transaction():
            entry = next(iter(self._select('WHERE key_id = ?', key_id)), None)
            if entry is None:
                raise StationError(f'there is no key {key_id}', where=self._path)
            if first_bit < entry.given_bits or bits <= 0 or first_bit + bits > entry.length_bits:
                raise StationError(
                    f'bits {first_bit} to {first_bit + bits} of key {key_id} are not there to be given:'
                    f' {entry.given_bits} of {entry.length_bits} are given already',
                    where=self._path,
                )
            return self._give(entry, first_bit, bits)

    def is_finished(self, session_id: str) -> bool:
        """True if the session's key is stored; no more of it will be disclosed."""
        return self.entry(session_id) is not None

    def disclosed_before(self, session_id: str) -> int:
        """Bits that earlier, broken attempts at this session may have disclosed."""
        row = self._database.execute(
            'SELECT disclosed_bits FROM attempts WHERE session_id = ?', (session_id,)
        ).fetchone()
        return int(row[0]) if row else 0

    def record_leakage(self, session_id: str, bits: int) -> None:
        """Set the bits that attempts at this session may have disclosed up to now, on the disk before it returns."""
        with self._transaction():
            self._database.execute(
                'INSERT INTO attempts VALUES (?, ?) ON CONFLICT DO UPDATE SET disclosed_bits = excluded.disclosed_bits',
                (session_id, bits),
            )

    def close(self) -> None:
        """Close the database; any number of times."""
        self._database.close()

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<KeyStore {self._path.name}>'

    def _open(self) -> None:
        with self._transaction():
            if not self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
                for statement in _SCHEMA.split(';'):
                    self._database.execute(statement)
                nonce = secrets.token_bytes(_NONCE_BYTES)
                probe = nonce + self._cipher.encrypt(nonce, b'', b'probe')
                self._database.execute('INSERT INTO store VALUES (?, ?, ?)', (_SCHEMA_VERSION, self._simulated, probe))
            schema, simulated, probe = self._database.execute('SELECT * FROM store').fetchone()
        if schema != _SCHEMA_VERSION:
            raise StationError(f'has schema {schema}, not {_SCHEMA_VERSION}', where=self._path)
        if bool(simulated) != self._simulated:
            sort = 'simulated' if simulated else 'real'
            raise StationError(f'holds {sort} keys and cannot be used for others', where=self._path)
        self._decrypt(probe, b'probe')

    def _give(self, entry: KeyEntry, first_bit: int, bits: int) -> KeyPiece:
        (sealed,) = self._database.execute('SELECT sealed FROM keys WHERE key_id = ?', (entry.key_id,)).fetchone()
        head = _head(entry.key_id, entry.session_id, entry.length_bits, entry.epsilon, self._simulated)
        whole = np.unpackbits(np.frombuffer(self._decrypt(sealed, head), np.uint8), count=entry.length_bits)
        material = Secret(np.packbits(whole[first_bit : first_bit + bits]).tobytes())
        whole[:] = 0
        self._database.execute('UPDATE keys SET given_bits = ? WHERE key_id = ?', (first_bit + bits, entry.key_id))
        return KeyPiece(entry.key_id, first_bit, bits, self._simulated, material)

    def _decrypt(self, sealed: bytes, head: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], head)
        except InvalidTag as error:
            raise StationError(
                'does not open with the master key of this folder, or was changed', where=self._path
            ) from error

    def _check_sort(self, simulated: bool) -> None:
        if simulated != self._simulated:
            raise StationError(
                'keys of simulated sessions are not handed out as real ones'
                if self._simulated
                else 'keys of real sessions are not handed out as simulated ones',
                where=self._path,
            )

    def _select(self, clause: str, *values: str) -> list[KeyEntry]:
        columns = 'key_id, session_id, created_utc, length_bits, given_bits, epsilon, result'
        rows = self._database.execute(f'SELECT {columns} FROM keys {clause}', values).fetchall()
        return [
            KeyEntry(key, session, created, length, given, epsilon, self._simulated, json.loads(result))
            for key, session, created, length, given, epsilon, result in rows
        ]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, alone among all processes, on the disk when it ends."""
        self._database.execute('BEGIN IMMEDIATE')
        try:
            yield
        except BaseException:
            self._database.execute('ROLLBACK')
            raise
        self._database.execute('COMMIT')


def _head(key_id: str, session_id: str, length_bits: int, epsilon: float, simulated: bool) -> bytes:
    """Associated data of the encryption, so that no row can be exchanged for another."""
    return json.dumps([key_id, session_id, length_bits, epsilon, simulated]).encode()
