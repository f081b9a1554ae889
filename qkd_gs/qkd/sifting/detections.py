"""Detections: at most one per pulse, with basis and bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qkd_gs.arrays import BoolArray, ByteArray, IntArray
from qkd_gs.timing.spans import PulseSpan, within


@dataclass(frozen=True)
class Detections:
    """Detections of the receiver, at most one per pulse.

    Attributes
    ----------
    pulse : (n,) int64
        Pulse numbers, strictly ascending.
    basis : (n,) uint8
        Values of `Basis`.
    bit : (n,) uint8
        0 or 1. This is the raw key: it must not leave the key processing.
    """

    pulse: IntArray
    basis: ByteArray
    bit: ByteArray

    def __post_init__(self) -> None:
        if not len(self.pulse) == len(self.basis) == len(self.bit):
            raise ValueError('pulses, bases and bits differ in number')
        if len(self.pulse) and (self.pulse[0] < 0 or (self.pulse[1:] <= self.pulse[:-1]).any()):
            raise ValueError('pulse numbers are not strictly ascending')

    def __len__(self) -> int:
        return len(self.pulse)

    def within(self, spans: Sequence[PulseSpan]) -> Detections:
        """Detections that lie in one of the ascending spans."""
        keep = within(self.pulse, spans)
        return self if keep.all() else self.part(keep)

    def part(self, which: slice | BoolArray) -> Detections:
        """Detections selected by a slice or a mask."""
        return Detections(self.pulse[which], self.basis[which], self.bit[which])

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<Detections of {len(self)} pulses>'
