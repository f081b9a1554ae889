"""Encrypted items in the database of a key store: destroying one costs the same, however many there are."""

from __future__ import annotations

import secrets
import sqlite3
import struct
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from qkd_gs.errors import StationError

ITEM_TABLES = (
    'CREATE TABLE items (item_group INTEGER NOT NULL, item INTEGER NOT NULL, sealed BLOB NOT NULL,'
    ' PRIMARY KEY (item_group, item))',
    'CREATE TABLE item_keys (item_group INTEGER PRIMARY KEY, sealed BLOB NOT NULL)',
)
_NONCE_BYTES, _KEY_BYTES = 12, 32
_ENTRY = struct.Struct(f'>q{_KEY_BYTES}s')


class SealedItems:
    """Items in groups, as one change of the store sees them.

    Each item is encrypted under a key of its own.  The keys of a group's items are encrypted together under the group's
    key, and the keys of all groups together under the wrapping key of the store's state.  `finish` gives new keys to
    the groups that were changed, and encrypts the list of group keys under the next wrapping key.  So what was dropped
    cannot be read again, even in a copy of the database, once the wrapping key before is gone.

    Parameters
    ----------
    sql : sqlite3.Connection
    path : Path
        For messages.
    wrapping_key : bytes
        Of the present state.
    group_keys : bytes, optional
        Result of the last `finish`; none for a new store.

    Raises
    ------
    StationError
        The group keys do not open with this wrapping key.
    """

    def __init__(self, sql: sqlite3.Connection, path: Path, wrapping_key: bytes, group_keys: bytes | None) -> None:
        self._sql, self._path = sql, path
        self._groups = {} if group_keys is None else _parsed(decrypted(wrapping_key, group_keys, b'group keys', path))
        self._keys: dict[int, dict[int, bytes]] = {}  # by item, of the groups in use
        self._changed: set[int] = set()

    def new_group(self) -> int:
        """Number of a new, empty group."""
        group = max(self._groups, default=0) + 1
        self._groups[group], self._keys[group] = b'', {}
        return group

    def put(self, group: int, item: int, plain: bytes, head: bytes) -> None:
        """Store an item under a fresh key; the one that it replaces cannot be read again."""
        key = secrets.token_bytes(_KEY_BYTES)
        self._keys_of(group)[item] = key
        self._changed.add(group)
        sealed = encrypted(key, plain, _item_head(head, item))
        self._sql.execute('INSERT OR REPLACE INTO items VALUES (?, ?, ?)', (group, item, sealed))

    def get(self, group: int, item: int, head: bytes) -> bytes | None:
        """An item; None if it was dropped.

        Raises
        ------
        StationError
            It was changed, or its associated data are others.
        """
        key = self._keys_of(group).get(item)
        if key is None:
            return None
        row = self._sql.execute('SELECT sealed FROM items WHERE item_group = ? AND item = ?', (group, item)).fetchone()
        return decrypted(key, row[0] if row else b'', _item_head(head, item), self._path)

    def drop(self, group: int, item: int) -> None:
        """Destroy an item; a group without items is gone."""
        self._sql.execute('DELETE FROM items WHERE item_group = ? AND item = ?', (group, item))
        keys = self._keys_of(group)
        keys.pop(item, None)
        self._changed.add(group)
        if not keys:
            self.drop_group(group)

    def drop_group(self, group: int) -> None:
        """Destroy a group."""
        self._groups.pop(group, None)
        self._keys.pop(group, None)
        self._changed.discard(group)
        self._sql.execute('DELETE FROM items WHERE item_group = ?', (group,))
        self._sql.execute('DELETE FROM item_keys WHERE item_group = ?', (group,))

    def finish(self, wrapping_key: bytes) -> bytes:
        """Write the lists of keys; returns the encrypted group keys for the next state."""
        for group in self._changed:
            self._groups[group] = secrets.token_bytes(_KEY_BYTES)
            sealed = encrypted(self._groups[group], _listed(self._keys[group]), _group_head(group))
            self._sql.execute('INSERT OR REPLACE INTO item_keys VALUES (?, ?)', (group, sealed))
        return encrypted(wrapping_key, _listed(self._groups), b'group keys')

    def _keys_of(self, group: int) -> dict[int, bytes]:
        if group not in self._keys:
            row = self._sql.execute('SELECT sealed FROM item_keys WHERE item_group = ?', (group,)).fetchone()
            key = self._groups.get(group, bytes(_KEY_BYTES))
            self._keys[group] = _parsed(decrypted(key, row[0] if row else b'', _group_head(group), self._path))
        return self._keys[group]


def encrypted(key: bytes, plain: bytes, head: bytes) -> bytes:
    """AES-256-GCM with a random nonce before it."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, head)


def decrypted(key: bytes, sealed: bytes, head: bytes, path: Path) -> bytes:
    """Content of `encrypted`.

    Raises
    ------
    StationError
        Another key, or it was changed.
    """
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], head)
    except (InvalidTag, ValueError) as error:  # ValueError: too short
        raise StationError('does not open with the master key of this folder, or was changed', where=path) from error


def _listed(keys: Mapping[int, bytes]) -> bytes:
    return b''.join(_ENTRY.pack(number, key) for number, key in keys.items())


def _parsed(listed: bytes) -> dict[int, bytes]:
    return dict(_ENTRY.iter_unpack(listed))


def _item_head(head: bytes, item: int) -> bytes:
    return head + f' {item}'.encode()


def _group_head(group: int) -> bytes:
    return f'item keys of {group}'.encode()
