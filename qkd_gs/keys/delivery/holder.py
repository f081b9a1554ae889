"""The slave's side: holds keys that another KME has offered, until the slave SAEs have fetched them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.journal import Event
from qkd_gs.keys.delivery.ledger import HERE, Delivery, Ledger, MasterState, SlaveState
from qkd_gs.keys.delivery.offers import Offer, OfferMessage, OfferReply
from qkd_gs.keys.delivery.refusal import NOT_FOUND_MESSAGE, Refusal, bad_request, unauthorized
from qkd_gs.keys.entries import KeyPiece, KeyStateName, parse_piece_name
from qkd_gs.keys.secret import Secret


@dataclass(frozen=True)
class FetchRequest:
    """A request of a slave SAE for keys by their IDs."""

    slave: str
    master: str
    key_ids: tuple[str, ...]


@dataclass(frozen=True)
class Fetched:
    """Keys for one request, by ID."""

    request: FetchRequest
    keys: dict[str, Secret]

    def wipe(self) -> None:
        """Overwrite the key material."""
        for secret in self.keys.values():
            secret.wipe()


class Holder:
    """Holds keys of one store.

    Parameters
    ----------
    ledger : Ledger
    simulated : bool
    repeat_s : float
        Time in which a slave SAE may fetch a key again; 0: never.
    """

    def __init__(self, ledger: Ledger, simulated: bool, repeat_s: float = 0.0) -> None:
        self._ledger, self._simulated, self._repeat_s = ledger, simulated, repeat_s

    def hold(self, peer: str, message: OfferMessage, entitled: Callable[[Offer], bool], now: datetime) -> OfferReply:
        """Hold what a peer offers, and destroy what it revokes, before this returns.

        Parameters
        ----------
        peer : str
            KME ID of the one that offers.
        message : OfferMessage
        entitled : callable
            True if the SAEs of an offer may share keys, by the registry of this side.
        now : datetime
        """
        if not message.offers and not message.revoke:
            return OfferReply(refused={}, keys=self._shared())
        ledger, refused = self._ledger, {}
        with ledger.store.database.change():
            self._revoke(peer, message.revoke, now)
            fresh: list[Offer] = []
            for offer in message.offers:
                known = ledger.find(offer.key_id)
                if known is not None:
                    if not _is_same(known, offer, peer):
                        refused[offer.key_id] = 'it was withdrawn, or is another key'
                elif entitled(offer):
                    fresh.append(offer)
                else:
                    refused[offer.key_id] = 'its SAEs are not registered as a pair'
            pieces = ledger.store.withdrawals.take_named([one.name for one in fresh], simulated=self._simulated)
            held = []
            for offer, piece in zip(fresh, pieces, strict=True):
                if isinstance(piece, StationError):
                    refused[offer.key_id] = piece.what
                else:
                    self._keep(peer, offer, piece)
                    held.append(offer)
            if held:
                bits = sum(parse_piece_name(one.name)[2] for one in held)
                ledger.journal.write(Event.HELD, '', peer, [one.key_id for one in held], bits, now)
        return OfferReply(refused=refused, keys=self._shared())

    def fetch(self, requests: Sequence[FetchRequest], now: datetime) -> list[Fetched | Refusal]:
        """Serve several requests together; each gets all its keys, or none, and each key once.

        Raises
        ------
        StationError
            The store is an older copy, or cannot be written.
        """
        with self._ledger.store.database.change():
            return [self._fetch_one(request, now) for request in requests]

    def forget_fetched(self, now: datetime) -> None:
        """Destroy keys that all their slave SAEs have fetched and that none may fetch again."""
        done = [one for one in self._ledger.held() if self._is_done(one, now)]
        if done:
            with self._ledger.store.database.change():
                for delivery in done:
                    self._destroy(delivery.key_id, SlaveState.FETCHED)

    def _shared(self) -> list[str]:
        entries = self._ledger.store.entries()
        return [one.key_id for one in entries if one.state is KeyStateName.CONFIRMED and one.receive.left_bits]

    def _keep(self, peer: str, offer: Offer, piece: KeyPiece) -> None:
        row = offer.key_id, peer, piece.name, piece.length_bits, offer.master, json.dumps(offer.slaves)
        self._ledger.add(Delivery(*row, MasterState.ELSEWHERE, SlaveState.HELD))
        with piece.material as material:
            self._ledger.store.database.hold(offer.key_id, piece.key_id, material.reveal())

    def _revoke(self, peer: str, key_ids: Sequence[str], now: datetime) -> None:
        for key_id in key_ids:
            known = self._ledger.find(key_id)
            if known is None:  # the offer may still be on its way
                self._ledger.add(Delivery(key_id, peer, '', 0, '', '[]', MasterState.ELSEWHERE, SlaveState.WITHDRAWN))
            elif known.peer == peer and known.master_state == MasterState.ELSEWHERE:
                self._destroy(key_id, SlaveState.WITHDRAWN)
        if key_ids:
            self._ledger.journal.write(Event.WITHDRAWN, '', peer, key_ids, 0, now)

    def _fetch_one(self, request: FetchRequest, now: datetime) -> Fetched | Refusal:
        found = [self._ledger.find(key_id) for key_id in request.key_ids]
        refusal = self._refusal(request, found, now)
        repeated = False
        fetched: dict[str, Secret] = {}
        if refusal is None:
            for delivery in found:
                assert delivery is not None
                fetched[delivery.key_id] = Secret(self._ledger.store.database.unseal_held(delivery.key_id))
                repeated |= request.slave in self._ledger.receipts(delivery.key_id)
                self._ledger.add_receipt(delivery.key_id, request.slave, now)
                if self._is_done(delivery, now):
                    self._destroy(delivery.key_id, SlaveState.FETCHED)
        event = Event.NOT_FETCHED if refusal else Event.REPEATED if repeated else Event.FETCHED
        bits = 8 * sum(map(len, fetched.values()))
        self._ledger.journal.write(event, request.slave, request.master, list(request.key_ids), bits, now)
        return refusal or Fetched(request, fetched)

    def _refusal(self, request: FetchRequest, found: Sequence[Delivery | None], now: datetime) -> Refusal | None:
        # clause 5.4: 401 where the caller was not named for one of the keys
        if any(one is not None and request.slave not in one.slave_ids and one.slaves != '[]' for one in found):
            return unauthorized()
        if all(one is not None and self._may_fetch(one, request, now) for one in found):
            return None
        return bad_request(NOT_FOUND_MESSAGE)

    def _may_fetch(self, delivery: Delivery, request: FetchRequest, now: datetime) -> bool:
        given = delivery.peer != HERE or delivery.master_state == MasterState.GIVEN
        at_s = self._ledger.receipts(delivery.key_id).get(request.slave)
        return (
            delivery.master == request.master
            and delivery.slave_state == SlaveState.HELD
            and given
            and self._ledger.store.database.holds(delivery.key_id)  # not if its session was erased
            and (at_s is None or self._in_time(at_s, now))
        )

    def _in_time(self, at_s: float, now: datetime) -> bool:
        """True if a key that was fetched at `at_s` may be fetched again; not after a clock was set back."""
        return self._repeat_s > 0 and 0 <= now.timestamp() - at_s <= self._repeat_s

    def _is_done(self, delivery: Delivery, now: datetime) -> bool:
        receipts = self._ledger.receipts(delivery.key_id)
        return all(one in receipts and not self._in_time(receipts[one], now) for one in delivery.slave_ids)

    def _destroy(self, key_id: str, state: SlaveState) -> None:
        self._ledger.store.database.drop_held(key_id)
        self._ledger.set_slave_state([key_id], state)


def _is_same(known: Delivery, offer: Offer, peer: str) -> bool:
    """True if an offer has arrived before and was not withdrawn."""
    told = known.peer, known.name, known.master, known.slave_ids
    return told == (peer, offer.name, offer.master, offer.slaves) and known.slave_state != SlaveState.WITHDRAWN
