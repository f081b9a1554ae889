"""Leakage accounting: bits of a session's raw key that were disclosed, remembered across broken runs."""

from __future__ import annotations

from qkd_gs.errors import StationError
from qkd_gs.qkd.protocol.session_record import SessionRecord

_STEP_BITS = 1 << 15  # recorded in advance, so that a pass needs only a few writes to the disk


class LeakageAccount:
    """Records the disclosures of one run before they happen.

    In a broken run that somebody meddled with, each side may have told him something else.  So a repeated run charges
    what both sides recorded, added.

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
        self.own_earlier_bits = record.disclosed_before(session_id)
        self.other_earlier_bits = 0
        self._recorded = self.own_earlier_bits
        self._disclosed = 0

    @property
    def earlier_bits(self) -> int:
        """Bits that both sides disclosed in earlier runs."""
        return self.own_earlier_bits + self.other_earlier_bits

    def announce(self, bits: int) -> None:
        """Record `bits`, the total that this run will have disclosed once the next message is sent."""
        self._disclosed = bits
        if self.own_earlier_bits + bits > self._recorded:
            self._write(self.own_earlier_bits + bits + _STEP_BITS)

    def settle(self) -> None:
        """Record the exact number of bits at the end of the run, without the margin."""
        if self._disclosed:
            self._write(self.own_earlier_bits + self._disclosed)

    def _write(self, bits: int) -> None:
        self._recorded = bits
        self._record.record_leakage(self._session_id, bits)
