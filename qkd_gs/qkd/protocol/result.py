"""Results of a protocol run on the ground and on the satellite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.finite_key.key_length import KeyLength
from qkd_gs.qkd.protocol.kept_bits import KeptBits
from qkd_gs.qkd.protocol.key_budget import certified_length
from qkd_gs.qkd.reconciliation.key_blocks import block_sizes, dropped_bits
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import SiftedKey, found_errors
from qkd_gs.qkd.sifting.terms import Terms

_NOT_FIGURES = ('key', 'refill', 'kept', 'counts')


@dataclass(frozen=True)
class Corrected:
    """The key after reconciliation and verification."""

    bits: PackedBits
    blocks: list[slice]
    agreed: ByteArray  # 1 for each block whose digests agree
    disclosed_bits: int
    round_trips: int

    def disclosed_with(self, earlier_bits: int) -> int:
        """Bits that this and earlier runs disclosed, including those of dropped blocks."""
        return self.disclosed_bits + dropped_bits(self.blocks, self.agreed) + earlier_bits


@dataclass(frozen=True)
class KeyResult:
    """Key of a session and its figures, on the ground's side.

    Attributes
    ----------
    key : PackedBits
        The secret key, for the key store only; not shown by `repr`.
    key_id : str
        Name of the key, the same on both sides; derived from the public messages.
    refill : PackedBits
        Pre-shared bits for a later run, as many as this one used; for the key store only.  Empty without a key.
    kept : KeptBits or None
        Sifted bits that wait to be joined with those of other passes; for the key store only.
    counts : KeyCounts
        By basis and intensity; signal errors are those found by reconciliation.
    sifted_bits : int
        Signal bits in matching bases.
    qber : float
        Error rate of the signal bits in verified blocks; estimated from the decoys if there is no such block.
    f_ec : float
        Parities disclosed over the Slepian-Wolf limit of the blocks' actual error rates; NaN without blocks.
    epsilon : float
        Total composable failure probability.
    epsilon_split : dict
        Its parts: ``secrecy``, ``correctness``, ``authentication``.
    disclosed_bits : int
        Disclosed by reconciliation in this run.
    verified : bool
        True if the key is made of blocks whose digests agreed on both sides.
    blocks, failed_blocks : int
        Blocks of the sifted key, and those whose digests did not agree.
    window_bits : list of int
        Sifted bits in each of the given windows.
    error_bins : list of (first pulse, bits, errors)
        Signal bits in verified blocks and their errors, in bins of `bin_s`.
    """

    session_id: str
    key_id: str
    key: PackedBits = field(repr=False)
    refill: PackedBits = field(repr=False)
    kept: KeptBits | None = field(repr=False)
    counts: KeyCounts
    qber: float
    f_ec: float
    disclosed_bits: int
    disclosed_before: int
    epsilon: float
    epsilon_split: dict[str, float]
    analysis: str
    verified: bool
    blocks: int
    failed_blocks: int
    round_trips: int
    reconciliation_round_trips: int
    pre_shared_bits: int
    bounds: dict[str, dict[str, float]]
    epsilon_ledger: dict[str, float]
    cost: dict[str, float]
    reasons: list[str]
    window_bits: list[int]
    bin_s: float
    error_bins: list[tuple[int, int, int]]

    @property
    def sifted_bits(self) -> int:
        """Signal bits in matching bases."""
        return self.counts.sifted_bits

    @property
    def secret_bits(self) -> int:
        """Length of the key."""
        return len(self.key)

    def figures(self) -> dict[str, Any]:
        """All fields except the key, for JSON; NaN becomes None."""
        plain = {name: value for name, value in self.__dict__.items() if name not in _NOT_FIGURES}
        plain['f_ec'] = None if np.isnan(self.f_ec) else self.f_ec
        sums = {'sifted_bits': self.sifted_bits, 'secret_bits': self.secret_bits, 'kept': self.kept is not None}
        return sums | plain | {'counts': self.counts.model_dump()}


def key_result(
    terms: Terms,
    session_id: str,
    key_id: str,
    sifted: SiftedKey,
    corrected: Corrected,
    length: KeyLength,
    keys: tuple[PackedBits, PackedBits],
    earlier_bits: int,
    link: tuple[int, int],
    bin_s: float,
) -> KeyResult:
    """Result of a run.

    Parameters
    ----------
    keys : (PackedBits, PackedBits)
        The key, and the pre-shared bits that came with it.
    earlier_bits : int
        Disclosed by earlier runs.
    link : (int, int)
        Round trips, and pre-shared bits consumed.
    bin_s : float
        Width of the bins in which errors over time are reported.
    """
    good = [block for block, agreed in zip(corrected.blocks, corrected.agreed, strict=True) if agreed]
    found = found_errors(sifted, corrected.bits, good, round(bin_s * terms.pulse_rate_hz))
    # The key length is certified without the signal errors, which the satellite does not know. They only split a
    # row of the cost table into the Shannon limit and the disclosure above it.
    leakage, sizes = corrected.disclosed_with(earlier_bits), block_sizes(corrected.blocks)
    split = certified_length(terms, found.counts, sizes, leakage, earlier_bits)
    return KeyResult(
        session_id=session_id,
        key_id=key_id,
        key=keys[0],
        refill=keys[1],
        kept=None,
        counts=found.counts,
        qber=found.qber,
        f_ec=corrected.disclosed_bits / found.limit_bits if found.limit_bits else float('nan'),
        disclosed_bits=corrected.disclosed_bits,
        disclosed_before=earlier_bits,
        epsilon=length.epsilon,
        epsilon_split=length.epsilon_split,
        analysis=length.analysis,
        verified=bool(corrected.agreed.any()),
        blocks=len(corrected.blocks),
        failed_blocks=int((corrected.agreed == 0).sum()),
        round_trips=link[0],
        reconciliation_round_trips=corrected.round_trips,
        pre_shared_bits=link[1],
        bounds=length.bounds,
        epsilon_ledger=length.epsilon_ledger,
        cost=split.cost if split.secret_bits == length.secret_bits else length.cost,
        reasons=[length.reason] if length.reason else [],
        window_bits=sifted.window_bits,
        bin_s=bin_s,
        error_bins=found.bins,
    )


@dataclass(frozen=True)
class SatelliteResult:
    """Key of a session on the satellite's side."""

    session_id: str
    key_id: str
    key: PackedBits = field(repr=False)
    epsilon: float
    disclosed_bits: int
    confirmed: bool  # the ground has stored its copy; otherwise this one must not be used
    reason: str  # the reason if there is no key
