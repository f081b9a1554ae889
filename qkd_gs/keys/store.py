"""The key store of one side: finished keys, encrypted, each bit handed out at most once and in one direction.

It is also the side's durable record of announced pulses and disclosed bits (`qkd.protocol.session_record`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import (
    KeyEntry,
    KeyPiece,
    KeyRow,
    KeyStateName,
    Purpose,
    Side,
    entry_of,
)
from qkd_gs.keys.kept_rows import KeptRows
from qkd_gs.keys.root_file import RootFile
from qkd_gs.keys.sealed_database import SealedDatabase
from qkd_gs.keys.secret import Secret
from qkd_gs.keys.withdrawals import Withdrawals
from qkd_gs.qkd.link.authenticated_channel import SECRET_BITS
from qkd_gs.qkd.protocol.kept_bits import KeptBits, KeptPass
from qkd_gs.qkd.protocol.session_record import (
    NO_NAMES,
    Booking,
    another_run,
    check_booking,
    missing_key,
    name_of_part,
)
from qkd_gs.qkd.sifting.packed_bits import PackedBits


class KeyStore:
    """A file of finished keys.

    Parameters
    ----------
    path : Path
        The database; created on first use.
    master_key : bytes
        32 bytes, kept elsewhere than the database.
    simulated : bool
        Kind of keys in this file; a file created for one kind is refused for the other.
    side : Side
        End of the link; it decides which partition is for sending.
    root : Path, optional
        File of the monotonic counter (`RootFile`); beside the database if not given.
    now : callable
        UTC, for the time of storing.

    Raises
    ------
    StationError
        Not a key store, of another version, kind, side or master key, an older copy, or open to others.
    """

    def __init__(
        self,
        path: Path,
        master_key: bytes,
        simulated: bool,
        side: Side = Side.GROUND,
        root: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self._path, self._simulated, self._side, self._now = path, simulated, side, now
        root_file = RootFile(root or path.with_name(f'{path.name}.root'))
        self._database = SealedDatabase(path, root_file, master_key, simulated, side)
        self.withdrawals = Withdrawals(self._database, simulated, side)
        self._kept = KeptRows(self._database, now)

    @property
    def database(self) -> SealedDatabase:
        """The database, for tables that must change together with the keys (`keys.delivery`, `keys.relay`)."""
        return self._database

    def put(
        self,
        session_id: str,
        key_id: str,
        bits: PackedBits,
        epsilon: float,
        result: dict[str, Any],
        refill: PackedBits | None = None,
        kept: KeptBits | None = None,
    ) -> KeyEntry:
        """Store the key of a session as pending, once: a second call returns what the first one stored.

        On the satellite's side a key that is still pending is replaced: the ground has made another one, and does not
        hold the first.

        Parameters
        ----------
        session_id : str
            Session that made it.
        key_id : str
            Name that both sides give it.
        bits : PackedBits
            The key; one without bits records that the session made none.
        epsilon : float
            Failure probability of the key.
        result : dict
            Figures of the session, nothing secret; returned by `entry` from then on.
        refill : PackedBits, optional
            Pre-shared bits for a later run, made with the key; usable once that is confirmed.
        kept : KeptBits, optional
            Sifted bits of a session without a key, to be joined with others.
        """
        with self._database.change():
            stored = self.entry(session_id)
            if stored is not None and not self._replaceable(stored):
                return stored
            if stored is not None:
                self._database.remove(self._database.rows('WHERE key_id = ?', stored.key_id)[0])
                self._kept.drop_own(session_id)
            created = self._now().isoformat(timespec='seconds')
            state = KeyStateName.PENDING
            row = KeyRow(key_id, session_id, created, len(bits), epsilon, json.dumps(result), state, 0, 0)
            self._database.add(row, bits.tobytes())
            if refill:
                self._database.add_refills(key_id, refill.tobytes(), SECRET_BITS // 8)
            if kept:
                self._kept.add(kept)
            if self._side is Side.GROUND:  # the satellite may have to make the key again
                self._kept.drop_joined(session_id)
            return self._entry(row)

    def confirm(self, session_id: str, key_id: str) -> None:
        """Mark a pending key as held by both sides; on any later state it changes nothing.

        The names of what was disclosed of it are forgotten: nothing more will be.

        Raises
        ------
        StationError
            There is no such key.
        """
        with self._database.change():
            row = next(iter(self._database.rows('WHERE session_id = ?', session_id)), None)
            if row is None or row.key_id != key_id:
                raise missing_key(session_id, key_id)
            if row.state == KeyStateName.PENDING:
                self._database.set_state(row, KeyStateName.CONFIRMED)
                self._kept.drop_joined(session_id)
                self._database.sql.execute('DELETE FROM disclosures WHERE session_id = ?', (session_id,))

    def entry(self, session_id: str) -> KeyEntry | None:
        """Entry of a session's key, or None."""
        found = self._database.rows('WHERE session_id = ?', session_id)
        return self._entry(found[0]) if found else None

    def entries(self) -> list[KeyEntry]:
        """All keys, oldest first."""
        return [self._entry(row) for row in self._database.rows('ORDER BY created_utc, rowid')]

    def take(self, bits: int, purpose: Purpose = Purpose.SEND, *, simulated: bool = False) -> KeyPiece:
        """Hand out the next bits of a direction, of the oldest key that has so many left; never again.

        They are marked as given and destroyed in the store before this returns: a crash in between loses them.

        Parameters
        ----------
        bits : int
            Number of bits.
        purpose : Purpose
            Bits to send with, or to receive with.  The two are never the same at both ends; for receiving, the
            other side's `KeyPiece.name` finds its bits (`take_named`).
        simulated : bool
            Must be True for a store of simulated keys, so that none is used as a real one.

        Raises
        ------
        StationError
            No confirmed key has so many bits left, or the store is simulated and that was not said.
        """
        (pieces,) = self.withdrawals.take_groups([[bits]], purpose, simulated=simulated)
        if pieces is None:
            usable = [entry for entry in self.entries() if entry.state is KeyStateName.CONFIRMED]
            largest = max((one.partition(purpose).left_bits for one in usable), default=0)
            raise StationError(
                f'no key has {bits} bits left to {purpose} with, the largest has {largest}', where=self._path
            )
        return pieces[0]

    def take_named(self, name: str, *, simulated: bool = False) -> KeyPiece:
        """Hand out the bits that the other side sends with, by the name that it was given for them.

        Skipped bits before them are given up.

        Raises
        ------
        StationError
            No such key, not confirmed, bits of the other direction, or a bit of it was handed out before.
        """
        (piece,) = self.withdrawals.take_named([name], simulated=simulated)
        if isinstance(piece, StationError):
            raise piece
        return piece

    def erase(self, session_id: str) -> None:
        """Destroy what is left of a session's key; its entry stays.

        Raises
        ------
        StationError
            There is no such session.
        """
        with self._database.change():
            row = next(iter(self._database.rows('WHERE session_id = ?', session_id)), None)
            if row is None:
                raise StationError(f'there is no key of session {session_id}', where=self._path)
            if row.state != KeyStateName.GIVEN:
                self._database.destroy(row)
                self._database.set_state(row, KeyStateName.ERASED)
            self._database.drop_held_of(row.key_id)
            self._kept.drop(session_id)

    def refills(self) -> list[str]:
        """Slots of pre-shared bits that came with keys which both sides hold, not used yet; oldest first.

        A slot has the name of its key; the second one of a key has `-2` behind it.
        """
        statement = (
            'SELECT refills.key_id FROM refills JOIN keys ON keys.key_id = substr(refills.key_id, 1, 32)'
            f" WHERE keys.state <> '{KeyStateName.PENDING}' ORDER BY keys.created_utc, keys.rowid, refills.key_id"
        )
        return [str(key_id) for (key_id,) in self._database.sql.execute(statement)]

    def refill(self, key_id: str) -> Secret:
        """Pre-shared bits that came with a key.

        Raises
        ------
        StationError
            None are left of this key.
        """
        with self._database.change():
            if key_id not in self.refills():
                raise StationError(f'key {key_id} has no pre-shared bits left', where=self._path)
            return Secret(self._database.unseal_refill(key_id))

    def drop_refills(self, key_ids: Sequence[str]) -> None:
        """Destroy the pre-shared bits that came with these keys, on the disk before it returns."""
        with self._database.change():
            for key_id in key_ids:
                self._database.drop_refill(key_id)

    def is_finished(self, session_id: str) -> bool:
        """True if the session's key is made; no more of it will be disclosed.

        On the satellite's side a pending key does not count: the ground may not hold it and make another one.
        """
        stored = self.entry(session_id)
        return stored is not None and not self._replaceable(stored)

    def disclosed_before(self, session_id: str) -> int:
        """Bits that this side may have disclosed in earlier, broken runs of this session."""
        statement = 'SELECT disclosed_bits FROM attempts WHERE session_id = ?'
        row = self._database.sql.execute(statement, (session_id,)).fetchone()
        return int(row[0]) if row else 0

    def record_leakage(
        self, session_id: str, bits: int, named: Mapping[str, int] = NO_NAMES, before: int | None = None
    ) -> None:
        """Set the bits that runs of this session may have disclosed up to now, on the disk before it returns.

        The named disclosures among them are added to those of earlier calls.

        Raises
        ------
        StationError
            Other bits than `before` are recorded: another run of the session has begun since.
        """
        with self._database.change():
            if before not in (None, self.disclosed_before(session_id)):
                raise another_run(session_id)
            self._database.sql.execute(
                'INSERT INTO attempts VALUES (?, ?) ON CONFLICT DO UPDATE SET disclosed_bits = excluded.disclosed_bits',
                (session_id, bits),
            )
            rows = [(session_id, name, number) for name, number in named.items()]
            self._database.sql.executemany('INSERT OR IGNORE INTO disclosures VALUES (?, ?, ?)', rows)

    def named_disclosures(self, session_id: str) -> dict[str, int]:
        """Bits of each named disclosure in earlier runs of this session."""
        statement = 'SELECT name, bits FROM disclosures WHERE session_id = ?'
        return dict(self._database.sql.execute(statement, (session_id,)).fetchall())

    def public_seed(self, session_id: str, drawn: int, part: int = 1) -> int:
        """Public seed of a part of a session: that of the first run, or else `drawn`, on the disk when it returns."""
        with self._database.note():
            sql, name = self._database.sql, name_of_part(session_id, part)
            sql.execute('INSERT OR IGNORE INTO seeds VALUES (?, ?)', (name, drawn))
            return int(sql.execute('SELECT seed FROM seeds WHERE session_id = ?', (name,)).fetchone()[0])

    def book_pulses(self, booking: Booking) -> None:
        """Book pulses as used, on the disk before it returns.

        Raises
        ------
        StationError
            The session announced something else before, or another session has used some of these pulses.
        """
        with self._database.change():
            sql, session_id = self._database.sql, booking.session_id
            first = sql.execute('SELECT digest FROM announcements WHERE session_id = ?', (booking.name,)).fetchone()
            check_booking(booking, first[0] if first else None, self._other_user(booking))
            if first is None:
                sql.execute('INSERT INTO announcements VALUES (?, ?)', (booking.name, booking.digest))
                rows = [(session_id, booking.source, *span) for span in booking.spans_ns]
                sql.executemany('INSERT INTO bookings VALUES (?, ?, ?, ?)', rows)

    def has_announced(self, session_id: str) -> bool:
        """Whether a run of this session has announced its detections."""
        statement = 'SELECT 1 FROM announcements WHERE session_id = ?'
        return self._database.sql.execute(statement, (session_id,)).fetchone() is not None

    def kept(self, session_id: str) -> KeptPass | None:
        """Kept bits of a session that is to be joined with others, or None."""
        return self._kept.about(session_id)

    def kept_sessions(self) -> list[str]:
        """Sessions whose sifted bits are kept to be joined, oldest first."""
        return self._kept.session_ids()

    def take_kept(self, joined_session: str, session_ids: Sequence[str]) -> list[KeptBits]:
        """Kept bits of these sessions, which from now on are for this joined session and no other.

        They are destroyed once its key is stored and the other side has it.

        Raises
        ------
        StationError
            One is not kept, or was taken for another one.
        """
        return self._kept.take(joined_session, session_ids)

    def drop_old_kept(self, keep_ns: int) -> None:
        """Destroy bits that have been kept for longer than this time."""
        self._kept.drop_old(keep_ns)

    def announced_between(self, first_ns: int, last_ns: int) -> int:
        """Number of sessions that announced pulses whose spans end in (first, last], UTC ns."""
        statement = 'SELECT COUNT(DISTINCT session_id) FROM bookings WHERE end_ns > ? AND end_ns <= ?'
        return int(self._database.sql.execute(statement, (first_ns, last_ns)).fetchone()[0])

    def close(self) -> None:
        """Close the database; any number of times."""
        self._database.close()

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<KeyStore {self._path.name}>'

    def _other_user(self, booking: Booking) -> str | None:
        """Another session that has used pulses of a booking."""
        for start_ns, end_ns in booking.spans_ns:
            found = self._database.sql.execute(
                'SELECT session_id FROM bookings WHERE source = ? AND start_ns < ? AND end_ns > ? AND session_id <> ?',
                (booking.source, end_ns, start_ns, booking.session_id),
            ).fetchone()
            if found:
                return str(found[0])
        return None

    def _replaceable(self, stored: KeyEntry) -> bool:
        return self._side is Side.SATELLITE and stored.state is KeyStateName.PENDING

    def _entry(self, row: KeyRow) -> KeyEntry:
        return entry_of(row, self._side, self._simulated)
