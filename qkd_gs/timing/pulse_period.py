"""The period of a train of pulses, exact for any rate: 76 MHz has 13,157.894736... ps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, floor

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray

_SECOND_PS = 10**12


@dataclass(frozen=True)
class PulsePeriod:
    """Period of a pulse train; pulse n leaves n periods after the clock's zero.

    Times are whole picoseconds, and so is the larger part of the period; what is left, below a picosecond, is floating
    point: over a day and at 10 GHz its error grows to 0.02 ps.

    Attributes
    ----------
    rate_hz : float
    """

    rate_hz: float

    @cached_property
    def exact_ps(self) -> Fraction:
        """The period in ps."""
        return _SECOND_PS / Fraction(self.rate_hz)

    @cached_property
    def whole_ps(self) -> int:
        """Whole picoseconds of it."""
        return floor(self.exact_ps)

    @cached_property
    def rest_ps(self) -> float:
        """Fraction that is left, [0, 1)."""
        return float(self.exact_ps - self.whole_ps)

    @cached_property
    def ps(self) -> float:
        """The period as one number: for short times."""
        return float(self.exact_ps)

    def time_ps(self, pulse: IntArray) -> IntArray:
        """Emission times of pulses, to the nearest picosecond."""
        rest: IntArray = np.rint(pulse * self.rest_ps).astype(np.int64)
        return pulse * self.whole_ps + rest

    def before(self, time_ps: IntArray) -> IntArray:
        """Number of the last pulse that leaves at or before each time."""
        pulse = np.floor(time_ps / self.ps).astype(np.int64)  # off by a few: times have more digits than a float
        for _ in range(2):
            left_ps: AnyFloatArray = (time_ps - pulse * self.whole_ps) - pulse * self.rest_ps
            pulse += np.floor(left_ps / self.ps).astype(np.int64)
        return pulse

    def at(self, pulse: int) -> Fraction:
        """Emission time of one pulse, exact, in ps."""
        return pulse * self.exact_ps

    def pulses_in(self, time_ps: int) -> int:
        """Number of periods that cover a length of time."""
        return ceil(time_ps / self.exact_ps)
