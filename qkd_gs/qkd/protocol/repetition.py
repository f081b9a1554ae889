"""Bits of broken runs that a repeated run has said again: each side tells its own, under the tags of the key."""

from __future__ import annotations

from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.leakage import LeakageAccount


def tell_repeated(link: AuthenticatedChannel, account: LeakageAccount) -> None:
    """Ground: tell the bits that need not be charged again, and hear those of the satellite.

    Nothing is said if no earlier run disclosed anything.

    Raises
    ------
    ProtocolError
        The satellite takes back more than it charges.
    """
    if account.broken_before:
        link.send(Kind.REPEATED, messages.Repeated(bits=account.own_repeated_bits))
        _receive(link, account)


def answer_repeated(link: AuthenticatedChannel, account: LeakageAccount) -> None:
    """Satellite: the same, after the ground.

    Raises
    ------
    ProtocolError
        The ground takes back more than it charges.
    """
    if account.broken_before:
        _receive(link, account)
        link.send(Kind.REPEATED, messages.Repeated(bits=account.own_repeated_bits))


def _receive(link: AuthenticatedChannel, account: LeakageAccount) -> None:
    theirs = link.receive_section(Kind.REPEATED, messages.Repeated).bits
    if theirs > account.other_earlier_bits:
        raise ProtocolError('disagreement', f'{theirs} of {account.other_earlier_bits} disclosed bits were said again')
    account.other_repeated_bits = theirs
