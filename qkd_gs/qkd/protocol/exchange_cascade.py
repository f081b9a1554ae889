"""Interactive (Cascade) reconciliation over the link: the ground's parity queries and the satellite's parities."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.codes import pack_bits, pack_integers, unpack_bits, unpack_integers
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol.progress import Progress
from qkd_gs.qkd.reconciliation.cascade_alice import ParityServer
from qkd_gs.qkd.reconciliation.cascade_bob import CascadeOptions, Corrector
from qkd_gs.qkd.reconciliation.key_blocks import even_slices
from qkd_gs.qkd.sifting.packed_bits import PackedBits

RecordLeakage = Callable[..., None]  # total of disclosed bits, and payloads: `LeakageAccount.announce`
_STEP = 'reconciliation'
_SEGMENT = struct.Struct('>I')
_SEGMENT_BITS = 1 << 23  # as many as a pass of 20 million tags has, at 13 bytes of memory a bit


def segments(bits: int, start: int = 0) -> list[slice]:
    """Slices of a long key, from `start` on, that are corrected one after the other, so that memory stays bounded.

    A pass is one segment, in which all blocks share their round trips.
    """
    size = bits - start
    return [slice(start + one.start, start + one.stop) for one in even_slices(size, max(1, -(-size // _SEGMENT_BITS)))]


def pack_queries(segment: int, batch: IntArray) -> bytes:
    """Payload of parity queries about a segment; they ascend, so their differences are small."""
    return _SEGMENT.pack(segment) + pack_integers(np.diff(batch, prepend=0))


def unpack_queries(payload: bytes) -> tuple[int, IntArray]:
    """Segment and parity queries from `pack_queries`."""
    if len(payload) < _SEGMENT.size:
        raise ProtocolError('malformed', 'a parity query has no header')
    (segment,) = _SEGMENT.unpack(payload[: _SEGMENT.size])
    return segment, np.cumsum(unpack_integers(payload[_SEGMENT.size :]))


def correct(
    link: AuthenticatedChannel,
    bits: PackedBits,
    qber: float,
    seed: int,
    options: CascadeOptions,
    record_leakage: RecordLeakage,
    progress: Progress,
    start: int = 0,
) -> int:
    """Ground: send parity queries until the key is corrected.

    Parameters
    ----------
    link : Conversation
        To the satellite, after sifting.
    bits : PackedBits
        The ground's sifted bits; corrected in place.
    qber, seed : float, int
        Expected error rate and public seed, the same on both sides.
    options : CascadeOptions
    record_leakage : callable
        Called with the total of disclosed bits, and what was said since the last call, before each query is sent.
    progress : callable
        Called with the step and an estimate of the fraction that is done.
    start : int
        First bit to be corrected; those before are right.

    Returns
    -------
    int
        Bits disclosed.

    Raises
    ------
    ProtocolError
        The parities contradict each other, or the bits differ far more than expected.
    """
    disclosed, answer = 0, b''
    estimate = 1.1 * (len(bits) - start) * binary_entropy(qber) + 1
    for number, segment in enumerate(segments(len(bits), start)):
        corrector = _corrector(bits, segment, qber, seed + number, options)
        while (batch := corrector.next_batch()) is not None:
            if not len(batch):  # only contradictory parities leave an error that no query can find
                raise ProtocolError('disagreement', 'the parities of the satellite contradict each other')
            disclosed += len(batch)
            query = pack_queries(number, batch)
            record_leakage(disclosed, answer, query)
            link.send(Kind.PARITY_REQUEST, query)
            answer = link.receive(Kind.PARITY_ANSWER).payload
            try:
                corrector.feed(unpack_bits(answer, len(batch)))
            except StationError as error:
                raise ProtocolError('disagreement', error.what) from error
            progress(_STEP, min(0.99, disclosed / estimate))
        bits[segment] = corrector.bits
        corrector.wipe()
        del corrector  # frees its memory before the next one is made
    progress(_STEP, 1.0)
    return disclosed


def answer_until(
    link: AuthenticatedChannel,
    end: Kind,
    bits: PackedBits,
    seed: int,
    record_leakage: RecordLeakage,
    progress: Progress,
) -> tuple[Message, int]:
    """Satellite: answer parity queries until a message of kind `end` arrives.

    Returns
    -------
    message : Message
        The message of kind `end`.
    disclosed_bits : int

    Raises
    ------
    ProtocolError
        A query that names no block, or more queries than the key has bits; an honest ground sends neither.
    """
    parts = segments(len(bits))
    number, server, disclosed = -1, ParityServer(bits[:0], seed), 0
    while (message := link.receive(Kind.PARITY_REQUEST, end)).kind is not end:
        asked, batch = unpack_queries(message.payload)
        if asked != number:
            if asked != number + 1 or asked >= len(parts):
                raise ProtocolError('unexpected', 'parities of another segment were requested out of order')
            server.wipe()
            number, server = asked, ParityServer(bits[parts[asked]], seed + asked)
        disclosed += len(batch)
        if disclosed > len(bits):
            raise ProtocolError('unexpected', 'more parities were requested than the key has bits')
        try:
            answer = pack_bits(server.answer(batch))
        except StationError as error:
            raise ProtocolError('malformed', error.what) from error
        record_leakage(disclosed, message.payload, answer)
        link.send(Kind.PARITY_ANSWER, answer)
        progress(_STEP, 0.5)  # only the ground knows the fraction that is done
    server.wipe()
    progress(_STEP, 1.0)
    return message, disclosed


def _corrector(bits: PackedBits, segment: slice, qber: float, seed: int, options: CascadeOptions) -> Corrector:
    """Corrector of a segment, which it copies."""
    with bits.plain(segment) as plain:
        return Corrector(plain, qber, seed, options)
