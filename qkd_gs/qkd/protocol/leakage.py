"""Leakage accounting: bits of a session's raw key that were disclosed, remembered across broken runs."""

from __future__ import annotations

from typing import Protocol

from qkd_gs.errors import StationError

_STEP_BITS = 1 << 15  # recorded in advance, so that a pass needs only a few writes to the disk


class LeakageRecord(Protocol):
    """Durable record of the disclosed bits by session (`qkd_gs.keys.store.KeyStore`)."""

    def is_finished(self, session_id: str) -> bool:
        """True if the session's key is stored; no more of it will be disclosed."""

    def disclosed_before(self, session_id: str) -> int:
        """Bits that earlier runs may have disclosed."""

    def record_leakage(self, session_id: str, bits: int) -> None:
        """Set the bits that may have been disclosed so far; durable when it returns."""


class LeakageInMemory:
    """A record that lasts as long as its process; for simulated satellites and tests."""

    def __init__(self) -> None:
        self.finished: set[str] = set()
        self._disclosed: dict[str, int] = {}

    def is_finished(self, session_id: str) -> bool:
        """True if the session is in `finished`."""
        return session_id in self.finished

    def disclosed_before(self, session_id: str) -> int:
        """Bits recorded so far."""
        return self._disclosed.get(session_id, 0)

    def record_leakage(self, session_id: str, bits: int) -> None:
        """Set the bits disclosed so far."""
        self._disclosed[session_id] = bits


class LeakageAccount:
    """Records the disclosures of one run before they happen.

    Parameters
    ----------
    record : LeakageRecord
    session_id : str

    Attributes
    ----------
    earlier_bits : int
        Bits that earlier runs of the session disclosed.

    Raises
    ------
    StationError
        The session has its key already.
    """

    def __init__(self, record: LeakageRecord, session_id: str):
        if record.is_finished(session_id):
            raise StationError(
                'has been made into a key already', where=f'session {session_id}', hint='the key store has the result'
            )
        self._record, self._session_id = record, session_id
        self.earlier_bits = record.disclosed_before(session_id)
        self._recorded = self.earlier_bits
        self._disclosed = 0

    def raise_earlier(self, bits: int) -> None:
        """Adopt the other side's number of bits disclosed earlier, if it is larger."""
        self.earlier_bits = max(self.earlier_bits, bits)

    def announce(self, bits: int) -> None:
        """Record `bits`, the total that this run will have disclosed once the next message is sent."""
        self._disclosed = bits
        if self.earlier_bits + bits > self._recorded:
            self._write(self.earlier_bits + bits + _STEP_BITS)

    def settle(self) -> None:
        """Record the exact number of bits at the end of the run, without the margin."""
        if self._disclosed:
            self._write(self.earlier_bits + self._disclosed)

    def _write(self, bits: int) -> None:
        self._recorded = bits
        self._record.record_leakage(self._session_id, bits)
