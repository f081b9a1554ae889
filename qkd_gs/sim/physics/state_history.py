"""True state of the last seconds, for exposures."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.jit import njit


class Column(IntEnum):
    """Quantities of each sample."""

    AZ = 0  # apparent direction of the line of sight
    EL = 1
    ROLL = 2  # of the tube against the sky's horizontal
    X = 3  # target's apparent direction in the tube without turbulence; NaN if there is none
    Y = 4
    TILT_X = 5  # cross-elevation
    TILT_Y = 6
    IRRADIANCE = 7  # of the target's beacon in front of the station, W/m^2, clouds and air included
    GUIDING = 8  # scintillation through the guiding camera's aperture
    TRACKING = 9  # and through the telescope's
    CLEAR = 10  # transmission of air and clouds for any other source in the field


class History:
    """Evenly spaced samples of `Column`; old ones are overwritten.

    Parameters
    ----------
    start_ns : int
        Time of the sample before the first.
    keep : int
        Samples that are guaranteed to be kept.
    """

    def __init__(self, start_ns: int, sample_ns: int, keep: int) -> None:
        self._sample_ns, self._keep = sample_ns, keep
        self._rows = np.full((len(Column), 4 * keep), np.nan)
        self._end = 0
        self._end_ns = start_ns

    def append(self, rows: FloatArray) -> None:
        """Add samples, (columns, n), that follow the last one."""
        count = rows.shape[1]
        self._end_ns += count * self._sample_ns
        if count > self._keep:  # more than the buffer keeps, after a stall
            rows, count, self._end = rows[:, -self._keep :], self._keep, 0
        if self._end + count > self._rows.shape[1]:
            kept = self._rows[:, self._end - self._keep : self._end].copy()
            self._rows[:, : self._keep] = kept
            self._end = self._keep
        self._rows[:, self._end : self._end + count] = rows
        self._end += count

    def hold(self, until_ns: int, row: FloatArray) -> None:
        """Repeat a sample, (columns, 1), until `until_ns`."""
        count = (until_ns - self._end_ns) // self._sample_ns
        kept = min(count, self._keep)
        self._end_ns += (count - kept) * self._sample_ns
        self.append(np.repeat(row, kept, axis=1))

    def at(self, t_ns: IntArray) -> FloatArray:
        """State at times (k,), linear between samples, (columns, k); times before the first sample get the first."""
        out = np.empty((len(Column), len(t_ns)))
        _sample(self._rows, self._end, (t_ns - self._end_ns) / self._sample_ns, out)
        return out


@njit(cache=True)
def _sample(rows, end, place, out):  # type: ignore[no-untyped-def]
    """Columns at places counted from the last sample, linear in between."""
    for k in range(place.shape[0]):
        at = min(max(end - 1 + place[k], 0.0), end - 1.0)
        index = min(int(at), max(end - 2, 0))
        part = at - index
        for column in range(rows.shape[0]):
            before = rows[column, index]
            out[column, k] = before + (rows[column, index + 1] - before) * part if part > 0 else before
