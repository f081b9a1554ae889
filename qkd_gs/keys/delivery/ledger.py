"""Book-keeping of delivered keys, in the database of the key store that they come from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from qkd_gs.keys.delivery.journal import Journal
from qkd_gs.keys.store import KeyStore

_TABLES = (
    'CREATE TABLE IF NOT EXISTS deliveries (key_id TEXT PRIMARY KEY, peer TEXT NOT NULL, name TEXT NOT NULL,'
    ' bits INTEGER NOT NULL, master TEXT NOT NULL, slaves TEXT NOT NULL, master_state TEXT NOT NULL,'
    ' slave_state TEXT NOT NULL)',
    "CREATE INDEX IF NOT EXISTS open_offers ON deliveries (peer) WHERE master_state = 'offered'",
    "CREATE INDEX IF NOT EXISTS open_holds ON deliveries (peer) WHERE slave_state = 'held'",
    'CREATE TABLE IF NOT EXISTS receipts (key_id TEXT NOT NULL, sae TEXT NOT NULL, at_s REAL NOT NULL,'
    ' PRIMARY KEY (key_id, sae))',
    'CREATE TABLE IF NOT EXISTS usage (pair TEXT NOT NULL, day TEXT NOT NULL, bits INTEGER NOT NULL,'
    ' PRIMARY KEY (pair, day))',
)
HERE = ''  # instead of a peer: both SAEs use this KME


class MasterState(StrEnum):
    """State of a key towards the master SAE.

    ``ELSEWHERE``: another KME gives it.  ``OFFERED``: its bits are taken, the slave's KME may not hold it.  ``GIVEN``:
    the slave's KME holds it, and the master SAE may have it.  ``WITHDRAWN``: nobody gets it.
    """

    ELSEWHERE = 'elsewhere'
    OFFERED = 'offered'
    GIVEN = 'given'
    WITHDRAWN = 'withdrawn'


class SlaveState(StrEnum):
    """State of a key towards its slave SAEs.

    ``ELSEWHERE``: another KME holds it.  ``HELD``: waits for a slave SAE.  ``FETCHED``: all slave SAEs have it, and its
    bits are destroyed.  ``WITHDRAWN``: nobody gets it, its bits are destroyed.
    """

    ELSEWHERE = 'elsewhere'
    HELD = 'held'
    FETCHED = 'fetched'
    WITHDRAWN = 'withdrawn'


class Delivery(NamedTuple):
    """A key with an ID.

    Attributes
    ----------
    peer : str
        KME at the other end; `HERE` if both SAEs use this one.
    name : str
        Its bits (`KeyPiece.name`).
    slaves : str
        JSON list of SAE IDs.
    """

    key_id: str
    peer: str
    name: str
    bits: int
    master: str
    slaves: str
    master_state: str
    slave_state: str

    @property
    def slave_ids(self) -> list[str]:
        """Slave SAEs."""
        return list(json.loads(self.slaves))


class Ledger:
    """Deliveries of one key store.  Every method that writes is called within a change of the store.

    Parameters
    ----------
    store : KeyStore
    """

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self._sql: sqlite3.Connection = store.database.sql
        self.journal = Journal(self._sql)
        with store.database.note():
            for statement in _TABLES:
                self._sql.execute(statement)
            self.journal.create()

    def add(self, delivery: Delivery) -> None:
        """Add a key."""
        self._sql.execute('INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?)', delivery)

    def find(self, key_id: str) -> Delivery | None:
        """A key by its ID."""
        row = self._sql.execute('SELECT * FROM deliveries WHERE key_id = ?', (key_id,)).fetchone()
        return None if row is None else Delivery(*row)

    def set_master_state(self, key_ids: Iterable[str], state: MasterState) -> None:
        """Set the state towards the master SAE."""
        rows = [(state, key_id) for key_id in key_ids]
        self._sql.executemany('UPDATE deliveries SET master_state = ? WHERE key_id = ?', rows)

    def set_slave_state(self, key_ids: Iterable[str], state: SlaveState) -> None:
        """Set the state towards the slave SAEs."""
        rows = [(state, key_id) for key_id in key_ids]
        self._sql.executemany('UPDATE deliveries SET slave_state = ? WHERE key_id = ?', rows)

    def offered(self, peer: str) -> list[str]:
        """Keys that were taken for a peer and not given."""
        statement = "SELECT key_id FROM deliveries WHERE peer = ? AND master_state = 'offered'"
        return [str(row[0]) for row in self._sql.execute(statement, (peer,))]

    def held(self) -> list[Delivery]:
        """Keys that wait for a slave SAE."""
        return [Delivery(*row) for row in self._sql.execute("SELECT * FROM deliveries WHERE slave_state = 'held'")]

    def receipts(self, key_id: str) -> dict[str, float]:
        """Slave SAEs that have got a key, and when first (seconds of UTC)."""
        return dict(self._sql.execute('SELECT sae, at_s FROM receipts WHERE key_id = ?', (key_id,)).fetchall())

    def add_receipt(self, key_id: str, sae: str, now: datetime) -> None:
        """Book that a slave SAE gets a key."""
        self._sql.execute('INSERT OR IGNORE INTO receipts VALUES (?, ?, ?)', (key_id, sae, now.timestamp()))

    def used_today(self, pair: str, now: datetime) -> int:
        """Bits that a pair got on this day of UTC, or on a later one: a clock that was set back renews nothing."""
        statement = 'SELECT SUM(bits) FROM usage WHERE pair = ? AND day >= ?'
        return int(self._sql.execute(statement, (pair, _day(now))).fetchone()[0] or 0)

    def used_by_pair(self, now: datetime) -> dict[str, int]:
        """Bits that each pair got on this day of UTC, or on a later one."""
        statement = 'SELECT pair, SUM(bits) FROM usage WHERE day >= ? GROUP BY pair'
        return {' and '.join(json.loads(pair)): int(bits) for pair, bits in self._sql.execute(statement, (_day(now),))}

    def use(self, pair: str, bits: int, now: datetime) -> None:
        """Count bits of a pair."""
        self._sql.execute(
            'INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bits = bits + excluded.bits',
            (pair, _day(now), bits),
        )


def pair_name(master: str, slaves: Sequence[str]) -> str:
    """Name of the SAEs that share keys, whoever asks for them."""
    return json.dumps(sorted([master, *slaves]))


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()
