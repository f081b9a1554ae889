"""Name the converter's time by the GPS second marks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError

_PS = 10**12
_MIN_MARKS = 5
_REJECT_SIGMA = 5.0
_MAX_RATE_ERROR = 1e-4  # an oscillator this far off is broken


@dataclass(frozen=True)
class SecondScale:
    """UTC of a converter time: utc = tdc + offset + polynomial of the converter's own drift.

    Attributes
    ----------
    first_mark_ps : int
        Converter time of the first mark.
    first_utc_ns : int
        The second it marks.
    error_ps : (3,) float
        Coefficients, lowest first, of (converter - UTC) in ps over seconds since the first mark.
    rms_ps : float
        Scatter of the marks about the fit (the receiver's jitter).
    marks, rejected : int
        Marks used and left out.
    """

    first_mark_ps: int
    first_utc_ns: int
    error_ps: FloatArray
    rms_ps: float
    marks: int
    rejected: int

    def utc_ps(self, tdc_ps: IntArray) -> IntArray:
        """UTC in ps since `first_utc_ns` of converter times."""
        since_ps = tdc_ps - self.first_mark_ps
        error_ps = np.polynomial.polynomial.polyval(since_ps * 1e-12, self.error_ps)
        utc: IntArray = since_ps - np.rint(error_ps).astype(np.int64)
        return utc

    def tdc_ps(self, utc_ns: IntArray) -> IntArray:
        """Converter times of UTC times, ns since the Unix epoch; inverse of `utc_ps`."""
        since_ps = (utc_ns - self.first_utc_ns) * 1000
        tdc_ps = since_ps + self.first_mark_ps
        for _ in range(2):  # the error changes by 1e-6 of itself a round
            tdc_ps = tdc_ps + since_ps - self.utc_ps(tdc_ps)
        return tdc_ps


def name_seconds(mark_ps: IntArray, delay_ps: int, start_utc_ns: int) -> SecondScale:
    """Fit the scale to the second marks of a run.

    Parameters
    ----------
    mark_ps : (n,) int64
        Converter times of the PPS tags.
    delay_ps : int
        Delay of the PPS cable.
    start_utc_ns : int
        UTC at which the converter started, good to 0.4 s: it names the first second, the marks do the rest.

    Raises
    ------
    StationError
        Too few marks, or marks that are not a second apart.
    """
    mark_ps = mark_ps - delay_ps
    if len(mark_ps) < _MIN_MARKS:
        raise StationError(f'only {len(mark_ps)} second marks in the tags, {_MIN_MARKS} are needed', where='PPS')
    count = _seconds_between(mark_ps)
    first_utc_ns = round((start_utc_ns + mark_ps[0] / 1000) / 1e9) * 10**9
    error = (mark_ps - mark_ps[0] - count * _PS).astype(float)
    keep = np.ones(len(error), bool)
    for _ in range(10):
        fit = np.polynomial.polynomial.polyfit(count[keep], error[keep], 2 if keep.sum() > 2 * _MIN_MARKS else 1)
        residual = error - np.polynomial.polynomial.polyval(count, fit)
        sigma = max(1.4826 * float(np.median(np.abs(residual[keep]))), 1.0)
        now = np.abs(residual) < _REJECT_SIGMA * sigma
        if (now == keep).all():
            break
        keep = now
    fit = np.pad(fit, (0, 3 - len(fit)))
    rms = float(np.sqrt(np.mean(residual[keep] ** 2)))
    return SecondScale(int(mark_ps[0]), int(first_utc_ns), fit, rms, int(keep.sum()), int((~keep).sum()))


def _seconds_between(mark_ps: IntArray) -> IntArray:
    """Whole seconds from the first mark to each one; lost marks leave gaps."""
    count: IntArray = np.rint((mark_ps - mark_ps[0]) / _PS).astype(np.int64)
    off = np.abs(mark_ps - mark_ps[0] - count * _PS) > _MAX_RATE_ERROR * np.maximum(count, 1) * _PS
    if off.mean() > 0.1 or (np.diff(count) < 1).any():
        raise StationError('the second marks are not a second apart', where='PPS', hint='check the GPS receiver')
    return count
