"""Durable record of a side: pulses announced, bits disclosed, and keys made, by session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Protocol

from qkd_gs.errors import StationError
from qkd_gs.qkd.protocol.kept_bits import KeptBits, KeptPass, not_kept, taken_already
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.timing.spans import PulseSpan

NO_NAMES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Booking:
    """Pulses that a session announces.

    Attributes
    ----------
    session_id : str
    source : str
        Transmitter whose pulses these are; the times of two sources may overlap.
    spans_ns : tuple of (start, end)
        Emission times by the transmitter's clock, UTC ns, [start, end), rounded outwards.
    digest : str
        SHA-256 of the announcement, hexadecimal.
    part : int
        Number of the announcement, from 1, of a session that announces in parts.
    """

    session_id: str
    source: str
    spans_ns: tuple[tuple[int, int], ...]
    digest: str
    part: int = 1

    @property
    def name(self) -> str:
        """Name of the announcement in a record."""
        return name_of_part(self.session_id, self.part)

    @classmethod
    def of(
        cls,
        session_id: str,
        source: str,
        spans: Sequence[PulseSpan],
        epoch_utc_ns: int,
        period_ps: Fraction,
        digest: str,
        part: int = 1,
    ) -> Booking:
        """Booking of pulse spans; pulse n leaves `n * period_ps` after the epoch of the transmitter's clock."""
        spans_ns = (
            (epoch_utc_ns + first * period_ps // 1000, epoch_utc_ns - -(last + 1) * period_ps // 1000)
            for first, last in spans
        )
        return cls(session_id, source, tuple(spans_ns), digest, part)


class AnnouncementDigest:
    """Digest of an announcement: spans of locked time, and all detections with their bases.

    Parameters
    ----------
    head : bytes
        Payload with the spans.
    before : str
        Digest of the part before; empty for the first one.
    """

    def __init__(self, head: bytes, before: str = '') -> None:
        self._digest = sha256(bytes.fromhex(before))
        self.add(head)

    def add(self, payload: bytes) -> None:
        """Append a payload of detections."""
        self._digest.update(len(payload).to_bytes(8, 'big'))
        self._digest.update(payload)

    def hex(self) -> str:
        """The digest, hexadecimal."""
        return self._digest.hexdigest()


class SessionRecord(Protocol):
    """Record that outlives the process (`qkd_gs.keys.store.KeyStore`); each call is durable when it returns."""

    def is_finished(self, session_id: str) -> bool:
        """True if the session's key is made; no more of it will be disclosed."""

    def disclosed_before(self, session_id: str) -> int:
        """Bits that this side may have disclosed in earlier runs."""

    def record_leakage(
        self, session_id: str, bits: int, named: Mapping[str, int] = NO_NAMES, before: int | None = None
    ) -> None:
        """Set the bits that this side may have disclosed so far, and add the named disclosures among them.

        Raises
        ------
        StationError
            Other bits than `before` are recorded: another run of the session has begun since, and does not charge
            what this one would disclose now.
        """

    def named_disclosures(self, session_id: str) -> dict[str, int]:
        """Bits of each named disclosure in earlier runs; all of them are among those of `disclosed_before`."""

    def public_seed(self, session_id: str, drawn: int, part: int = 1) -> int:
        """Public seed of a part of a session: that of the first run, or else `drawn`, which is kept from now on."""

    def book_pulses(self, booking: Booking) -> None:
        """Book pulses as used, before anything of them is said.

        Raises
        ------
        StationError
            The session announced something else before, or another session has used some of these pulses.
        """

    def put(
        self,
        session_id: str,
        key_id: str,
        bits: PackedBits,
        epsilon: float,
        result: dict[str, Any],
        refill: PackedBits | None = None,
        kept: KeptBits | None = None,
    ) -> object:
        """Store the key of a session, and pre-shared bits made with it, as pending: the other side may not have it.

        A session without a key may leave its sifted bits to be joined with others.
        """

    def kept(self, session_id: str) -> KeptPass | None:
        """Record of a session, or None."""

    def take_kept(self, joined_session: str, session_ids: Sequence[str]) -> list[KeptBits]:
        """Kept bits of these sessions, which from now on are for this joined session and no other.

        Raises
        ------
        StationError
            One is not kept, or was taken for another one.
        """

    def drop_old_kept(self, keep_ns: int) -> None:
        """Destroy bits that have been kept for longer than this time."""

    def announced_between(self, first_ns: int, last_ns: int) -> int:
        """Number of sessions that announced pulses whose spans end in (first, last], UTC ns."""

    def confirm(self, session_id: str, key_id: str) -> None:
        """Mark the key of a session as held by both sides; repeated calls change nothing.

        Nothing more of the session will be disclosed, so the names of its disclosures are forgotten.

        Raises
        ------
        StationError
            This side holds no such key.
        """


class RecordInMemory:
    """A record that lasts as long as its process; for tests and benchmarks.

    Attributes
    ----------
    finished : set of str
        Sessions whose key is confirmed.
    pending : dict
        Name and bits of the keys that wait for their confirmation, by session.
    """

    def __init__(self) -> None:
        self.finished: set[str] = set()
        self.pending: dict[str, tuple[str, PackedBits]] = {}
        self._disclosed: dict[str, int] = {}
        self._named: dict[str, dict[str, int]] = {}
        self._seeds: dict[str, int] = {}
        self._bookings: dict[str, Booking] = {}
        self._kept: dict[str, KeptBits] = {}

    def is_finished(self, session_id: str) -> bool:
        """True if the session is in `finished`."""
        return session_id in self.finished

    def disclosed_before(self, session_id: str) -> int:
        """Bits recorded so far."""
        return self._disclosed.get(session_id, 0)

    def record_leakage(
        self, session_id: str, bits: int, named: Mapping[str, int] = NO_NAMES, before: int | None = None
    ) -> None:
        """Set the bits disclosed so far."""
        if before not in (None, self.disclosed_before(session_id)):
            raise another_run(session_id)
        self._disclosed[session_id] = bits
        self._named.setdefault(session_id, {}).update(named)

    def named_disclosures(self, session_id: str) -> dict[str, int]:
        """Bits of each named disclosure."""
        return dict(self._named.get(session_id, {}))

    def public_seed(self, session_id: str, drawn: int, part: int = 1) -> int:
        """The first one of a part of a session."""
        return self._seeds.setdefault(name_of_part(session_id, part), drawn)

    def book_pulses(self, booking: Booking) -> None:
        """Book pulses as used."""
        first = self._bookings.get(booking.name)
        others = [b for b in self._bookings.values() if b.session_id != booking.session_id]
        check_booking(booking, first.digest if first else None, used_by(booking, others))
        self._bookings[booking.name] = booking

    def put(
        self,
        session_id: str,
        key_id: str,
        bits: PackedBits,
        epsilon: float,
        result: dict[str, Any],
        refill: PackedBits | None = None,
        kept: KeptBits | None = None,
    ) -> None:
        """Keep the key as pending."""
        self.pending[session_id] = (key_id, bits)
        if kept is not None:
            self._kept[session_id] = KeptBits(kept.about, kept.bits.copy(), kept.basis.copy())

    def kept(self, session_id: str) -> KeptPass | None:
        """Record of a session."""
        found = self._kept.get(session_id)
        return found.about if found else None

    def take_kept(self, joined_session: str, session_ids: Sequence[str]) -> list[KeptBits]:
        """Copies of the kept bits."""
        taken = []
        for session_id in session_ids:
            if session_id not in self._kept:
                raise not_kept(session_id)
            one = self._kept[session_id]
            if one.about.joined_by not in ('', joined_session):
                raise taken_already(one.about)
            one = replace(one, about=replace(one.about, joined_by=joined_session))
            self._kept[session_id] = one
            taken.append(replace(one, bits=one.bits.copy(), basis=one.basis.copy()))
        return taken

    def drop_old_kept(self, keep_ns: int) -> None:
        """Nothing: this record knows no time."""

    def announced_between(self, first_ns: int, last_ns: int) -> int:
        """Number of sessions."""
        ends = {booking.session_id: booking.spans_ns[-1][1] for booking in self._bookings.values()}
        return sum(first_ns < end <= last_ns for end in ends.values())

    def confirm(self, session_id: str, key_id: str) -> None:
        """Mark the session as finished."""
        if self.pending.get(session_id, ('', None))[0] != key_id:
            raise missing_key(session_id, key_id)
        self.finished.add(session_id)
        self._named.pop(session_id, None)


def name_of_part(session_id: str, part: int) -> str:
    """Name in a record of a part of a session; the first part has that of the session."""
    return session_id if part == 1 else f'{session_id} part {part}'


def used_by(booking: Booking, others: Iterable[Booking]) -> str | None:
    """Session among `others` that has used pulses of this booking, or None."""
    for other in others:
        if other.source == booking.source and any(
            start < end_of_other and start_of_other < end
            for start, end in booking.spans_ns
            for start_of_other, end_of_other in other.spans_ns
        ):
            return other.session_id
    return None


def check_booking(booking: Booking, first_digest: str | None, other_session: str | None) -> None:
    """Refuse a booking that contradicts earlier ones.

    Parameters
    ----------
    booking : Booking
    first_digest : str or None
        Of the session's first announcement.
    other_session : str or None
        Another session that has used some of the pulses.

    Raises
    ------
    StationError
        Another announcement than the first one, or pulses that were used.
    """
    where = f'session {booking.session_id}'
    if first_digest is not None and first_digest != booking.digest:
        raise StationError(
            'announces other detections, bases or locked time than in its first run',
            where=where,
            hint='a repeated run must use the tags, the settings and the manifest of the first one',
        )
    if other_session is not None:
        raise StationError(f'announces pulses that session {other_session} has used', where=where)


def another_run(session_id: str) -> StationError:
    """Error: two runs of a session at a time."""
    return StationError(
        'another run of this session has begun', where=f'session {session_id}', hint='process a session once at a time'
    )


def missing_key(session_id: str, key_id: str) -> StationError:
    """Error: a key is to be confirmed that this side does not hold."""
    return StationError(f'there is no key {key_id} to confirm', where=f'session {session_id}')
