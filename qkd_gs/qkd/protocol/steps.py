"""Steps that both sides compute alike: what is disclosed, how long the key is, and the key itself."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.amplification.amplify import toeplitz_packed
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.key_length import KeyLength, Overhead, key_length
from qkd_gs.qkd.link import conversation
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.terms import Terms

Progress = Callable[[str, float], None]


def silent(step: str, fraction: float) -> None:
    """Progress that nobody watches."""


def overhead(terms: Terms, sizes: list[int]) -> Overhead:
    """What verification of frames of these sizes, and the tags of the pass, take from the key.

    Every frame's digest is disclosed, and so is the one bit that says whether it fits.
    """
    return Overhead(
        verification_bits=len(sizes) * (terms.verification_bits + 1),
        verification_epsilon=sum(verify.collision_probability(size, terms.verification_bits) for size in sizes),
        authentication_bits=conversation.SECRET_BITS,
        authentication_epsilon=conversation.EPSILON,
    )


def certified(terms: Terms, counts: KeyCounts, sizes: list[int], disclosed_bits: int) -> KeyLength:
    """Key length of the pass, per basis, for the failure probability agreed upon.

    Parameters
    ----------
    terms, counts
        Agreed and observed.
    sizes : list of int
        Bits of each frame.
    disclosed_bits : int
        Parities of this and earlier attempts, and every bit of the frames that were dropped: all single
        photons might have been in those.
    """
    return key_length(
        counts,
        epsilon_total=terms.epsilon_total,
        disclosed_bits=disclosed_bits,
        overhead=overhead(terms, sizes),
    )


def hopeless(
    terms: Terms,
    counts: KeyCounts,
    sizes: list[int],
    qber: float,
    disclosed_before: int,
    planned_bits: int | None = None,
) -> str:
    """Why a run should end before anything of the key is disclosed; empty if there is hope.

    The counts have to allow a key after what reconciliation is planned to disclose; if that is not known
    beforehand, after a reconciliation at the Slepian-Wolf limit.
    """
    if not counts.sifted_bits:
        return 'no sifted bits'
    if qber > terms.max_qber:
        return f'the decoy states foretell an error rate of {qber:.1%}, above the limit of {terms.max_qber:.1%}'
    limit = ceil(counts.sifted_bits * binary_entropy(qber)) if planned_bits is None else planned_bits
    try:
        return certified(terms, counts, sizes, limit + disclosed_before).reason
    except StationError as error:  # e.g. a failure probability that the hashes alone use up
        return error.what


def amplify(key: PackedBits, secret_bits: int, seed: bytes) -> PackedBits:
    """Compress the corrected key by a matrix of the size that goes with it (`key_request.matrix_bytes`)."""
    if not secret_bits:
        return PackedBits.zeros(0)
    return toeplitz_packed(key, np.frombuffer(seed, np.uint8), secret_bits)


def verified_bits(bits: PackedBits, cuts: list[slice], agreed: ByteArray) -> PackedBits:
    """Bits of the frames whose digests agreed; the same buffer if all did."""
    if agreed.all() and cuts:
        return bits
    kept = []
    for cut, good in zip(cuts, agreed, strict=True):
        if good:
            with bits.plain(cut) as frame:
                kept.append(PackedBits.of(frame))
    return PackedBits.joined(kept)


def dropped_bits(cuts: list[slice], agreed: ByteArray) -> int:
    """Bits of the frames whose digests did not agree."""
    return sum(cut.stop - cut.start for cut, good in zip(cuts, agreed, strict=True) if not good)


def sizes_of(cuts: list[slice]) -> list[int]:
    """Bits of each frame."""
    return [cut.stop - cut.start for cut in cuts]
