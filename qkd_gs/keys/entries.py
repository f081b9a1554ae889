"""Entries of the key store, and the pieces that it hands out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from qkd_gs.errors import StationError
from qkd_gs.keys.secret import Secret

_NAME = re.compile(r'([0-9A-Za-z_-]{1,64})-([0-9]{1,12})-([0-9]{1,12})')


class Side(StrEnum):
    """End of the link that a store belongs to."""

    GROUND = 'ground'
    SATELLITE = 'satellite'


class KeyStateName(StrEnum):
    """State of a stored key.

    ``PENDING``: the other side may not hold it; not handed out.  ``CONFIRMED``: both sides hold it.  ``GIVEN``: all its
    bits were handed out.  ``ERASED``: destroyed by the operator before that.  Of the last two nothing is left but the
    entry.
    """

    PENDING = 'pending'
    CONFIRMED = 'confirmed'
    GIVEN = 'given'
    ERASED = 'erased'


class KeyRow(NamedTuple):
    """A key in the database, without its bits."""

    key_id: str
    session_id: str
    created_utc: str
    length_bits: int
    epsilon: float
    result: str  # JSON
    state: str
    sent_bits: int
    received_bits: int


def key_head(row: KeyRow, simulated: bool) -> bytes:
    """Associated data of the encryption of a key."""
    return json.dumps([row.key_id, row.session_id, row.length_bits, row.epsilon, simulated]).encode()


class Purpose(StrEnum):
    """Purpose of handed-out bits, seen from the own side."""

    SEND = 'send'
    RECEIVE = 'receive'


@dataclass(frozen=True)
class Partition:
    """Part of a key for one direction: bits that one side sends with, and the other receives with.

    Both sides compute the same partitions from the length alone, so the next bits to send with are never the same at
    both ends.

    Attributes
    ----------
    start, end : int
        Bits of the key, [start, end).
    used : int
        Bits before this one were handed out or skipped, or lie before `start`.
    """

    start: int
    end: int
    used: int

    @property
    def next_bit(self) -> int:
        """First bit that was not handed out."""
        return max(self.start, self.used)

    @property
    def left_bits(self) -> int:
        """Bits not handed out yet."""
        return max(0, self.end - self.next_bit)


def border(length_bits: int) -> int:
    """First bit of the satellite's sending partition; the ground's lies before it."""
    return length_bits // 16 * 8  # of whole bytes


@dataclass(frozen=True)
class KeyEntry:
    """Public data of a stored key."""

    key_id: str
    session_id: str
    created_utc: str
    length_bits: int
    state: KeyStateName
    send: Partition
    receive: Partition
    epsilon: float
    simulated: bool
    result_json: str

    @property
    def result(self) -> dict[str, Any]:
        """Figures of the session as they were when it was processed."""
        found: dict[str, Any] = json.loads(self.result_json)
        return found

    @property
    def left_bits(self) -> int:
        """Bits not handed out yet, in both directions."""
        return self.send.left_bits + self.receive.left_bits

    def partition(self, purpose: Purpose) -> Partition:
        """Partition of a direction."""
        return self.send if purpose is Purpose.SEND else self.receive


def entry_of(row: KeyRow, side: Side, simulated: bool) -> KeyEntry:
    """Public data of a key in the database of a side."""
    middle, state = border(row.length_bits), KeyStateName(row.state)
    ground, satellite = (0, middle), (middle, row.length_bits)
    sending, receiving = (ground, satellite) if side is Side.GROUND else (satellite, ground)
    gone = state in (KeyStateName.GIVEN, KeyStateName.ERASED)
    return KeyEntry(
        key_id=row.key_id,
        session_id=row.session_id,
        created_utc=row.created_utc,
        length_bits=row.length_bits,
        state=state,
        send=Partition(*sending, sending[1] if gone else row.sent_bits),
        receive=Partition(*receiving, receiving[1] if gone else row.received_bits),
        epsilon=row.epsilon,
        simulated=simulated,
        result_json=row.result,
    )


@dataclass(frozen=True)
class KeyPiece:
    """Key material handed out; the other side finds the same bits under the same name."""

    key_id: str
    first_bit: int
    length_bits: int
    simulated: bool
    material: Secret  # packed, first bit in the highest place; the last byte padded with zeros

    @property
    def name(self) -> str:
        """Name that finds the same bits on the other side; not secret."""
        return f'{self.key_id}-{self.first_bit}-{self.length_bits}'


def parse_piece_name(name: str) -> tuple[str, int, int]:
    """Key, first bit and length from `KeyPiece.name`.

    Raises
    ------
    StationError
        It is no such name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise StationError(
            f'{name[:100]!r} does not name a piece of a key', hint='give the ID that the other side printed'
        )
    return found[1], int(found[2]), int(found[3])
