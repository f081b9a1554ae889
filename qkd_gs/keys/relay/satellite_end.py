"""The satellite's end of a relay: takes bits of both keys and announces their sum."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyPiece, KeyStateName
from qkd_gs.keys.relay.announcement import (
    TAG_SECRET_BITS,
    VERSION,
    Announcement,
    RelayEnd,
    canonical,
    forgery_epsilon,
    tag_of,
)
from qkd_gs.keys.relay.ledger import RelayLedger, RelayState
from qkd_gs.keys.store import KeyStore


def relayable_bits(stores: Mapping[str, KeyStore]) -> int:
    """Longest key that the satellite can relay now between two stations, in whole bytes."""
    return max(0, min(map(_largest, stores.values())) - TAG_SECRET_BITS) // 8 * 8


def announce(
    stores: Mapping[str, KeyStore],
    bits: int | None,
    simulated: bool,
    now: datetime,
    publish: Callable[[Announcement], None],
) -> Announcement:
    """Take bits of the keys with two stations, announce their sum, and keep nothing of them.

    Bits are booked as used on the disk before anything is announced: a crash loses them, and they are never announced
    twice.

    Parameters
    ----------
    stores : mapping of str to KeyStore
        The satellite's keys with each of two stations, by the name of the station.
    bits : int, optional
        Length of the relayed key, a multiple of 8; as long as possible if not given.
    simulated : bool
    now : datetime
    publish : callable
        Writes the announcement, durably.

    Raises
    ------
    StationError
        Not two stations, or too few bits are left.
    """
    if len(stores) != 2:
        raise StationError(f'a relay joins two stations, not {len(stores)}')
    most = relayable_bits(stores)
    length = most if bits is None else bits
    if length % 8 or not 0 < length <= most:
        raise StationError(f'{length} bits cannot be relayed, {most} are the most', hint='whole bytes')
    relay_id, (first, second) = secrets.token_hex(16), sorted(stores)
    pieces = {
        station: _taken(stores[station], relay_id, other, length, simulated, now)
        for station, other in ((first, second), (second, first))
    }
    parts = {station: piece.material.reveal() for station, piece in pieces.items()}
    epsilon = {f'key with {one}': _epsilon(stores[one], pieces[one]) for one in (first, second)}
    content = {
        'version': VERSION,
        'relay_id': relay_id,
        'made_utc': now.astimezone(UTC).isoformat(timespec='seconds'),
        'simulated': simulated,
        'bits': length,
        'ends': [RelayEnd(station=one, piece=pieces[one].name).model_dump() for one in (first, second)],
        'epsilon': epsilon,
        'sum': base64.b64encode(xor(parts[first][: length // 8], parts[second][: length // 8])).decode(),
    }
    epsilon['authentication'] = 2 * forgery_epsilon(len(canonical(content)) + 64)
    tags = {one: tag_of(part[length // 8 :], canonical(content)) for one, part in parts.items()}
    for piece in pieces.values():
        piece.material.wipe()
    announcement = Announcement.model_validate({**content, 'tags': tags})
    publish(announcement)
    for store in stores.values():
        ledger = RelayLedger(store)
        with store.database.note():
            ledger.set_state(relay_id, RelayState.ANNOUNCED)
    return announcement


def xor(one: bytes, other: bytes) -> bytes:
    """Exclusive or of two strings of the same length."""
    return (int.from_bytes(one, 'big') ^ int.from_bytes(other, 'big')).to_bytes(len(one), 'big')


def _taken(store: KeyStore, relay_id: str, other: str, bits: int, simulated: bool, now: datetime) -> KeyPiece:
    ledger = RelayLedger(store)
    with store.database.change():
        piece = store.take(bits + TAG_SECRET_BITS, simulated=simulated)
        ledger.add(relay_id, other, piece.name, bits, RelayState.TAKEN, now)
        return piece


def _largest(store: KeyStore) -> int:
    confirmed = [entry for entry in store.entries() if entry.state is KeyStateName.CONFIRMED]
    return max((entry.send.left_bits for entry in confirmed), default=0)


def _epsilon(store: KeyStore, piece: KeyPiece) -> float:
    return next(entry.epsilon for entry in store.entries() if entry.key_id == piece.key_id)
