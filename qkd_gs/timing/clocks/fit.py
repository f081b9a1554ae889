"""A smooth curve through noisy times: robust trend, least-squares spline, and its error from the data alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import make_lsq_spline

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.timing.clocks.residuals import Curve, Piece, Residuals

_TREND_BIN_S = 0.1
_TREND_WINDOW_NS = 200.0
_NORMAL_POINT_S = 0.01
_POINTS_PER_KNOT = 8
_HELD_OUT_BIN_S = 0.02
_HELD_OUT_PULSES = 16  # of all in a bin: half of them are held out
_LEAST_PULSES = 4


def trend(residuals: Residuals) -> Curve:
    """Rough trend of all residuals: in each tenth of a second the median of the densest 200 ns.

    Bins without a clear peak (a fade: noise only) are interpolated.
    """
    t_s, residual_ns = (residuals.time_ps - residuals.start_ps) * 1e-12, residuals.value_ns
    edges = np.searchsorted(t_s, np.arange(t_s[0], t_s[-1] + _TREND_BIN_S, _TREND_BIN_S))
    at_s, level_ns = [], []
    for first, last in pairwise(edges):
        ordered = np.sort(residual_ns[first:last])
        counts_within = np.searchsorted(ordered, ordered + _TREND_WINDOW_NS) - np.arange(len(ordered))
        if len(ordered) >= 8 and counts_within.max() > len(ordered) / 2:
            k = int(counts_within.argmax())
            at_s.append(float(t_s[first:last].mean()))
            level_ns.append(float(np.median(ordered[k : k + counts_within[k]])))
    if not at_s:
        at_s, level_ns = [0.0], [float(np.median(residual_ns))]
    return lambda times_s: np.interp(times_s, at_s, level_ns)


def fit_smooth(pieces: Iterable[Piece], knot_s: float) -> Curve:
    """Least-squares cubic spline with a knot every `knot_s` seconds, fewer where there are few pulses.

    Outside the data the value at its end is held.
    """
    at_s, level_ns, count, _ = _normal_points(pieces, _NORMAL_POINT_S)
    inner = np.arange(at_s[0] + knot_s, at_s[-1] - knot_s / 2, knot_s)
    order = np.searchsorted(at_s, inner)
    keep, last = [], 0
    for knot, index in zip(inner, order, strict=True):  # every interval between knots needs enough points
        if index - last >= _POINTS_PER_KNOT and len(at_s) - index >= _POINTS_PER_KNOT:
            keep.append(knot)
            last = index
    knots = np.concatenate([[at_s[0]] * 4, keep, [at_s[-1]] * 4])
    spline = make_lsq_spline(at_s, level_ns, knots, w=np.sqrt(count))

    def smooth(times_s: AnyFloatArray) -> AnyFloatArray:
        value: AnyFloatArray = spline(np.clip(times_s, at_s[0], at_s[-1]))
        return value

    return smooth


@dataclass(frozen=True)
class HeldOut:
    """Error of the fit, from pulses that it has not seen."""

    sync_rms_ns: float
    single_rms_ns: float
    series_t_s: AnyFloatArray
    series_rms_ns: AnyFloatArray


def held_out_rms(residuals: Residuals, knot_s: float) -> HeldOut:
    """Fit every second one of the chosen pulses, and evaluate the fit on the others.

    The held-out pulses are averaged over 20 ms, or longer where there are few; the mean square of these averages minus
    the contribution of the jitter of single pulses (variance / number) is the error of the clock itself.  One standard
    error of that difference is added, so that an error too small to be detected is not reported as zero.
    """
    smooth = fit_smooth(residuals.pieces(0, 2), knot_s)
    rest = [(t_s, value_ns - smooth(t_s)) for t_s, value_ns in residuals.pieces(1, 2)]
    span_s = float(residuals.time_ps[-1] - residuals.time_ps[0]) * 1e-12
    bin_s = max(_HELD_OUT_BIN_S, _HELD_OUT_PULSES * span_s / max(len(residuals), 1))  # longer for a slow or dim beacon
    _, mean, count, variance = _normal_points(rest, bin_s)
    good = count >= _LEAST_PULSES
    squares = mean[good] ** 2 - variance[good] / count[good]
    excess = float(np.average(squares, weights=count[good]))
    doubt = float(np.sqrt(np.sum((count[good] * (squares - excess)) ** 2)) / np.sum(count[good]))
    second_s, level, number, spread = _normal_points(rest, 1.0)
    return HeldOut(
        float(np.sqrt(max(excess, 0.0) + doubt)),
        float(np.sqrt(np.mean(np.concatenate([left for _, left in rest]) ** 2))),
        second_s,
        np.sqrt(level**2 + spread * np.maximum(number - 1, 0) / number),
    )


def _normal_points(pieces: Iterable[Piece], bin_s: float) -> AnyFloatArray:
    """Means over short bins, (4, bins): time, value, number, sample variance of the values."""
    rows, start_s = [], None
    rest: Piece = np.empty(0), np.empty(0)
    for piece in pieces:
        t_s, value = (np.concatenate([old, new]) for old, new in zip(rest, piece, strict=True))
        if not len(t_s):
            continue
        start_s = float(t_s[0]) if start_s is None else start_s
        index = ((t_s - start_s) / bin_s).astype(np.int64)
        whole = int(np.searchsorted(index, index[-1]))  # of the last bin more may come
        rows.append(_bin_means(index[:whole], t_s[:whole], value[:whole]))
        rest = t_s[whole:], value[whole:]
    rows.append(_bin_means(np.zeros(len(rest[0]), np.int64), *rest))
    return np.concatenate(rows, axis=1)


def _bin_means(index: IntArray, t_s: AnyFloatArray, value: AnyFloatArray) -> AnyFloatArray:
    """Rows of `_normal_points` of the bins from the first to the last of these."""
    if not len(index):
        return np.empty((4, 0))
    index = index - index[0]
    number = np.bincount(index).astype(float)
    full = number > 0
    number = number[full]
    time = np.bincount(index, t_s)[full] / number
    mean = np.bincount(index, value)[full] / number
    square = np.bincount(index, value**2)[full] / number
    variance = np.maximum(square - mean**2, 0.0) * number / np.maximum(number - 1, 1)
    return np.stack([time, mean, number, variance])
