"""What was disclosed of a session's raw key, remembered beyond a broken run."""

from __future__ import annotations

from typing import Protocol

from qkd_gs.errors import StationError

_STEP_BITS = 1 << 15  # booked ahead, so that a pass costs a handful of writes to the disk


class DisclosureLedger(Protocol):
    """Where disclosures are remembered (`qkd_gs.keys.store.KeyStore`)."""

    def is_finished(self, session_id: str) -> bool:
        """Whether the session's key was stored; then nothing more of it is ever disclosed."""

    def disclosed_before(self, session_id: str) -> int:
        """Bits that earlier attempts may have disclosed."""

    def book_disclosure(self, session_id: str, bits: int) -> None:
        """Set the bits that may have been disclosed up to now; durable when it returns."""


class MemoryLedger:
    """A ledger that lasts as long as its process: for the twin, whose photons do not outlive it either."""

    def __init__(self) -> None:
        self.finished: set[str] = set()
        self._disclosed: dict[str, int] = {}

    def is_finished(self, session_id: str) -> bool:
        """Whether `finished` has it."""
        return session_id in self.finished

    def disclosed_before(self, session_id: str) -> int:
        """Bits booked."""
        return self._disclosed.get(session_id, 0)

    def book_disclosure(self, session_id: str, bits: int) -> None:
        """Remember."""
        self._disclosed[session_id] = bits


class Booking:
    """Books the disclosures of one attempt before they happen.

    Parameters
    ----------
    ledger : DisclosureLedger
        Where to.
    session_id : str
        Of what.

    Raises
    ------
    StationError
        The session is finished.
    """

    def __init__(self, ledger: DisclosureLedger, session_id: str):
        if ledger.is_finished(session_id):
            raise StationError(
                'has been made into a key already', where=f'session {session_id}', hint='the key store has the result'
            )
        self._ledger, self._session_id = ledger, session_id
        self.before = ledger.disclosed_before(session_id)
        self._booked = self.before
        self._disclosed = 0

    def at_least(self, before: int) -> None:
        """Take over what the other side remembers of earlier attempts, if it is more."""
        self.before = max(self.before, before)

    def ahead(self, bits: int) -> None:
        """Book `bits`, which this attempt will have disclosed once the next message is out."""
        self._disclosed = bits
        if self.before + bits > self._booked:
            self._book(self.before + bits + _STEP_BITS)

    def settle(self) -> None:
        """Book what this attempt disclosed, now that it has ended, without the margin."""
        if self._disclosed:
            self._book(self.before + self._disclosed)

    def _book(self, bits: int) -> None:
        self._booked = bits
        self._ledger.book_disclosure(self._session_id, bits)
