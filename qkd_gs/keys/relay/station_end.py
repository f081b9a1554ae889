"""A station's end of a relay: turns its key with the satellite into the key that it shares with the other station."""

from __future__ import annotations

import hmac
from datetime import datetime

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import KeyEntry, Side, parse_piece_name
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.relay.announcement import ATTEMPTS, TAG_SECRET_BITS, Announcement, RelayEnd, is_tag, tag_of
from qkd_gs.keys.relay.ledger import RelayLedger, RelayState
from qkd_gs.keys.relay.satellite_end import xor
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.sifting.packed_bits import PackedBits


def accept(folder: KeyFolder, announcement: Announcement, now: datetime) -> KeyEntry:
    """Store the relayed key, and destroy the bits that it was made of.

    The key waits as pending in the store of relayed keys until the bits are booked as used in the store that they came
    from: a crash in between is mended by accepting the announcement again, and no bit is in both.

    Parameters
    ----------
    folder : KeyFolder
        Of the station.
    announcement : Announcement
        Not authenticated yet.
    now : datetime

    Returns
    -------
    KeyEntry
        The key, in the store `KeyFolder.relayed_store`.

    Raises
    ------
    StationError
        For other stations, a wrong tag, or its bits are given already.
    """
    simulated = announcement.simulated
    with folder.store(simulated, Side.GROUND) as store:
        mine, other = announcement.end_of({entry.key_id for entry in store.entries()})
        with folder.relayed_store(mine.station, other.station, simulated) as relayed:
            ledger, relay_id = RelayLedger(store), announcement.relay_id
            if ledger.find(relay_id) is None:
                _join(store, ledger, relayed, announcement, mine, other, now)
            relayed.confirm(relay_id, relay_id)
            entry = relayed.entry(relay_id)
            assert entry is not None
            return entry


def _join(
    store: KeyStore,
    ledger: RelayLedger,
    relayed: KeyStore,
    announcement: Announcement,
    mine: RelayEnd,
    other: RelayEnd,
    now: datetime,
) -> None:
    key_id, _, _ = parse_piece_name(mine.piece)
    with store.database.note():
        if ledger.count_attempt(key_id) > ATTEMPTS:
            raise StationError(
                f'{ATTEMPTS} announcements with a wrong tag were tried with key {key_id}',
                hint='somebody forges them; this key is not used for relays any more',
            )
    with store.database.change():
        piece = store.take_named(mine.piece, simulated=announcement.simulated)
        if piece.length_bits != announcement.bits + TAG_SECRET_BITS:
            raise StationError('the announcement names other bits than it relays')
        with piece.material as material:
            own, secret = _divided(material.reveal(), announcement.bits)
        tag = announcement.tags.get(mine.station, '')
        if not is_tag(tag) or not hmac.compare_digest(tag_of(secret, announcement.tagged_bytes()), tag.lower()):
            raise StationError('the tag of the announcement is wrong: it is not from the satellite, or was changed')
        key = own if mine is announcement.ends[0] else xor(own, announcement.sum_bytes())
        result = {'relayed_with': other.station, 'epsilon_ledger': announcement.epsilon}
        bits = PackedBits.of(np.unpackbits(np.frombuffer(key, np.uint8)))
        total = sum(announcement.epsilon.values())
        relayed.put(announcement.relay_id, announcement.relay_id, bits, total, result)
        ledger.add(announcement.relay_id, other.station, mine.piece, announcement.bits, RelayState.ACCEPTED, now)
        ledger.reset_attempts(key_id)


def _divided(material: bytes, bits: int) -> tuple[bytes, bytes]:
    """Bits that are relayed, and bits of the tag."""
    return material[: bits // 8], material[bits // 8 :]
