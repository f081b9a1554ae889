"""The ground's sifted key, collected block by block, and its errors as found by reconciliation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from qkd_gs.arrays import BoolArray, ByteArray
from qkd_gs.qkd.finite_key.counts import KeyCounts, Parted, Receiver
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.error_rate import expected_qber
from qkd_gs.qkd.sifting.key_counts import key_counts, sifted_table, with_signal_errors
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.states import Intensity
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.timing.spans import PulseSpan, within


@dataclass(frozen=True)
class SiftedKey:
    """Signal bits in matching bases, in the order of time."""

    bits: PackedBits  # corrected in place by reconciliation
    measured: PackedBits  # the bits before correction
    basis: PackedBits
    bins: list[tuple[int, int]]  # number of the time bin, and number of bits in it
    window_bits: list[int]
    counts: KeyCounts  # without errors of the signal, which are not known yet
    qber: float  # estimated from the decoys

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<SiftedKey of {len(self.bits)} bits>'


class Sifter:
    """Collects blocks of detections with the satellite's answers to them.

    Parameters
    ----------
    terms : Terms
        Agreed terms.
    pulses_a_bin : int
        Width of the time bins.
    """

    def __init__(self, terms: Terms, pulses_a_bin: int):
        self._terms, self._pulses_a_bin = terms, pulses_a_bin
        self._table, self._errors = np.zeros((2, 3), np.int64), np.zeros((2, 3), np.int64)
        self._bits: list[PackedBits] = []  # of the signal state
        self._bases: list[PackedBits] = []
        self._bins: dict[int, int] = {}
        self._in_windows: list[int] = []
        self._given = 0  # blocks whose bits `new_bits` has returned

    def add(
        self,
        block: Detections,
        match: BoolArray,
        intensity: ByteArray,
        opened: ByteArray,
        windows: Sequence[PulseSpan] = (),
    ) -> None:
        """Append a block of detections.

        Parameters
        ----------
        block : Detections
            The announced detections.
        match : (n,) bool
            True where the bases match.
        intensity : (m,) uint8
            Intensities of the matching ones.
        opened : uint8
            The satellite's bits of decoy and vacuum states among the matching ones.
        windows : sequence of (first, last) pulse
            Intervals in which sifted bits are counted, as many in each call.
        """
        pulse, basis, bit = block.pulse[match], block.basis[match], block.bit[match]
        signal = intensity == Intensity.SIGNAL
        wrong = bit[~signal] != opened
        self._table += sifted_table(basis, intensity)
        self._errors += sifted_table(basis[~signal][wrong], intensity[~signal][wrong])
        self._bits.append(PackedBits.of(bit[signal]))
        self._bases.append(PackedBits.of(basis[signal]))
        for number, bits in zip(*np.unique(pulse[signal] // self._pulses_a_bin, return_counts=True), strict=True):
            self._bins[int(number)] = self._bins.get(int(number), 0) + int(bits)
        inside = [int(within(pulse[signal], [window]).sum()) for window in windows]
        self._in_windows = [sum(pair) for pair in zip_longest(self._in_windows, inside, fillvalue=0)]

    def new_bits(self) -> PackedBits:
        """Copy of the signal bits that were added since the last call."""
        fresh = [block.copy() for block in self._bits[self._given :]]
        self._given = len(self._bits)
        return PackedBits.joined(fresh)

    def counts(self, locked_pulses: int, receiver: Receiver | None = None, parted: Parted | None = None) -> KeyCounts:
        """Counts of all blocks, for `locked_pulses` pulses in locked time, by a receiver with these flaws."""
        counts = key_counts(self._terms, locked_pulses, self._table, self._errors)
        return counts.model_copy(update={'receiver': receiver, 'parted': parted})

    def finish(self, counts: KeyCounts) -> SiftedKey:
        """Sifted key of all blocks, with their counts."""
        bits = PackedBits.joined(self._bits)
        return SiftedKey(
            bits=bits,
            measured=bits.copy(),
            basis=PackedBits.joined(self._bases),
            bins=sorted(self._bins.items()),
            window_bits=self._in_windows,
            counts=counts,
            qber=expected_qber(counts),
        )


@dataclass(frozen=True)
class FoundErrors:
    """Errors of the measured bits in verified blocks."""

    counts: KeyCounts  # with signal errors
    qber: float  # the estimate from the decoys if no block is verified
    limit_bits: float  # Slepian-Wolf limit of the blocks' own error rates
    bins: list[tuple[int, int, int]]  # first pulse, bits, errors


def found_errors(sifted: SiftedKey, corrected: PackedBits, good: list[slice], pulses_a_bin: int) -> FoundErrors:
    """Errors of the sifted key that reconciliation found.

    Parameters
    ----------
    sifted : SiftedKey
    corrected : PackedBits
        The corrected key.
    good : list of slice
        Blocks whose digests agreed.
    pulses_a_bin : int
        Width of the time bins of the sifted key.
    """
    if not good:
        return FoundErrors(sifted.counts, sifted.qber, 0.0, [])
    by_basis, limit, checked, errors = np.zeros(2, np.int64), 0.0, 0, 0
    ends = np.cumsum([bits for _, bits in sifted.bins])
    bits_in, errors_in = np.zeros((2, len(ends)), np.int64)
    for block in good:
        with corrected.plain(block) as right, sifted.measured.plain(block) as measured:
            wrong = block.start + np.flatnonzero(right != measured)
        size = block.stop - block.start
        checked, errors = checked + size, errors + len(wrong)
        limit += size * binary_entropy(len(wrong) / size)
        by_basis += np.bincount(sifted.basis.at(wrong), minlength=2)
        bits_in += np.diff(np.clip(ends, block.start, block.stop), prepend=block.start)
        errors_in += np.bincount(np.searchsorted(ends, wrong, side='right'), minlength=len(ends))
    counts = with_signal_errors(sifted.counts, int(by_basis[0]), int(by_basis[1]))
    bins = [
        (number * pulses_a_bin, int(bits), int(wrongs))
        for (number, _), bits, wrongs in zip(sifted.bins, bits_in, errors_in, strict=True)
        if bits
    ]
    return FoundErrors(counts, errors / checked, limit, bins)
