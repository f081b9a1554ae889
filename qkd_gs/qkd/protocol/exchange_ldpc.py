"""Reconciliation in one message over the link: the satellite's syndromes, and what they disclose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.codes import pack_bits, unpack_bits
from qkd_gs.qkd.link.conversation import Conversation
from qkd_gs.qkd.protocol.steps import Progress
from qkd_gs.qkd.reconciliation import ldpc
from qkd_gs.qkd.reconciliation.cascade_bob import MAX_QBER
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sift import expected_qber, qber_error

Book = Callable[[int], None]
_STEP = 'reconciliation'
_CAUTION = 2.5  # standard deviations: nobody asks again if the decoys foretold too few errors


def design_rate(counts: KeyCounts) -> float:
    """Error rate that the syndromes must be long enough for; both sides have the counts that it follows from."""
    expected = expected_qber(counts)
    return max(expected, min(MAX_QBER, expected + _CAUTION * qber_error(counts)))


def planned_bits(cuts: list[slice], rate: float) -> int:
    """Bits that the message will disclose.

    Raises
    ------
    StationError
        The error rate is beyond what any key can be made of.
    """
    return sum(ldpc.plan(block.stop - block.start, rate).disclosed_bits for block in ldpc.blocks(cuts, rate))


def send_syndromes(
    talk: Conversation, bits: PackedBits, cuts: list[slice], rate: float, seed: int, book: Book, progress: Progress
) -> int:
    """Satellite: the only message.

    Parameters
    ----------
    talk : Conversation
        With the ground, past sifting.
    bits : PackedBits
        The key.
    cuts : list of slice
        Its frames.
    rate, seed : float, int
        From `design_rate`; public seed of the shuffles.
    book : callable
        Told the bits that are disclosed, before they are.
    progress : callable
        Told the step and what is done of it.

    Returns
    -------
    disclosed_bits : int
    """
    blocks = ldpc.blocks(cuts, rate)
    parts = []
    for number, block in enumerate(blocks):
        with bits.plain(block) as plain:
            parts.append(ldpc.syndrome(plain, rate, seed + number))
    sent = np.concatenate(parts)
    book(len(sent))
    talk.say(Kind.SYNDROMES, pack_bits(sent))
    progress(_STEP, 1.0)
    return len(sent)


def correct_by_syndromes(
    talk: Conversation, bits: PackedBits, cuts: list[slice], rate: float, seed: int, progress: Progress
) -> int:
    """Ground: wait for the message and correct the bits by it, in their place; what it discloses is booked already.

    Blocks that have too many errors are left to verification.

    Returns
    -------
    disclosed_bits : int

    Raises
    ------
    ProtocolError
        The message is not as long as planned.
    """
    blocks, disclosed = ldpc.blocks(cuts, rate), planned_bits(cuts, rate)
    progress(_STEP, 0.0)
    sent = unpack_bits(talk.hear(Kind.SYNDROMES).payload, disclosed)
    at = 0
    for number, block in enumerate(blocks):
        size = ldpc.plan(block.stop - block.start, rate).disclosed_bits
        with bits.plain(block) as plain:
            bits[block], _ = ldpc.decode(plain, rate, seed + number, sent[at : at + size])
        at += size
        progress(_STEP, (number + 1) / len(blocks))
    return disclosed
