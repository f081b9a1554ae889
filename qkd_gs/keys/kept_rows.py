"""Sifted bits of passes in the key store, sealed as keys are, until they are joined or their time is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np

from qkd_gs.keys.sealed_database import SealedDatabase
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.protocol.kept_bits import KeptBits, KeptPass, not_kept, taken_already
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_TABLE = (
    'CREATE TABLE IF NOT EXISTS kept (key_id TEXT PRIMARY KEY, last_ns INTEGER NOT NULL, kept_ns INTEGER NOT NULL,'
    ' counts TEXT NOT NULL, size_bits INTEGER NOT NULL, joined_by TEXT NOT NULL, item_group INTEGER NOT NULL)'
)
_COLUMNS = 'key_id, last_ns, counts, joined_by'


class KeptRows:
    """Table of kept bits; all changes belong to a change of the database.

    Parameters
    ----------
    database : SealedDatabase
    now : callable
        UTC.
    """

    def __init__(self, database: SealedDatabase, now: Callable[[], datetime]) -> None:
        self._database, self._now = database, now
        database.sql.execute(_TABLE)

    def add(self, kept: KeptBits) -> None:
        """Add the bits of a session, within a change."""
        about = kept.about
        group = self._database.items.new_group()
        self._database.items.put(group, 0, kept.bits.tobytes() + kept.basis.tobytes(), _head(about.session_id))
        counts = about.counts.model_dump_json()
        row = about.session_id, about.last_ns, self._now_ns(), counts, len(kept.bits), '', group
        self._database.sql.execute('INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?)', row)

    def about(self, session_id: str) -> KeptPass | None:
        """Record of a session, or None."""
        statement = f'SELECT {_COLUMNS} FROM kept WHERE key_id = ?'
        row = self._database.sql.execute(statement, (session_id,)).fetchone()
        return KeptPass(row[0], row[1], KeyCounts.model_validate_json(row[2]), row[3]) if row else None

    def session_ids(self) -> list[str]:
        """Sessions whose bits are kept, oldest first."""
        return [str(row[0]) for row in self._database.sql.execute('SELECT key_id FROM kept ORDER BY last_ns')]

    def take(self, joined_session: str, session_ids: Sequence[str]) -> list[KeptBits]:
        """Bits of these sessions, which from now on are for this joined session and no other.

        Raises
        ------
        StationError
            One is not kept, or was taken for another one.
        """
        found = []
        with self._database.change():
            for session_id in session_ids:
                about = self.about(session_id)
                if about is None:
                    raise not_kept(session_id)
                if about.joined_by not in ('', joined_session):
                    raise taken_already(about)
                statement = 'UPDATE kept SET joined_by = ? WHERE key_id = ?'
                self._database.sql.execute(statement, (joined_session, session_id))
                found.append(self._read(about))
        return found

    def drop(self, session_id: str) -> None:
        """Destroy the bits of a session, and those that it joins, within a change."""
        self.drop_own(session_id)
        self.drop_joined(session_id)

    def drop_own(self, session_id: str) -> None:
        """Destroy the bits of a session, within a change."""
        self._drop('key_id = ?', session_id)

    def drop_joined(self, joined_session: str) -> None:
        """Destroy the bits that were taken for a joined session, within a change."""
        self._drop('joined_by = ?', joined_session)

    def drop_old(self, keep_ns: int) -> None:
        """Destroy what has been kept for longer than this time, on the disk before it returns."""
        before = self._now_ns() - keep_ns
        if self._database.sql.execute('SELECT 1 FROM kept WHERE kept_ns <= ?', (before,)).fetchone():
            with self._database.change():
                self._drop('kept_ns <= ?', before)

    def _drop(self, clause: str, value: str | int) -> None:
        found = self._database.sql.execute(f'SELECT item_group FROM kept WHERE {clause}', (value,)).fetchall()
        for (group,) in found:
            self._database.items.drop_group(group)
        self._database.sql.execute(f'DELETE FROM kept WHERE {clause}', (value,))

    def _read(self, about: KeptPass) -> KeptBits:
        statement = 'SELECT size_bits, item_group FROM kept WHERE key_id = ?'
        size, group = self._database.sql.execute(statement, (about.session_id,)).fetchone()
        sealed = self._database.items.get(group, 0, _head(about.session_id))
        if sealed is None:
            raise not_kept(about.session_id)
        material = np.frombuffer(sealed, np.uint8)
        border = -(-size // 8)
        bits, basis = PackedBits(material[:border].copy(), size), material[border:].copy()
        return KeptBits(about, bits, PackedBits(basis, size if len(basis) else 0))

    def _now_ns(self) -> int:
        return int(self._now().timestamp() * 1e9)


def _head(session_id: str) -> bytes:
    return f'kept bits {session_id}'.encode()
