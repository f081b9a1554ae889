"""A smooth curve through noisy times: robust trend, least-squares spline, and its error from the data alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_lsq_spline

Values = NDArray[np.floating[Any]]

_TREND_BIN_S = 0.1
_TREND_WINDOW_NS = 200.0
_NORMAL_POINT_S = 0.01
_KNOT_S = 1.0
_POINTS_PER_KNOT = 8
_HELD_OUT_BIN_S = 0.02


def trend(t_s: Values, residual_ns: Values) -> Values:
    """Rough course of the residuals at each tag: in each tenth of a second the middle of the densest 200 ns.

    Bins without a clear crowd (a fade: noise only) are bridged.
    """
    edges = np.searchsorted(t_s, np.arange(t_s[0], t_s[-1] + _TREND_BIN_S, _TREND_BIN_S))
    at_s, level_ns = [], []
    for first, last in pairwise(edges):
        ordered = np.sort(residual_ns[first:last])
        crowd = np.searchsorted(ordered, ordered + _TREND_WINDOW_NS) - np.arange(len(ordered))
        if len(ordered) >= 8 and crowd.max() > len(ordered) / 2:
            k = int(crowd.argmax())
            at_s.append(float(t_s[first:last].mean()))
            level_ns.append(float(np.median(ordered[k : k + crowd[k]])))
    return np.interp(t_s, at_s, level_ns) if at_s else np.full(len(t_s), np.median(residual_ns))


def fit_smooth(t_s: Values, residual_ns: Values) -> Callable[[Values], Values]:
    """Least-squares cubic spline with a knot a second, fewer where there are few pulses.

    Outside the data the value at its end is held.
    """
    at_s, level_ns, count, _ = _normal_points(t_s, residual_ns, _NORMAL_POINT_S)
    inner = np.arange(at_s[0] + _KNOT_S, at_s[-1] - _KNOT_S / 2, _KNOT_S)
    order = np.searchsorted(at_s, inner)
    keep, last = [], 0
    for knot, index in zip(inner, order, strict=True):  # every interval needs points of its own
        if index - last >= _POINTS_PER_KNOT and len(at_s) - index >= _POINTS_PER_KNOT:
            keep.append(knot)
            last = index
    knots = np.concatenate([[at_s[0]] * 4, keep, [at_s[-1]] * 4])
    spline = make_lsq_spline(at_s, level_ns, knots, w=np.sqrt(count))

    def smooth(times_s: Values) -> Values:
        value: Values = spline(np.clip(times_s, at_s[0], at_s[-1]))
        return value

    return smooth


@dataclass(frozen=True)
class HeldOut:
    """Error of the fit, from pulses that it has not seen."""

    sync_rms_ns: float
    single_rms_ns: float
    series_t_s: Values
    series_rms_ns: Values


def held_out_rms(t_s: Values, residual_ns: Values) -> HeldOut:
    """Fit every other pulse, look at the rest.

    The held-out pulses are averaged over 20 ms; the mean square of these averages less what the jitter of single
    pulses leaves in them (variance / number) is the error of the clock itself.  One standard error of that
    difference is added, so that an error too small to be seen is not called zero.
    """
    smooth = fit_smooth(t_s[::2], residual_ns[::2])
    at_s, left = t_s[1::2], residual_ns[1::2] - smooth(t_s[1::2])
    _, mean, count, variance = _normal_points(at_s, left, _HELD_OUT_BIN_S)
    good = count >= 4
    squares = mean[good] ** 2 - variance[good] / count[good]
    excess = float(np.average(squares, weights=count[good]))
    doubt = float(np.sqrt(np.sum((count[good] * (squares - excess)) ** 2)) / np.sum(count[good]))
    second_s, level, number, spread = _normal_points(at_s, left, 1.0)
    return HeldOut(
        float(np.sqrt(max(excess, 0.0) + doubt)),
        float(np.sqrt(np.mean(left**2))),
        second_s,
        np.sqrt(level**2 + spread * np.maximum(number - 1, 0) / number),
    )


def _normal_points(t_s: Values, value: Values, bin_s: float) -> tuple[Values, Values, Values, Values]:
    """Means over short bins: (time, value, number, sample variance of the values)."""
    index = ((t_s - t_s[0]) / bin_s).astype(np.int64)
    number = np.bincount(index).astype(float)
    full = number > 0
    number = number[full]
    time = np.bincount(index, t_s)[full] / number
    mean = np.bincount(index, value)[full] / number
    square = np.bincount(index, value**2)[full] / number
    variance = np.maximum(square - mean**2, 0.0) * number / np.maximum(number - 1, 1)
    return time, mean, number, variance
