"""The key management entity of a station: from a request to the store that serves it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.batches import BatchWorker
from qkd_gs.keys.delivery.formats import DIRECT, RELAYED
from qkd_gs.keys.delivery.holder import Fetched, FetchRequest, Holder
from qkd_gs.keys.delivery.issuer import Issued, Issuer, IssueRequest
from qkd_gs.keys.delivery.ledger import HERE, Ledger
from qkd_gs.keys.delivery.offers import Offer, OfferMessage, OfferReply, Peer
from qkd_gs.keys.delivery.place import DeliveryPlace
from qkd_gs.keys.delivery.refusal import Refusal, bad_request
from qkd_gs.keys.delivery.settings import DeliverySettings, Source
from qkd_gs.keys.delivery.users import Share
from qkd_gs.keys.entries import Side
from qkd_gs.keys.store import KeyStore

IssueWorker = BatchWorker[IssueRequest | None, Issued | dict[str, int]]
HoldWorker = BatchWorker['FetchRequest | PeerOffer | None', 'Fetched | OfferReply | None']


@dataclass(frozen=True)
class PeerOffer:
    """A message of another KME."""

    peer: str
    message: OfferMessage


class DeliveryService:
    """The stores of a key folder, each with a thread that gives and one that holds for every peer.

    Parameters
    ----------
    place : DeliveryPlace
    settings : DeliverySettings
    connect : callable
        Returns the KME of a name.
    now : callable
        UTC.
    """

    def __init__(
        self,
        place: DeliveryPlace,
        settings: DeliverySettings,
        connect: Callable[[str], Peer],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.place, self.settings, self.simulated = place, settings, place.simulated
        self.users = place.users
        self._connect, self._now = connect, now
        self._issuers = {name: self._issue_worker(name) for name in (HERE, *settings.peers)}
        stores = {self._store_name(name): name for name in (HERE, *settings.peers)}
        self._holders = {store: self._hold_worker(name) for store, name in stores.items()}

    def partner(self, caller: str, other: str) -> tuple[Share, str]:
        """Rights of an SAE with another one, and the KME of that.

        Raises
        ------
        Refusal
            They are not registered as a pair.
        """
        share = self.users.share(caller, other)
        if share is None:
            raise bad_request('no keys are shared with this SAE')
        if share.kme is not None and share.kme != self.settings.kme_id:
            if share.kme not in self.settings.peers:
                raise bad_request('the KME of this SAE is not known')
            return share, share.kme
        peers = list(self.settings.peers)
        if share.kme is None and other not in self.users.all() and len(peers) == 1:
            return share, peers[0]
        return share, HERE

    def route(self, peer: str) -> str:
        """Route of the keys for a peer, as the extension names it."""
        return RELAYED if self._source(peer) is Source.RELAYED else DIRECT

    def left_bits(self, peer: str) -> Future[Issued | dict[str, int]]:
        """Bits that are left to give, by shared key."""
        return self._issuers[peer].submit(None)

    def issue(self, peer: str, request: IssueRequest) -> Future[Issued | dict[str, int]]:
        """Keys for a master SAE."""
        return self._issuers[peer].submit(request)

    def fetch(self, peer: str, request: FetchRequest) -> Future[Fetched | OfferReply | None]:
        """Keys for a slave SAE."""
        return self._holders[self._store_name(peer)].submit(request)

    def hold(self, peer: str, message: OfferMessage) -> Future[Fetched | OfferReply | None]:
        """Hold what another KME offers."""
        return self._holders[self._store_name(peer)].submit(PeerOffer(peer, message))

    def forget_fetched(self, peer: str) -> Future[Fetched | OfferReply | None]:
        """Destroy what nobody may fetch again."""
        return self._holders[self._store_name(peer)].submit(None)

    def check_stores(self) -> None:
        """Open each store once.

        Raises
        ------
        StationError
            One cannot be used.
        """
        for peer in (HERE, *self.settings.peers):
            self._open(peer).close()

    def close(self) -> None:
        """Serve what waits, then end the threads."""
        for issuer in self._issuers.values():
            issuer.close()
        for holder in self._holders.values():
            holder.close()

    def _source(self, peer: str) -> Source:
        return self.settings.peers[peer].keys if peer else Source.LINK

    def _store_name(self, peer: str) -> str:
        return peer if self._source(peer) is Source.RELAYED else HERE

    def _open(self, peer: str) -> KeyStore:
        keys = self.place.keys
        if self._source(peer) is Source.RELAYED:
            return keys.relayed_store(self.settings.kme_id, peer, self.simulated)
        sides = keys.sides(self.simulated)
        return keys.store(self.simulated, sides[0] if sides else Side.GROUND)

    def _issue_worker(self, peer: str) -> IssueWorker:
        def start() -> Callable[[Sequence[IssueRequest | None]], list[Issued | dict[str, int] | Refusal]]:
            connected = self._connect(peer) if peer else None
            lock = _file_lock(self.place.path / f'offers-{peer or "here"}.lock')
            ledger = Ledger(self._open(peer))
            issuer = Issuer(ledger, peer, connected, lock, self.settings.reserve_bits, self.simulated)

            def handle(requests: Sequence[IssueRequest | None]) -> list[Issued | dict[str, int] | Refusal]:
                asked = [one for one in requests if one is not None]
                issued = iter(issuer.issue(asked, self._now()) if asked else [])
                return [issuer.left_bits() if one is None else next(issued) for one in requests]

            return handle

        return IssueWorker(f'enc-{peer}', start)

    def _hold_worker(self, peer: str) -> HoldWorker:
        def start() -> Callable[..., list[Fetched | OfferReply | Refusal | None]]:
            store = self._open(peer)
            holder = Holder(Ledger(store), self.simulated, self.settings.repeat_dec_keys_s)
            holder.forget_fetched(self._now())

            def serve(
                requests: Sequence[FetchRequest | PeerOffer | None],
            ) -> list[Fetched | OfferReply | Refusal | None]:
                now = self._now()
                asked = [one for one in requests if isinstance(one, FetchRequest)]
                fetched = iter(holder.fetch(asked, now) if asked else [])
                if self.settings.repeat_dec_keys_s > 0:
                    holder.forget_fetched(now)
                return [
                    next(fetched)
                    if isinstance(one, FetchRequest)
                    else None
                    if one is None
                    else holder.hold(one.peer, one.message, self._entitled(one.peer), now)
                    for one in requests
                ]

            def handle(
                requests: Sequence[FetchRequest | PeerOffer | None],
            ) -> list[Fetched | OfferReply | Refusal | None]:
                if len(requests) == 1:  # it may need no change at all
                    return serve(requests)
                with store.database.change():  # one for all
                    return serve(requests)

            return handle

        return HoldWorker(f'dec-{peer}', start)

    def _entitled(self, peer: str) -> Callable[[Offer], bool]:
        def check(offer: Offer) -> bool:
            try:
                return all(self.partner(slave, offer.master)[1] == peer for slave in offer.slaves)
            except Refusal:
                return False

        return check


def _file_lock(path: Path) -> Callable[[], _Lock]:
    return lambda: _Lock(path)


class _Lock:
    """Context in which no other process or thread holds the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise StationError(f'cannot be written: {error.strerror}', where=self._path) from error
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
