"""The master's side: takes bits for a request, has them held by the slave's KME, then gives them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from qkd_gs.keys.delivery.journal import Event
from qkd_gs.keys.delivery.ledger import Delivery, Ledger, MasterState, SlaveState, pair_name
from qkd_gs.keys.delivery.offers import MAX_OFFERS, Offer, OfferMessage, Peer, PeerFault
from qkd_gs.keys.delivery.refusal import EMPTY_MESSAGE, QUOTA_MESSAGE, Refusal, unavailable
from qkd_gs.keys.delivery.users import Share
from qkd_gs.keys.entries import KeyPiece, KeyStateName, Purpose


@dataclass(frozen=True)
class IssueRequest:
    """A request of a master SAE, checked against limits and registry.

    Attributes
    ----------
    slaves : tuple of str
        The slave SAE, and additional ones.
    number, size : int
        Keys, and bits of each.
    share : Share
        Limits of the pair.
    """

    master: str
    slaves: tuple[str, ...]
    number: int
    size: int
    share: Share

    @property
    def bits(self) -> int:
        """Bits of all keys."""
        return self.number * self.size


@dataclass(frozen=True)
class Issued:
    """Keys for one request, by ID."""

    request: IssueRequest
    pieces: dict[str, KeyPiece]

    def wipe(self) -> None:
        """Overwrite the key material."""
        for piece in self.pieces.values():
            piece.material.wipe()


class Issuer:
    """Takes bits of one store for the master SAEs whose partners use one peer.

    A key passes three points, each durable before the next: its bits are taken and its ID is ``offered``; the peer
    holds it; it is ``given``, and only then returned.  What stays ``offered`` after a crash or a lost answer is
    withdrawn on both sides before anything else is offered.

    Parameters
    ----------
    ledger : Ledger
    name : str
        KME ID of the peer, or `HERE`.
    peer : Peer, optional
        None where both SAEs use this KME.
    lock : callable
        Context in which no other process offers to this peer; it keeps the offers in the order of their bits.
    reserve_bits : int
        Bits that stay in the store.
    simulated : bool
    """

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        peer: Peer | None,
        lock: Callable[[], AbstractContextManager[None]],
        reserve_bits: int,
        simulated: bool,
    ) -> None:
        self._ledger, self._name, self._peer, self._lock = ledger, name, peer, lock
        self._reserve_bits, self._simulated = reserve_bits, simulated
        self._shared: set[str] | None = None  # keys that the peer holds; None: not known

    def issue(self, requests: Sequence[IssueRequest], now: datetime) -> list[Issued | Refusal]:
        """Serve several requests together; each gets all its keys, or none.

        Raises
        ------
        StationError
            The store is an older copy, or cannot be written.
        """
        return [outcome for part in _parts(requests) for outcome in self._issue_part(part, now)]

    def _issue_part(self, requests: Sequence[IssueRequest], now: datetime) -> list[Issued | Refusal]:
        with self._lock():
            try:
                self._recover(now)
                outcomes = self._take(requests, now)
                self._agree([one for one in outcomes if isinstance(one, Issued)], outcomes, now)
            except PeerFault as fault:
                self._shared = None
                return [unavailable(f'KME {self._name} does not answer: {fault}') for _ in requests]
            return outcomes

    def _recover(self, now: datetime) -> None:
        """Withdraw what an earlier process, or an unanswered offer, left open."""
        left = self._ledger.offered(self._name)
        if self._peer is None:
            if left:
                with self._ledger.store.database.change():
                    for key_id in left:
                        self._ledger.store.database.drop_held(key_id)
                    self._ledger.set_slave_state(left, SlaveState.WITHDRAWN)
                    self._withdraw(left, now)
            return
        if left or self._shared is None:
            self._shared = set(self._peer.offer(OfferMessage(offers=[], revoke=left)).keys)
            if left:
                with self._ledger.store.database.note():
                    self._withdraw(left, now)

    def _take(self, requests: Sequence[IssueRequest], now: datetime) -> list[Issued | Refusal]:
        outcomes = self._take_among(requests, now)
        empty = [
            number for number, one in enumerate(outcomes) if isinstance(one, Refusal) and one.message == EMPTY_MESSAGE
        ]
        if empty and self._peer is not None:
            before = self._shared
            self._shared = set(self._peer.offer(OfferMessage(offers=[], revoke=[])).keys)
            if self._shared != before:
                again = self._take_among([requests[number] for number in empty], now)
                for number, outcome in zip(empty, again, strict=True):
                    outcomes[number] = outcome
        return outcomes

    def _take_among(self, requests: Sequence[IssueRequest], now: datetime) -> list[Issued | Refusal]:
        """Take the bits of the requests, durably."""
        ledger = self._ledger
        with ledger.store.database.change():
            refusals = self._refusals(requests, now)
            granted = [one for one, refusal in zip(requests, refusals, strict=True) if refusal is None]
            taken = iter(
                ledger.store.withdrawals.take_groups(
                    [[one.size] * one.number for one in granted],
                    Purpose.SEND,
                    simulated=self._simulated,
                    among=self._shared,
                )
            )
            outcomes: list[Issued | Refusal] = []
            for request, refusal in zip(requests, refusals, strict=True):
                outcome = refusal if refusal is not None else self._booked(request, next(taken), now)
                if isinstance(outcome, Refusal):
                    ledger.journal.write(Event.REFUSED, request.master, request.slaves[0], [], request.bits, now)
                outcomes.append(outcome)
            return outcomes

    def _booked(self, request: IssueRequest, pieces: list[KeyPiece] | None, now: datetime) -> Issued | Refusal:
        if pieces is None:
            return unavailable(EMPTY_MESSAGE)
        issued = Issued(request, {str(uuid.uuid4()): piece for piece in pieces})
        held = SlaveState.HELD if self._peer is None else SlaveState.ELSEWHERE
        slaves = json.dumps(request.slaves)
        for key_id, piece in issued.pieces.items():
            row = key_id, self._name, piece.name, piece.length_bits, request.master, slaves, MasterState.OFFERED, held
            self._ledger.add(Delivery(*row))
            if self._peer is None:
                self._ledger.store.database.hold(key_id, piece.key_id, piece.material.reveal())
        self._ledger.use(pair_name(request.master, request.slaves), request.bits, now)
        return issued

    def _refusals(self, requests: Sequence[IssueRequest], now: datetime) -> list[Refusal | None]:
        """Reasons to refuse requests, by quota and reserve; each as if those before it were granted."""
        left = sum(part for part in self.left_bits().values())
        used: dict[str, int] = {}
        refusals: list[Refusal | None] = []
        for request in requests:
            pair, share = pair_name(request.master, request.slaves), request.share
            before = used.setdefault(pair, self._ledger.used_today(pair, now))
            if share.bits_per_day is not None and before + request.bits > share.bits_per_day:
                refusals.append(unavailable(QUOTA_MESSAGE))
            elif left - request.bits < max(self._reserve_bits, share.reserve_bits):
                refusals.append(unavailable(EMPTY_MESSAGE))
            else:
                used[pair], left = before + request.bits, left - request.bits
                refusals.append(None)
        return refusals

    def left_bits(self) -> dict[str, int]:
        """Bits left to send with, by key."""
        return {
            entry.key_id: entry.send.left_bits
            for entry in self._ledger.store.entries()
            if entry.state is KeyStateName.CONFIRMED and (self._shared is None or entry.key_id in self._shared)
        }

    def _agree(self, issued: Sequence[Issued], outcomes: list[Issued | Refusal], now: datetime) -> None:
        """Have the keys held by the peer, and mark them as given; those that it refuses become refusals."""
        refused: dict[str, str] = {}
        if self._peer is not None and issued:
            offers = [
                Offer(key_id=key_id, name=piece.name, master=one.request.master, slaves=list(one.request.slaves))
                for one in issued
                for key_id, piece in one.pieces.items()
            ]
            try:
                reply = self._peer.offer(OfferMessage(offers=offers, revoke=[]))
            except PeerFault:
                for one in issued:
                    one.wipe()
                raise
            refused, self._shared = reply.refused, set(reply.keys)
        if not issued:
            return
        with self._ledger.store.database.note():
            for number, outcome in enumerate(outcomes):
                if isinstance(outcome, Issued):
                    outcomes[number] = self._settled(outcome, refused, now)

    def _settled(self, issued: Issued, refused: dict[str, str], now: datetime) -> Issued | Refusal:
        request, reason = issued.request, next((refused[one] for one in issued.pieces if one in refused), None)
        if reason is not None:  # what the peer does hold of it stays offered, and is withdrawn with the next offer
            issued.wipe()
            self._ledger.journal.write(Event.REFUSED, request.master, request.slaves[0], [], request.bits, now)
            return unavailable(f'KME {self._name} does not hold the key: {reason}')
        self._ledger.set_master_state(issued.pieces, MasterState.GIVEN)
        self._ledger.journal.write(
            Event.GIVEN, request.master, request.slaves[0], list(issued.pieces), request.bits, now
        )
        return issued

    def _withdraw(self, key_ids: Collection[str], now: datetime) -> None:
        self._ledger.set_master_state(key_ids, MasterState.WITHDRAWN)
        self._ledger.journal.write(Event.WITHDRAWN, '', self._name, list(key_ids), 0, now)


def _parts(requests: Sequence[IssueRequest]) -> list[list[IssueRequest]]:
    """Requests in parts of as many keys as one message offers."""
    parts: list[list[IssueRequest]] = []
    keys = MAX_OFFERS
    for request in requests:
        if keys + request.number > MAX_OFFERS:
            parts.append([])
            keys = 0
        parts[-1].append(request)
        keys += request.number
    return parts
