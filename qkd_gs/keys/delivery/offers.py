"""Messages between the KMEs of two stations: which bits belong to which key ID."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from qkd_gs.settings.loader import Section

MAX_OFFERS = 4096


class Offer(Section):
    """A key that the master's KME has taken, and that the slave's KME is to hold."""

    key_id: str = Field(pattern=r'^[0-9a-f-]{36}$')
    name: str = Field(max_length=100, description='bits of the shared key (KeyPiece.name)')
    master: str = Field(max_length=64)
    slaves: list[str] = Field(min_length=1, max_length=65)


class OfferMessage(Section):
    """Offers in the order in which their bits were taken, and earlier ones that nobody will get."""

    offers: list[Offer] = Field(max_length=MAX_OFFERS)
    revoke: list[str] = Field(max_length=16 * MAX_OFFERS)


class OfferReply(Section):
    """Everything is held that is not refused.

    Attributes
    ----------
    refused : dict
        Key ID and reason.
    keys : list of str
        Shared keys that are confirmed here and have bits left to receive with.
    """

    refused: dict[str, str]
    keys: list[str]


class PeerFault(Exception):
    """The other KME cannot be reached, or did not answer as agreed; whether it holds the offered keys is not known."""


class Peer(Protocol):
    """The other KME, as seen by the one that offers."""

    def offer(self, message: OfferMessage) -> OfferReply:
        """Have keys held, and earlier ones destroyed.  The same message twice is as good as once.

        Raises
        ------
        PeerFault
            It is not known whether the keys are held.
        """
