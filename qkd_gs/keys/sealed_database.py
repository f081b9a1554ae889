"""Encrypted database of a key store: every change moves its counter, and what a change deletes cannot be read again."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qkd_gs.errors import StationError
from qkd_gs.keys.database_schema import ADDED, OLDER, SCHEMA, SCHEMA_VERSION
from qkd_gs.keys.entries import KeyRow, KeyStateName, Side, key_head
from qkd_gs.keys.files import check_private, sync_folder
from qkd_gs.keys.key_blocks import read_blocks, wipe_blocks, write_blocks
from qkd_gs.keys.migration import keys_of_version_1, secrets_of_version_2
from qkd_gs.keys.root_file import RootFile
from qkd_gs.keys.sealed_items import SealedItems

_HELD_TOGETHER = 64  # keys that wait, in one group
_KEY_BYTES = 32
_SECOND = '-2'  # behind the name of a key: its second slot of pre-shared bits
_BUSY_S = 30.0


class SealedDatabase:
    """Database whose bits are encrypted, in blocks under keys of their own (`SealedItems`).

    Those keys are wrapped under one derived from the master key and the root key of the present state (`RootFile`).
    `change` draws a new root key and wraps them again.

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
            self.sql.execute('PRAGMA journal_mode = PERSIST')
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
                    self._items = self._opened(self._known_root(roots, count))
                    yield
                    fresh = secrets.token_bytes(_KEY_BYTES)
                    self._root.write({count: roots[count], count + 1: fresh})
                    self._finish(fresh, count + 1)
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
        group = write_blocks(self._items, packed, key_head(row, self._simulated))
        self.sql.execute('UPDATE keys SET item_group = ? WHERE key_id = ?', (group, row.key_id))

    def remove(self, row: KeyRow) -> None:
        """Delete a key, and the pre-shared bits that came with it, within `change`."""
        self.destroy(row)
        for name in (row.key_id, f'{row.key_id}{_SECOND}'):
            self.drop_refill(name)
        self.sql.execute('DELETE FROM keys WHERE key_id = ?', (row.key_id,))

    def read(self, row: KeyRow, first_byte: int, end_byte: int) -> bytearray:
        """Bytes [first_byte, end_byte) of a packed key, with zeros where bits were destroyed, within `change`."""
        return read_blocks(self._items, self._group_of(row), key_head(row, self._simulated), first_byte, end_byte)

    def wipe(self, row: KeyRow, first_bit: int, end_bit: int) -> None:
        """Destroy bits of a key, within `change`; those before them in the same byte must be destroyed."""
        wipe_blocks(self._items, self._group_of(row), key_head(row, self._simulated), first_bit, end_bit)

    def destroy(self, row: KeyRow) -> None:
        """Destroy the bits of a key, within `change`."""
        if (group := self._group('keys', row.key_id)) is not None:
            self._items.drop_group(group)
            self.sql.execute('UPDATE keys SET item_group = NULL WHERE key_id = ?', (row.key_id,))

    def set_state(self, row: KeyRow, state: KeyStateName) -> None:
        """Set the state of a key, within `change`."""
        self.sql.execute('UPDATE keys SET state = ? WHERE key_id = ?', (state, row.key_id))

    def add_refill(self, key_id: str, packed: bytes) -> None:
        """Add the pre-shared bits that come with a key, within `change`."""
        group = self._items.new_group()
        self._items.put(group, 0, packed, _refill_head(key_id))
        self.sql.execute('INSERT INTO refills VALUES (?, ?)', (key_id, group))

    def add_refills(self, key_id: str, packed: bytes, slot_bytes: int) -> None:
        """Add the pre-shared bits that come with a key, of one slot or of two, within `change`."""
        self.add_refill(key_id, packed[:slot_bytes])
        if len(packed) > slot_bytes:
            self.add_refill(f'{key_id}{_SECOND}', packed[slot_bytes:])

    def unseal_refill(self, key_id: str) -> bytes:
        """Pre-shared bits that came with a key, within `change`."""
        return self._secret(self._group('refills', key_id), 0, _refill_head(key_id))

    def drop_refill(self, key_id: str) -> None:
        """Destroy the pre-shared bits that came with a key, if there are any, within `change`."""
        if (group := self._group('refills', key_id)) is not None:
            self._items.drop_group(group)
            self.sql.execute('DELETE FROM refills WHERE key_id = ?', (key_id,))

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
        newest = 'SELECT item_group, item + 1 FROM held ORDER BY item_group DESC, item DESC LIMIT 1'
        group, item = self.sql.execute(newest).fetchone() or (0, _HELD_TOGETHER)
        if item >= _HELD_TOGETHER:
            group, item = self._items.new_group(), 0
        self._items.put(group, item, material, _held_head(key_id))
        self.sql.execute('INSERT INTO held VALUES (?, ?, ?, ?)', (key_id, source, group, item))

    def holds(self, key_id: str) -> bool:
        """True if bits wait under a name."""
        return self._held_place(key_id) is not None

    def unseal_held(self, key_id: str) -> bytes:
        """Bits that wait under a name, within `change`."""
        group, item = self._held_place(key_id) or (None, 0)
        return self._secret(group, item, _held_head(key_id))

    def drop_held(self, key_id: str) -> None:
        """Destroy the bits that wait under a name, if there are any, within `change`."""
        if (place := self._held_place(key_id)) is not None:
            self._items.drop(*place)
            self.sql.execute('DELETE FROM held WHERE key_id = ?', (key_id,))

    def drop_held_of(self, source: str) -> None:
        """Destroy all bits that wait and were part of a key, within `change`."""
        for (key_id,) in self.sql.execute('SELECT key_id FROM held WHERE source = ?', (source,)).fetchall():
            self.drop_held(key_id)

    @property
    def items(self) -> SealedItems:
        """Encrypted items, for other tables, within `change`."""
        return self._items

    def rows(self, clause: str = '', *values: str) -> list[KeyRow]:
        """Keys that a clause of SQL selects, without their bits."""
        columns = ', '.join(KeyRow._fields)
        return [KeyRow(*row) for row in self.sql.execute(f'SELECT {columns} FROM keys {clause}', values)]

    def close(self) -> None:
        """Close the database; any number of times."""
        self.sql.close()

    def _secret(self, group: int | None, item: int, head: bytes) -> bytes:
        found = None if group is None else self._items.get(group, item, head)
        if found is None:
            raise StationError('has lost bits that it should have', where=self.path)
        return found

    def _group_of(self, row: KeyRow) -> int:
        group = self._group('keys', row.key_id)
        if group is None:
            raise StationError(f'has no bits of key {row.key_id} left', where=self.path)
        return group

    def _group(self, table: str, key_id: str) -> int | None:
        found = self.sql.execute(f'SELECT item_group FROM {table} WHERE key_id = ?', (key_id,)).fetchone()
        return found[0] if found else None

    def _held_place(self, key_id: str) -> tuple[int, int] | None:
        row = self.sql.execute('SELECT item_group, item FROM held WHERE key_id = ?', (key_id,)).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def _open(self) -> None:
        with self._root.locked():
            with self._transaction():
                if not self.sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
                    self._create(0)
                schema, simulated = self.sql.execute('SELECT schema, simulated FROM store').fetchone()
                self._check_simulated(bool(simulated))
                if schema in OLDER:
                    self._migrate(schema)
                elif schema != SCHEMA_VERSION:
                    raise StationError(
                        f'has version {schema}, not {SCHEMA_VERSION}',
                        where=self.path,
                        hint='use the software that wrote it',
                    )
                self._check_side()
                for statement in ADDED:
                    self.sql.execute(statement)
                self._opened(self._known_root(self._root.read(), self._count()))
            self._forget_other_roots()

    def _create(self, count: int) -> None:
        if not self._root.exists():
            self._root.write({0: secrets.token_bytes(_KEY_BYTES)})
        for statement in SCHEMA:
            self.sql.execute(statement)
        wrapping_key = self._wrapping_key(self._known_root(self._root.read(), count))
        self._items = SealedItems(self.sql, self.path, wrapping_key, None)
        row = SCHEMA_VERSION, self._simulated, self._side, count, self._items.finish(wrapping_key)
        self.sql.execute('INSERT INTO store VALUES (?, ?, ?, ?, ?)', row)

    def _migrate(self, schema: int) -> None:
        """Bring a store of an older version to this one; it stays in the state in which it is."""
        count = 0
        refills: list[tuple[str, bytes]] = []
        held: list[tuple[str, str, bytes]] = []
        if schema == 1:
            keys = keys_of_version_1(self.sql, self._master_key, self._simulated, self.path)
        else:
            self._check_side()
            count = self._count()
            wrapping_key = self._wrapping_key(self._known_root(self._root.read(), count))
            keys, refills, held = secrets_of_version_2(self.sql, wrapping_key, self._simulated, self.path)
        for table in OLDER[schema]:
            if self.sql.execute('SELECT 1 FROM sqlite_master WHERE name = ?', (table,)).fetchone():
                self.sql.execute(f'ALTER TABLE {table} RENAME TO old_{table}')
        self.sql.execute('DROP INDEX IF EXISTS held_by_source')
        self._create(count)
        for row, packed in keys:
            self.add(row, packed or b'')
            if packed is None:
                self.destroy(row)
        for key_id, packed in refills:
            self.add_refill(key_id, packed)
        for key_id, source, material in held:
            self.hold(key_id, source, material)
        for table in OLDER[schema]:
            self.sql.execute(f'DROP TABLE IF EXISTS old_{table}')
        self._finish(self._root.read()[count], count)

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

    def _opened(self, root: bytes) -> SealedItems:
        (group_keys,) = self.sql.execute('SELECT group_keys FROM store').fetchone()
        return SealedItems(self.sql, self.path, self._wrapping_key(root), group_keys)

    def _finish(self, root: bytes, count: int) -> None:
        group_keys = self._items.finish(self._wrapping_key(root))
        self.sql.execute('UPDATE store SET count = ?, group_keys = ?', (count, group_keys))

    def _wrapping_key(self, root: bytes) -> bytes:
        info = f'qkd_gs key store {"simulated" if self._simulated else "real"} {self._side}'.encode()
        return HKDF(SHA256(), _KEY_BYTES, salt=root, info=info).derive(self._master_key)

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
