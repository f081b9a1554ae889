"""Results of a protocol run on the ground and on the satellite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.finite_key.counts import KeyCounts
from qkd_gs.qkd.protocol.kept_bits import KeptBits
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_NOT_FIGURES = ('key', 'refill', 'kept', 'counts')


@dataclass(frozen=True)
class Corrected:
    """The key after reconciliation and verification."""

    bits: PackedBits
    blocks: list[slice]
    agreed: ByteArray  # 1 for each block whose digests agree
    disclosed_bits: int
    round_trips: int


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
