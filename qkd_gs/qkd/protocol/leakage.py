"""Leakage accounting: bits of a session's raw key that were disclosed, remembered across broken runs."""

from __future__ import annotations

from hashlib import sha256

from qkd_gs.errors import StationError
from qkd_gs.qkd.protocol.session_record import SessionRecord

_STEP_BITS = 1 << 15  # recorded in advance, so that a pass needs only a few writes to the disk


class LeakageAccount:
    """Records the disclosures of one run before they happen.

    In a broken run that somebody meddled with, each side may have told him something else.  So a repeated run charges
    what both sides recorded, added.

    A disclosure has a name: the hash of all that this side has said and heard since the report of errors.  One of the
    same name in an earlier run was the same bits, so it is charged once (doc/security.md, "Broken runs").

    Two runs of a session at a time would not charge what the other one discloses.  So a run can record nothing more
    once a later one has recorded something, which charges all that the earlier one had recorded by then.

    Parameters
    ----------
    record : SessionRecord
    session_id : str

    Attributes
    ----------
    own_earlier_bits : int
        Bits that this side disclosed in earlier runs of the session.
    other_earlier_bits : int
        Bits that the other side says it disclosed in them.
    other_repeatable_bits : int
        Those of them that it will not charge if it says them again, by what it says.
    own_repeated_bits : int
        Bits of earlier runs that this side has said again in this run, and nothing else in between.
    other_repeated_bits : int
        The same of the other side, by what it says.

    Raises
    ------
    StationError
        The session has its key already.
    """

    def __init__(self, record: SessionRecord, session_id: str):
        if record.is_finished(session_id):
            raise StationError(
                'has been made into a key already', where=f'session {session_id}', hint='the key store has the result'
            )
        self._record, self._session_id = record, session_id
        self._earlier = record.named_disclosures(session_id)
        self.own_earlier_bits = record.disclosed_before(session_id)
        self.other_earlier_bits = self.other_repeatable_bits = 0
        self.own_repeated_bits = self.other_repeated_bits = 0
        self._recorded = self.own_earlier_bits
        self._disclosed = 0
        self._said = sha256()
        self._named: dict[str, int] = {}

    @property
    def broken_before(self) -> bool:
        """True if either side disclosed bits in earlier runs."""
        return self.own_earlier_bits + self.other_earlier_bits > 0

    @property
    def earlier_bits(self) -> int:
        """Bits that both sides disclosed in earlier runs, without those that were said again in this one."""
        earlier = self.own_earlier_bits + self.other_earlier_bits
        return earlier - self.own_repeated_bits - self.other_repeated_bits

    @property
    def least_earlier_bits(self) -> int:
        """Least value of `earlier_bits`, if this run says again all that it can."""
        return self.own_earlier_bits + self.other_earlier_bits - self.repeatable_bits - self.other_repeatable_bits

    @property
    def repeatable_bits(self) -> int:
        """Earlier bits of this side that have a name."""
        return sum(self._earlier.values())

    def begin(self, report: bytes) -> None:
        """Begin the names with the message that begins reconciliation: counts of errors, public seed."""
        self._hash(report)

    def announce(self, bits: int, *said: bytes) -> None:
        """Record `bits`, the total that this run will have disclosed once the next message is sent.

        Parameters
        ----------
        bits : int
        *said : bytes
            Payloads of all messages sent and received since the last call, and of the next one.
        """
        name = self._hash(*said)
        self._add(bits, name)

    def announce_hashes(self, bits: int) -> None:
        """Record the total with bits that have no name: digests, which depend on a seed that is new in each run."""
        self._add(bits, None)

    def settle(self) -> None:
        """Record the exact number of bits at the end of the run, without the margin."""
        unwritten = self._named or self._recorded != self._total
        if unwritten and self._record.disclosed_before(self._session_id) == self._recorded:  # no other run has begun
            self._write(self._total)

    @property
    def _total(self) -> int:
        return self.own_earlier_bits + self._disclosed - self.own_repeated_bits

    def _hash(self, *parts: bytes) -> str:
        for part in parts:
            self._said.update(len(part).to_bytes(8, 'big') + part)
        return self._said.hexdigest()

    def _add(self, bits: int, name: str | None) -> None:
        more, self._disclosed = bits - self._disclosed, bits
        if name in self._earlier:
            self.own_repeated_bits += min(more, self._earlier[name])
        elif name is not None:
            self._named[name] = more
        if self._total > self._recorded:
            self._write(self._total + _STEP_BITS)

    def _write(self, bits: int) -> None:
        self._record.record_leakage(self._session_id, bits, self._named, self._recorded)
        self._recorded, self._named = bits, {}
