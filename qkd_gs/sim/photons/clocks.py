"""Simulated oscillators: clock reading at a true time, and the inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.settings.twin_photonics import ClockSettings


@dataclass(frozen=True)
class DriftingClock:
    """A clock with offset, rate error and linear drift of the rate.

    reading = t - start + offset + rate (t - start) + drift (t - start)^2 / 2, in integer picoseconds.
    The errors are small, so they are computed in floating point and added to the exact integer.

    Attributes
    ----------
    start_ps : int
        True time at which an ideal clock would read 0.
    offset_ps, rate, drift_per_s : float
        Offset, relative frequency error, and its change a second.
    """

    start_ps: int
    offset_ps: float
    rate: float
    drift_per_s: float

    @classmethod
    def drawn(cls, start_ps: int, limits: ClockSettings, rng: np.random.Generator) -> DriftingClock:
        """A clock with errors drawn uniformly within the limits."""
        offset_ps, rate, drift = rng.uniform(-1, 1, 3) * (limits.offset_us * 1e6, limits.rate_ppm * 1e-6, 1.0)
        return cls(start_ps, float(offset_ps), float(rate), float(drift * limits.drift_ppb_s * 1e-9))

    def read(self, true_ps: IntArray) -> IntArray:
        """Readings at true times, ps."""
        elapsed_ps = true_ps - self.start_ps
        return elapsed_ps + np.rint(self._error_ps(elapsed_ps)).astype(np.int64)

    def when(self, reading_ps: IntArray) -> IntArray:
        """True times of readings, ps; inverse of `read` to a picosecond."""
        elapsed_ps = reading_ps - np.rint(self._error_ps(reading_ps)).astype(np.int64)
        # the error changes by 1e-7 of the first correction: one more round brings it below a picosecond
        elapsed_ps = reading_ps - np.rint(self._error_ps(elapsed_ps)).astype(np.int64)
        return elapsed_ps + self.start_ps

    def _error_ps(self, elapsed_ps: IntArray) -> FloatArray:
        error_ps: FloatArray = self.offset_ps + elapsed_ps * (self.rate + elapsed_ps * (self.drift_per_s / 2e12))
        return error_ps
