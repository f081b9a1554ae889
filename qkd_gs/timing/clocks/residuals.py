"""Residuals of millions of pulse times, processed piece by piece to bound the memory of temporary copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from qkd_gs.arrays import AnyFloatArray, BoolArray, IntArray

Curve = Callable[[AnyFloatArray], AnyFloatArray]
Piece = tuple[AnyFloatArray, AnyFloatArray]

_PIECE = 1 << 16


@dataclass(frozen=True)
class Residuals:
    """Residuals of pulses, some of which are chosen.

    Attributes
    ----------
    time_ps : (n,) int64
        Times of arrival, ascending.
    start_ps : int
        Time 0 of the curves.
    value_ns : (n,) float
    chosen : (n,) bool
    """

    time_ps: IntArray
    start_ps: int
    value_ns: AnyFloatArray
    chosen: BoolArray

    @classmethod
    def of_all(cls, time_ps: IntArray, start_ps: int, value_ns: AnyFloatArray) -> Residuals:
        """With every pulse chosen."""
        return cls(time_ps, start_ps, value_ns, np.ones(len(time_ps), np.bool_))

    def __len__(self) -> int:
        return int(self.chosen.sum())

    def pieces(self, first: int = 0, step: int = 1) -> Iterator[Piece]:
        """Times (s) and values (ns) of the chosen pulses, or of every `step`-th of them from the `first` on."""
        skip = first
        for part in self._parts():
            chosen = self.chosen[part]
            t_s, value_ns = self._t_s(part)[chosen], self.value_ns[part][chosen]
            yield t_s[skip::step], value_ns[skip::step]
            skip = (skip - len(t_s)) % step if skip < len(t_s) else skip - len(t_s)

    def arrivals_ps(self) -> Iterator[IntArray]:
        """TDC times of the chosen pulses."""
        for part in self._parts():
            yield self.time_ps[part][self.chosen[part]]

    def near(self, curve: Curve, gate_ns: float) -> Residuals:
        """With those pulses chosen, of all, that are nearer than this to a curve."""
        chosen = np.empty(len(self.time_ps), np.bool_)
        for part in self._parts():
            chosen[part] = np.abs(self.value_ns[part] - curve(self._t_s(part))) < gate_ns
        return replace(self, chosen=chosen)

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self.time_ps), _PIECE):
            yield slice(start, start + _PIECE)

    def _t_s(self, part: slice) -> AnyFloatArray:
        t_s: AnyFloatArray = (self.time_ps[part] - self.start_ps) * 1e-12
        return t_s
