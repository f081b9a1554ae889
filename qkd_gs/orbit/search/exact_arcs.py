"""Intervals above an elevation with every position computed, for the pass that is taken.

The list of passes interpolates positions (`arcs`): its times err by some 0.1 ms, as the velocities of SGP4 are not
quite the derivatives of its positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize.elementwise import find_minimum, find_root

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.vectors import enu_rotation, site_itrs_m
from qkd_gs.settings.site import Site

_SAMPLES_A_REVOLUTION = 30  # elevation has one maximum a revolution, however short the pass
_LONGEST_STEP_S = 600.0  # a high satellite's elevation follows the Earth's rotation
_MISSED_SINE = 0.8  # largest difference between a sample and the maximum next to it (200 km up, half a step: 0.7)
_TIME_TOLERANCE_S = 1e-5


@dataclass(frozen=True)
class ExactArc:
    """One interval above the elevation, in seconds of its `ExactView`."""

    rise_s: float
    culmination_s: float
    set_s: float


class ExactView:
    """An orbit seen from a site, with time as seconds since an origin."""

    def __init__(self, orbit: Orbit, site: Site, origin_ns: int):
        self.orbit = orbit
        self.origin_ns = origin_ns
        self._site_m = site_itrs_m(site)
        self.enu = enu_rotation(site)

    def t_ns(self, t_s: FloatArray) -> IntArray:
        """UTC, ns, of seconds since the origin; any shape."""
        return self.origin_ns + np.rint(t_s * 1e9).astype(np.int64)

    def vectors_m(self, t_s: FloatArray) -> FloatArray:
        """East-north-up vectors (..., 3) for times of any shape; geometric, of the instant."""
        itrs_m = self.orbit.itrs_m(self.t_ns(t_s).ravel())
        vectors: FloatArray = ((itrs_m - self._site_m) @ self.enu.T).reshape(*t_s.shape, 3)
        return vectors

    def sine(self, t_s: FloatArray) -> FloatArray:
        """Sine of the elevation: monotonic in the elevation, and smooth through the zenith."""
        vectors = self.vectors_m(t_s)
        return np.asarray(vectors[..., 2] / lengths(vectors))


def find_arcs(
    view: ExactView, window_s: tuple[float, float], span_s: tuple[float, float], low: float
) -> list[ExactArc]:
    """Intervals above the sine `low` of elevation that culminate in the span, in order.

    The search covers the wider window; an interval that extends beyond the window is cut to the span, and listed
    wherever it culminates.
    """
    step_s = min(view.orbit.period_s() / _SAMPLES_A_REVOLUTION, _LONGEST_STEP_S)
    count = max(int((window_s[1] - window_s[0]) / step_s) + 2, 5)
    t_s = np.unique(np.concatenate((np.linspace(*window_s, count), span_s)))
    sine = view.sine(t_s)
    tops = _maxima(view, t_s, sine, low)
    t_s = np.concatenate((t_s, tops))
    sine = np.concatenate((sine, view.sine(tops) if tops.size else tops))
    order = np.argsort(t_s)
    t_s, sine = t_s[order], sine[order]

    up = sine > low
    change = np.flatnonzero(up[1:] != up[:-1])
    crossings = _crossings(view, t_s[change], t_s[change + 1], low)
    edges = np.concatenate((t_s[:1][up[:1]], crossings, t_s[-1:][up[-1:]]))
    found = []
    for up_s, down_s in edges.reshape(-1, 2).tolist():
        no_rise, no_set = up_s == window_s[0], down_s == window_s[1]
        rise_s, set_s = span_s[0] if no_rise else up_s, span_s[1] if no_set else down_s
        first, last = np.searchsorted(t_s, [rise_s, set_s], side='left')
        if last < first:
            continue
        top_s = float(t_s[first + np.argmax(sine[first : last + 1])])
        if span_s[0] <= top_s < span_s[1] or no_rise or no_set:
            found.append(ExactArc(rise_s, top_s, set_s))
    return found


def lengths(vectors: FloatArray) -> FloatArray:
    """Lengths of vectors (..., 3)."""
    return np.asarray(np.sqrt(np.einsum('...i,...i->...', vectors, vectors)))


def _maxima(view: ExactView, t_s: FloatArray, sine: FloatArray, low: float) -> FloatArray:
    """Times of the maxima that may be above `low`, each refined between its samples."""
    middle = sine[1:-1]
    is_top = (middle >= sine[:-2]) & (middle > sine[2:]) & (middle > low - _MISSED_SINE)
    k = np.flatnonzero(is_top) + 1
    if k.size == 0:
        return np.empty(0)
    result = find_minimum(
        lambda t: -view.sine(t),
        (t_s[k - 1], t_s[k], t_s[k + 1]),
        tolerances={'xatol': _TIME_TOLERANCE_S, 'xrtol': 0},
    )
    times: FloatArray = result.x
    return times


def _crossings(view: ExactView, before_s: FloatArray, after_s: FloatArray, low: float) -> FloatArray:
    """Times at which the sine of the elevation passes `low`, each between its brackets."""
    if before_s.size == 0:
        return np.empty(0)
    result = find_root(
        lambda t: view.sine(t) - low,
        (before_s, after_s),
        tolerances={'xatol': _TIME_TOLERANCE_S, 'xrtol': 0, 'fatol': 0},
    )
    times: FloatArray = result.x
    return times
