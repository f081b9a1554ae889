"""UTC of TDC times, from the PPS pulses of the GPS receiver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.timing.clocks.comb import MIN_PULSES, PS, PpsEdge, find_comb

_REJECT_SIGMA = 5.0


@dataclass(frozen=True)
class PpsTimescale:
    """UTC of a TDC time: utc = tdc + offset + polynomial of the TDC's own drift.

    Attributes
    ----------
    first_pulse_ps : int
        TDC time of the first PPS pulse that is used.
    first_utc_ns : int
        UTC second of that pulse.
    error_ps : (3,) float
        Coefficients, lowest first, of (TDC - UTC) in ps over seconds since the first pulse.
    rms_ps : float
        Scatter of the pulses about the fit (the receiver's jitter).
    pulses, rejected : int
        Pulses used, and left out: stray, doubled, late.
    """

    first_pulse_ps: int
    first_utc_ns: int
    error_ps: FloatArray
    rms_ps: float
    pulses: int
    rejected: int

    def utc_ps(self, tdc_ps: IntArray) -> IntArray:
        """UTC in ps since `first_utc_ns` of TDC times."""
        since_ps = tdc_ps - self.first_pulse_ps
        error_ps = np.polynomial.polynomial.polyval(since_ps * 1e-12, self.error_ps)
        utc: IntArray = since_ps - np.rint(error_ps).astype(np.int64)
        return utc

    def tdc_ps(self, utc_ns: IntArray) -> IntArray:
        """TDC times of UTC times, ns since the Unix epoch; inverse of `utc_ps`."""
        since_ps = (utc_ns - self.first_utc_ns) * 1000
        tdc_ps = since_ps + self.first_pulse_ps
        for _ in range(2):  # the error changes by 1e-6 of itself a round
            tdc_ps = tdc_ps + since_ps - self.utc_ps(tdc_ps)
        return tdc_ps


def fit_pps(pulse_ps: IntArray, delay_ps: int, start_utc_ns: int, edge: PpsEdge = 'rising') -> PpsTimescale:
    """Fit the timescale to the PPS pulses of a run.

    Stray, doubled and late pulses are left out (`qkd_gs.timing.clocks.comb`), so that the second is named by the
    pulses that most of the others agree with, and not by the first one.

    Parameters
    ----------
    pulse_ps : (n,) int64
        TDC times of the PPS tags, ascending.
    delay_ps : int
        Delay of the PPS cable.
    start_utc_ns : int
        UTC at which the TDC started, good to 0.4 s: it identifies the first second, the pulses the others.
    edge : {'rising', 'falling'}
        Edge of a pulse that marks the second, where both are tagged.

    Raises
    ------
    StationError
        Too few pulses, or pulses that are not a second apart.
    """
    pulse_ps = pulse_ps - delay_ps
    found = find_comb(pulse_ps, edge)
    first_ps = int(pulse_ps[found.used[0]])
    count = found.second[found.used] - found.second[found.used[0]]
    error = (pulse_ps[found.used] - first_ps - count * PS).astype(float)
    first_utc_ns = round((start_utc_ns + first_ps / 1000) / 1e9) * 10**9
    keep = np.ones(len(error), bool)
    for _ in range(10):
        fit = np.polynomial.polynomial.polyfit(count[keep], error[keep], 2 if keep.sum() > 2 * MIN_PULSES else 1)
        residual = error - np.polynomial.polynomial.polyval(count, fit)
        sigma = max(1.4826 * float(np.median(np.abs(residual[keep]))), 1.0)
        now = np.abs(residual) < _REJECT_SIGMA * sigma
        if (now == keep).all():
            break
        keep = now
    fit = np.pad(fit, (0, 3 - len(fit)))
    rms = float(np.sqrt(np.mean(residual[keep] ** 2)))
    return PpsTimescale(first_ps, int(first_utc_ns), fit, rms, int(keep.sum()), len(pulse_ps) - int(keep.sum()))
