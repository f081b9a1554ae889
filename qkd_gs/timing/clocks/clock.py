"""Recover the satellite's clock from its 10 kHz beacon pulses.

The PPS pulses give the UTC second, the predicted light-time names the pulse, and the satellite's own log says when
that pulse really left.  What is left over (the error of the prediction and of both clocks) is smooth and is
fitted by a cubic spline over all pulses, through fades and outliers; the straight line over 0.2 s that one might
try instead errs by 0.5 ns at the range acceleration of a 500 km pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.settings.timing_model import TimingModel
from qkd_gs.timing.clocks.fit import fit_smooth, held_out_rms, trend
from qkd_gs.timing.clocks.pps import PpsTimescale
from qkd_gs.timing.clocks.pulse_number import find_shift, residuals_ns
from qkd_gs.timing.clocks.residuals import Curve, Residuals
from qkd_gs.timing.pulse_times import PulseTimes
from qkd_gs.timing.spline import TimeMap

GRID_PS = 50 * 10**9  # the light-time's fourth derivative makes less than 1e-3 ps of error over this
_GATES_NS = (100.0, 10.0, 2.5)
_MAX_GAP_PS = 1_500 * 10**9  # a longer gap ends a span: no clock is claimed inside it
_NEVER_PS = -(1 << 62)
_MIN_PULSES = 1000
_ANY = TimingModel()


@dataclass(frozen=True)
class ClockFit:
    """The satellite's clock as a function of the TDC's.

    Attributes
    ----------
    to_satellite : TimeMap
        TDC time of arrival (delays taken off) to satellite time of emission, ps.
    spans_ps : (m, 2) int64
        Intervals of TDC time in which the clock holds.
    sync_rms_ns : float
        Error of the clock at held-out pulses, single-pulse jitter taken out.
    residual_single_ns : float
        RMS of single held-out pulses about the clock.
    pulses, outliers : int
        Pulses used, and tags on the beacon's channel left out (noise, mostly).
    series_t_ps, series_rms_ns : (k,) arrays
        RMS of single pulses by second of TDC time, for reports.
    """

    to_satellite: TimeMap
    spans_ps: IntArray
    sync_rms_ns: float
    residual_single_ns: float
    pulses: int
    outliers: int
    series_t_ps: IntArray
    series_rms_ns: AnyFloatArray


def recover_clock(
    beacon_ps: IntArray,
    scale: PpsTimescale,
    emission_ps: Callable[[IntArray], IntArray],
    log: PulseTimes,
    model: TimingModel = _ANY,
) -> ClockFit:
    """Fit the satellite's clock.

    Parameters
    ----------
    beacon_ps : (n,) int64
        TDC times of the beacon's tags, cable delay taken off, ascending.
    scale : PpsTimescale
        UTC of TDC times.
    emission_ps : callable
        UTC of arrival (ps since ``scale.first_utc_ns``) to predicted satellite time of emission, ps.
    log : PulseTimes
        The satellite's log: its times of emission.
    model : TimingModel

    Raises
    ------
    StationError
        Too few pulses, or pulses that fit no numbering of the log.
    """
    if len(beacon_ps) < _MIN_PULSES:
        raise StationError(f'only {len(beacon_ps)} beacon tags, {_MIN_PULSES} are needed', where='BEACON')
    start_ps, end_ps = int(beacon_ps[0]) - GRID_PS, int(beacon_ps[-1]) + 2 * GRID_PS
    grid = np.arange(start_ps, end_ps, GRID_PS, dtype=np.int64)
    predicted = emission_ps(scale.utc_ps(grid))
    rough = TimeMap.through(start_ps, GRID_PS, predicted - grid, np.zeros(len(grid)))
    expected_ps = rough(beacon_ps)
    residuals = Residuals.of_all(
        beacon_ps, start_ps, residuals_ns(expected_ps, log, find_shift(expected_ps, log, model))
    )
    del expected_ps  # as many as there are tags

    residuals = residuals.near(trend(residuals), _GATES_NS[0])
    smooth, residuals = fitted(residuals, _GATES_NS[1:], model.knot_s)
    return corrected_clock(grid, predicted, smooth, residuals, len(beacon_ps) - len(residuals), model.knot_s)


def fitted(residuals: Residuals, gates_ns: Sequence[float], knot_s: float) -> tuple[Curve, Residuals]:
    """Curve through the chosen residuals, and those within the last of ever narrower gates about it.

    Raises
    ------
    StationError
        Too few are left.
    """
    for gate_ns in gates_ns:
        residuals = residuals.near(fit_smooth(residuals.pieces(), knot_s), gate_ns)
    if len(residuals) < _MIN_PULSES:
        raise StationError(
            f'only {len(residuals)} pulses agree with the satellite log, {_MIN_PULSES} are needed', where='beacon log'
        )
    return fit_smooth(residuals.pieces(), knot_s), residuals


def corrected_clock(
    grid: IntArray, predicted: IntArray, smooth: Curve, residuals: Residuals, outliers: int, knot_s: float
) -> ClockFit:
    """Clock from the prediction on a grid of TDC times, `GRID_PS` apart, and the curve that corrects it."""
    start_ps, held = int(grid[0]), held_out_rms(residuals, knot_s)
    correction_ps = smooth((grid - start_ps) * 1e-12) * 1e3
    whole = np.rint(correction_ps).astype(np.int64)
    return ClockFit(
        TimeMap.through(start_ps, GRID_PS, predicted - grid + whole, correction_ps - whole),
        _spans(residuals.arrivals_ps()),
        held.sync_rms_ns,
        held.single_rms_ns,
        len(residuals),
        outliers,
        start_ps + np.rint(held.series_t_s * 1e12).astype(np.int64),
        held.series_rms_ns,
    )


def _spans(pieces: Iterable[IntArray]) -> IntArray:
    """Intervals without a gap that is too long to be bridged."""
    firsts, lasts, before_ps = list[int](), list[int](), np.array([_NEVER_PS])
    for piece_ps in pieces:
        pulse_ps = np.concatenate([before_ps, piece_ps])
        breaks = np.flatnonzero(np.diff(pulse_ps) > _MAX_GAP_PS)
        firsts += pulse_ps[breaks + 1].tolist()
        lasts += pulse_ps[breaks].tolist()
        before_ps = pulse_ps[-1:]
    return np.column_stack([firsts, [*lasts[1:], *before_ps.tolist()]])
