"""Key length of a run and the reasons to abort it, computed identically on both sides."""

from __future__ import annotations

from math import ceil

from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.key_length import KeyLength, Overhead, key_length
from qkd_gs.qkd.link import authenticated_channel
from qkd_gs.qkd.sifting.terms import Terms


def overhead(terms: Terms, sizes: list[int]) -> Overhead:
    """Bits and failure probability of verifying blocks of these sizes and of the pass's tags.

    Each block discloses its digest and one bit that says whether the digests agree.
    """
    return Overhead(
        verification_bits=len(sizes) * (terms.verification_bits + 1),
        verification_epsilon=sum(verify.collision_probability(size, terms.verification_bits) for size in sizes),
        authentication_bits=authenticated_channel.SECRET_BITS,
        authentication_epsilon=authenticated_channel.EPSILON,
    )


def certified_length(terms: Terms, counts: KeyCounts, sizes: list[int], disclosed_bits: int) -> KeyLength:
    """Key length of the pass for the agreed failure probability, estimated per basis.

    Parameters
    ----------
    terms, counts
        Agreed terms and observed counts.
    sizes : list of int
        Bits of each block.
    disclosed_bits : int
        Parities disclosed by this run and earlier ones, plus all bits of the dropped blocks (they may have held all
        the single photons).
    """
    return key_length(
        counts,
        epsilon_total=terms.epsilon_total,
        disclosed_bits=disclosed_bits,
        overhead=overhead(terms, sizes),
    )


def abort_reason(
    terms: Terms,
    counts: KeyCounts,
    sizes: list[int],
    qber: float,
    disclosed_before: int,
    planned_bits: int | None = None,
) -> str:
    """Reason to end a run before anything of the key is disclosed; empty if the run should go on.

    The counts must allow a key after the planned disclosure of reconciliation; if that is unknown, after a
    reconciliation at the Slepian-Wolf limit.
    """
    if not counts.sifted_bits:
        return 'no sifted bits'
    if qber > terms.max_qber:
        return f'the error rate estimated from the decoy states, {qber:.1%}, is above the limit of {terms.max_qber:.1%}'
    limit = ceil(counts.sifted_bits * binary_entropy(qber)) if planned_bits is None else planned_bits
    try:
        return certified_length(terms, counts, sizes, limit + disclosed_before).reason
    except StationError as error:  # e.g. a failure probability that the hashes alone use up
        return error.what
