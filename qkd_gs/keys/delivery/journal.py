"""Append-only log of deliveries: who asked for what and when, without key material."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from qkd_gs.errors import StationError

_TABLES = (
    'CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, at_utc TEXT NOT NULL, event TEXT NOT NULL,'
    ' sae TEXT NOT NULL, other TEXT NOT NULL, key_ids TEXT NOT NULL, bits INTEGER NOT NULL, digest TEXT NOT NULL)',
    'CREATE TRIGGER IF NOT EXISTS journal_stays BEFORE UPDATE ON journal'
    " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    'CREATE TRIGGER IF NOT EXISTS journal_keeps BEFORE DELETE ON journal'
    " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
)


class Event(StrEnum):
    """Kinds of entries."""

    GIVEN = 'enc_keys'
    REFUSED = 'enc_keys refused'
    FETCHED = 'dec_keys'
    REPEATED = 'dec_keys repeated'
    NOT_FETCHED = 'dec_keys refused'
    HELD = 'held for a peer'
    WITHDRAWN = 'withdrawn'


class JournalEntry(NamedTuple):
    """One line of the journal.

    Attributes
    ----------
    sae, other : str
        SAE that asked, and the SAE or KME that it named.
    key_ids : str
        JSON list of IDs.
    digest : str
        SHA-256 of the digest before and this line.
    """

    number: int
    at_utc: str
    event: str
    sae: str
    other: str
    key_ids: str
    bits: int
    digest: str


class Journal:
    """The journal of a key store; each line binds all lines before it.

    Parameters
    ----------
    sql : sqlite3.Connection
        Of the store's database, so that a line is written if and only if the change is that it tells of.
    """

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def create(self) -> None:
        """Create its table, within a change."""
        for statement in _TABLES:
            self._sql.execute(statement)

    def write(self, event: Event, sae: str, other: str, key_ids: Sequence[str], bits: int, now: datetime) -> None:
        """Append a line, within a change."""
        last = self._sql.execute('SELECT number, digest FROM journal ORDER BY number DESC LIMIT 1').fetchone()
        number, before = (0, '') if last is None else last
        at_utc = now.astimezone(UTC).isoformat(timespec='milliseconds')
        line = number + 1, at_utc, str(event), sae, other, json.dumps(list(key_ids)), bits
        self._sql.execute('INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)', (*line, _digest(before, line)))

    def entries(self) -> Iterator[JournalEntry]:
        """All lines, oldest first.

        Raises
        ------
        StationError
            A line was changed or removed.
        """
        before, expected = '', 1
        for row in self._sql.execute('SELECT * FROM journal ORDER BY number'):
            entry = JournalEntry(*row)
            if entry.number != expected or entry.digest != _digest(before, row[:-1]):
                raise StationError(f'line {expected} of the journal was changed or removed')
            before, expected = entry.digest, expected + 1
            yield entry


def _digest(before: str, line: tuple[object, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *line]).encode()).hexdigest()
