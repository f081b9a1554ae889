"""Key length of a run and the reasons to abort it, computed identically on both sides."""

from __future__ import annotations

from math import ceil

from qkd_gs.errors import StationError
from qkd_gs.qkd.amplification import verify
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.key_length import KeyLength, Overhead, key_length
from qkd_gs.qkd.link import authenticated_channel
from qkd_gs.qkd.protocol.exchange_ldpc import design_rate, planned_bits
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes
from qkd_gs.qkd.sifting.terms import Terms

_KEPT = 'its sifted bits are kept, to be joined with other passes'
_ORDINARY_F = 1.2  # of reconciliation, so that no pass is lost whose bits are disclosed for nothing


def overhead(terms: Terms, sizes: list[int], joined: int = 0, earlier_bits: int = 0, parts: int = 1) -> Overhead:
    """Bits and failure probability of verifying blocks of these sizes and of the pass's tags.

    Each block discloses its digest and one bit that says whether the digests agree.  The tags of `joined` earlier runs
    authenticate the bits, too; a run that may sift in `parts` has more of them.  Broken runs may have compared digests
    as often as the bits that they disclosed allow.
    """
    bits = len(sizes) * (terms.verification_bits + 1)
    once = sum(verify.collision_probability(size, terms.verification_bits) for size in sizes)
    return Overhead(
        verification_bits=bits,
        verification_epsilon=once * (1 + earlier_bits // bits) if bits else 0.0,
        authentication_bits=authenticated_channel.tag_key_bits(parts),
        authentication_epsilon=(1 + joined) * authenticated_channel.forgery_epsilon(parts),
    )


def certified_length(
    terms: Terms, counts: KeyCounts, sizes: list[int], disclosed_bits: int, earlier_bits: int
) -> KeyLength:
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
    earlier_bits : int
        Those of them that earlier runs disclosed.
    """
    return key_length(
        counts,
        epsilon_total=terms.epsilon_total,
        disclosed_bits=disclosed_bits,
        overhead=overhead(
            terms,
            sizes,
            counts.joined.passes if counts.joined else 0,
            earlier_bits,
            counts.parted.parts if counts.parted else 1,
        ),
    )


def too_many_errors(terms: Terms, qber: float) -> str:
    """Reason to tell no parity: an error rate above the agreed limit; empty if it is not."""
    if qber <= terms.max_qber:
        return ''
    return f'the error rate estimated from the decoy states, {qber:.1%}, is above the limit of {terms.max_qber:.1%}'


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
    if reason := too_many_errors(terms, qber):
        return reason
    limit = _at_the_limit(counts, qber) if planned_bits is None else planned_bits
    try:
        return certified_length(terms, counts, sizes, limit + disclosed_before, disclosed_before).reason
    except StationError as error:  # e.g. a failure probability that the hashes alone use up
        return error.what


def reason_to_abort(terms: Terms, counts: KeyCounts, blocks: list[slice], qber: float, disclosed_before: int) -> str:
    """`abort_reason` of a run of either kind of reconciliation; the leakage of a one-way one is known beforehand."""
    sizes = block_sizes(blocks)
    reason = abort_reason(terms, counts, sizes, qber, disclosed_before)
    if reason or not terms.one_way:
        return reason
    planned = planned_bits(blocks, design_rate(counts))
    return abort_reason(terms, counts, sizes, qber, disclosed_before, planned)


def expected_length(terms: Terms, counts: KeyCounts, sizes: list[int], qber: float, disclosed_before: int = 0) -> int:
    """Key length after a reconciliation at the Slepian-Wolf limit; 0 where `abort_reason` has a reason."""
    if abort_reason(terms, counts, sizes, qber, disclosed_before):
        return 0
    disclosed = _at_the_limit(counts, qber) + disclosed_before
    return certified_length(terms, counts, sizes, disclosed, disclosed_before).secret_bits


def may_be_kept(terms: Terms, counts: KeyCounts, qber: float, disclosed_before: int) -> bool:
    """True if the sifted bits of a pass may wait for other passes: the terms say so, and nothing of them is disclosed.

    What an eavesdropper does to a later pass must not depend on parities of this one.
    """
    return terms.keep != 'never' and disclosed_before == 0 and counts.sifted_bits > 0 and qber <= terms.max_qber


def reason_to_keep(terms: Terms, counts: KeyCounts, sizes: list[int], qber: float) -> str:
    """Reason to keep a pass that may be kept: all are, or it gives no key after an ordinary reconciliation."""
    if terms.keep == 'all':
        return _KEPT
    planned = ceil(_ORDINARY_F * _at_the_limit(counts, qber))
    reason = abort_reason(terms, counts, sizes, qber, 0, planned)
    return f'{_KEPT}: alone, {reason}' if reason else ''


def _at_the_limit(counts: KeyCounts, qber: float) -> int:
    return ceil(counts.sifted_bits * binary_entropy(qber))
