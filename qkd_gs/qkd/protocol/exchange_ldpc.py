"""One-way LDPC reconciliation over the link: the satellite sends the syndromes of all blocks in one message."""

from __future__ import annotations

import numpy as np

from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.codes import pack_bits, unpack_bits
from qkd_gs.qkd.protocol.exchange_cascade import RecordLeakage
from qkd_gs.qkd.protocol.progress import Progress
from qkd_gs.qkd.reconciliation import ldpc
from qkd_gs.qkd.reconciliation.cascade_bob import MAX_QBER
from qkd_gs.qkd.sifting.error_rate import expected_qber, expected_qber_sigma
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_STEP = 'reconciliation'
_MARGIN_SIGMA = 2.5  # there is no second message if the error rate was estimated too low


def design_rate(counts: KeyCounts) -> float:
    """Error rate that the syndromes are dimensioned for; both sides compute it from the same counts."""
    expected = expected_qber(counts)
    return max(expected, min(MAX_QBER, expected + _MARGIN_SIGMA * expected_qber_sigma(counts)))


def planned_bits(blocks: list[slice], rate: float) -> int:
    """Bits that the syndromes of all blocks disclose.

    Raises
    ------
    StationError
        The error rate is too high for any key.
    """
    codewords = ldpc.codeword_slices(blocks, rate)
    return sum(ldpc.plan(part.stop - part.start, rate).disclosed_bits for part in codewords)


def send_syndromes(
    link: AuthenticatedChannel,
    bits: PackedBits,
    blocks: list[slice],
    rate: float,
    seed: int,
    record_leakage: RecordLeakage,
    progress: Progress,
) -> int:
    """Satellite: send the syndromes of all blocks.

    Parameters
    ----------
    link : Conversation
        To the ground, after sifting.
    bits : PackedBits
        The key.
    blocks : list of slice
        Blocks of the key.
    rate, seed : float, int
        Error rate from `design_rate`; public seed of the shuffles.
    record_leakage : callable
        Called with the number of disclosed bits, and the message, before they are sent.
    progress : callable
        Called with the step and the fraction that is done.

    Returns
    -------
    disclosed_bits : int
    """
    parts = []
    for number, codeword in enumerate(ldpc.codeword_slices(blocks, rate)):
        with bits.plain(codeword) as plain:
            parts.append(ldpc.syndrome(plain, rate, seed + number))
    sent = np.concatenate(parts)
    syndromes = pack_bits(sent)
    record_leakage(len(sent), syndromes)
    link.send(Kind.SYNDROMES, syndromes)
    progress(_STEP, 1.0)
    return len(sent)


def correct_by_syndromes(
    link: AuthenticatedChannel, bits: PackedBits, blocks: list[slice], rate: float, seed: int, progress: Progress
) -> int:
    """Ground: receive the syndromes and correct the bits in place; their leakage is recorded already.

    Blocks with too many errors stay wrong; verification drops them.

    Returns
    -------
    disclosed_bits : int

    Raises
    ------
    ProtocolError
        The message does not have the planned length.
    """
    codewords, disclosed = ldpc.codeword_slices(blocks, rate), planned_bits(blocks, rate)
    progress(_STEP, 0.0)
    sent = unpack_bits(link.receive(Kind.SYNDROMES).payload, disclosed)
    at = 0
    for number, codeword in enumerate(codewords):
        size = ldpc.plan(codeword.stop - codeword.start, rate).disclosed_bits
        with bits.plain(codeword) as plain:
            bits[codeword], _ = ldpc.decode(plain, rate, seed + number, sent[at : at + size])
        at += size
        progress(_STEP, (number + 1) / len(codewords))
    return disclosed
