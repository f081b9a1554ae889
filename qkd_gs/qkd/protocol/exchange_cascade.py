"""Reconciliation over the link: the ground's questions, the satellite's parities, and what they disclose."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.codes import pack_bits, pack_integers, unpack_bits, unpack_integers
from qkd_gs.qkd.link.conversation import Conversation
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol.steps import Progress
from qkd_gs.qkd.reconciliation.cascade_alice import ParityServer
from qkd_gs.qkd.reconciliation.cascade_bob import CascadeOptions, Corrector
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sift import even_cuts

Book = Callable[[int], None]
_STEP = 'reconciliation'
_SEGMENT = struct.Struct('>I')
_SEGMENT_BITS = 1 << 23  # as many as a pass of 20 million tags has, at 13 bytes of memory a bit


def segments(bits: int) -> list[slice]:
    """Cut a long key into segments that are corrected one after the other, so that memory stays bounded.

    A pass is one segment, in which all frames share their round trips.
    """
    return even_cuts(bits, max(1, -(-bits // _SEGMENT_BITS)))


def pack_questions(segment: int, batch: IntArray) -> bytes:
    """Questions about a segment; they ascend, so their differences are small."""
    return _SEGMENT.pack(segment) + pack_integers(np.diff(batch, prepend=0))


def unpack_questions(payload: bytes) -> tuple[int, IntArray]:
    """Segment and questions from `pack_questions`."""
    if len(payload) < _SEGMENT.size:
        raise ProtocolError('malformed', 'a question has no head')
    (segment,) = _SEGMENT.unpack(payload[: _SEGMENT.size])
    return segment, np.cumsum(unpack_integers(payload[_SEGMENT.size :]))


def correct(
    talk: Conversation,
    bits: PackedBits,
    qber: float,
    seed: int,
    options: CascadeOptions,
    book: Book,
    progress: Progress,
) -> int:
    """Ground: ask until the key is corrected.

    Parameters
    ----------
    talk : Conversation
        With the satellite, past sifting.
    bits : PackedBits
        The ground's sifted bits; corrected in their place.
    qber, seed : float, int
        Expected error rate and public seed, as both sides have them.
    options : CascadeOptions
        What is traded for what.
    book : callable
        Told the bits that will be disclosed by the answer, before the question goes out.
    progress : callable
        Told the step and a guess of what is done.

    Returns
    -------
    int
        Bits disclosed.

    Raises
    ------
    ProtocolError
        The parities contradict each other, or the bits differ far more than expected.
    """
    disclosed = 0
    guess = 1.1 * len(bits) * binary_entropy(qber) + 1
    for number, cut in enumerate(segments(len(bits))):
        corrector = _corrector(bits, cut, qber, seed + number, options)
        while (batch := corrector.next_batch()) is not None:
            if not len(batch):  # only parities that contradict each other leave an error that no question can find
                raise ProtocolError('disagreement', 'the parities of the satellite contradict each other')
            disclosed += len(batch)
            book(disclosed)
            talk.say(Kind.PARITY_REQUEST, pack_questions(number, batch))
            answer = talk.hear(Kind.PARITY_ANSWER).payload
            try:
                corrector.feed(unpack_bits(answer, len(batch)))
            except StationError as error:
                raise ProtocolError('disagreement', error.what) from error
            progress(_STEP, min(0.99, disclosed / guess))
        bits[cut] = corrector.bits
        corrector.wipe()
        del corrector  # before there is another one
    progress(_STEP, 1.0)
    return disclosed


def answer_until(
    talk: Conversation, end: Kind, bits: PackedBits, seed: int, book: Book, progress: Progress
) -> tuple[Message, int]:
    """Satellite: answer questions until a message of kind `end` comes.

    Returns
    -------
    message : Message
        The one that ended it.
    disclosed_bits : int

    Raises
    ------
    ProtocolError
        A question that names no block, or more of them than the key has bits: nobody honest asks that.
    """
    cuts = segments(len(bits))
    number, server, disclosed = -1, ParityServer(bits[:0], seed), 0
    while (message := talk.hear(Kind.PARITY_REQUEST, end)).kind is not end:
        asked, batch = unpack_questions(message.payload)
        if asked != number:
            if asked != number + 1 or asked >= len(cuts):
                raise ProtocolError('unexpected', 'parities are asked for out of turn')
            server.wipe()
            number, server = asked, ParityServer(bits[cuts[asked]], seed + asked)
        disclosed += len(batch)
        if disclosed > len(bits):
            raise ProtocolError('unexpected', 'more parities are asked for than the key has bits')
        book(disclosed)
        try:
            answer = server.answer(batch)
        except StationError as error:
            raise ProtocolError('malformed', error.what) from error
        talk.say(Kind.PARITY_ANSWER, pack_bits(answer))
        progress(_STEP, 0.5)  # only the ground knows how far it is
    server.wipe()
    progress(_STEP, 1.0)
    return message, disclosed


def _corrector(bits: PackedBits, cut: slice, qber: float, seed: int, options: CascadeOptions) -> Corrector:
    """For a segment, of which it has a copy."""
    with bits.plain(cut) as segment:
        return Corrector(segment, qber, seed, options)
