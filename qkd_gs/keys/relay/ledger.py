"""Record of the bits of a key store that went into each relayed key."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from qkd_gs.keys.store import KeyStore

_TABLES = (
    'CREATE TABLE IF NOT EXISTS relays (relay_id TEXT PRIMARY KEY, other TEXT NOT NULL, piece TEXT NOT NULL,'
    ' bits INTEGER NOT NULL, state TEXT NOT NULL, at_utc TEXT NOT NULL)',
    'CREATE TABLE IF NOT EXISTS relay_attempts (key_id TEXT PRIMARY KEY, number INTEGER NOT NULL)',
)


class RelayState(StrEnum):
    """State of a relayed key.

    ``TAKEN``: the satellite has taken its bits, the announcement may not be written; if it is not, they are lost.
    ``ANNOUNCED``: it is written.  ``ACCEPTED``: a station has the key.
    """

    TAKEN = 'taken'
    ANNOUNCED = 'announced'
    ACCEPTED = 'accepted'


class Relay(NamedTuple):
    """A relayed key in the store that its bits came from; `other` is the station at the other end."""

    relay_id: str
    other: str
    piece: str
    bits: int
    state: str
    at_utc: str


class RelayLedger:
    """Relays of one key store.  Every method that writes is called within a change of the store.

    Parameters
    ----------
    store : KeyStore
    """

    def __init__(self, store: KeyStore) -> None:
        self._sql = store.database.sql
        with store.database.note():
            for statement in _TABLES:
                self._sql.execute(statement)

    def add(self, relay_id: str, other: str, piece: str, bits: int, state: RelayState, now: datetime) -> None:
        """Add a relay."""
        at_utc = now.astimezone(UTC).isoformat(timespec='seconds')
        self._sql.execute('INSERT INTO relays VALUES (?, ?, ?, ?, ?, ?)', (relay_id, other, piece, bits, state, at_utc))

    def set_state(self, relay_id: str, state: RelayState) -> None:
        """Set the state of a relay."""
        self._sql.execute('UPDATE relays SET state = ? WHERE relay_id = ?', (state, relay_id))

    def all(self) -> list[Relay]:
        """All relays, oldest first."""
        return [Relay(*row) for row in self._sql.execute('SELECT * FROM relays ORDER BY rowid')]

    def find(self, relay_id: str) -> Relay | None:
        """A relay by its name."""
        return next((one for one in self.all() if one.relay_id == relay_id), None)

    def count_attempt(self, key_id: str) -> int:
        """Count a tag that is tried with a key; returns how many there were."""
        self._sql.execute(
            'INSERT INTO relay_attempts VALUES (?, 1) ON CONFLICT DO UPDATE SET number = number + 1', (key_id,)
        )
        return int(self._sql.execute('SELECT number FROM relay_attempts WHERE key_id = ?', (key_id,)).fetchone()[0])

    def reset_attempts(self, key_id: str) -> None:
        """A tag was right."""
        self._sql.execute('DELETE FROM relay_attempts WHERE key_id = ?', (key_id,))
