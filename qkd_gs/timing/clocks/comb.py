"""Tags of a PPS input that mark the second: the comb of a second that most of them agree with.

A PPS input carries more than its pulses: glitches of a cable, reflections, the other edge of each pulse, pulses of a
receiver that restarts or drifts away.  The pulses lie on a smooth curve: phase, rate and drift of the TDC's clock.  A
curve through three tags is right if many seconds have a tag on it, so curves through many triples are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from qkd_gs.arrays import AnyFloatArray, BoolArray, IntArray
from qkd_gs.errors import StationError

PpsEdge = Literal['rising', 'falling']
PS = 10**12
MIN_PULSES = 5
_MAX_RATE_ERROR = 1e-4  # an oscillator this far off is broken
_MAX_DRIFT_S = 1e-7  # change of the rate a second
_TRIPLES = 400
_TOLERANCES_PS = (5e5, 5e6, 5e7)  # the tightest that most seconds agree with
_COVERED = 0.5  # of the seconds in which there are tags
_OTHER_EDGE = 0.5  # of the comb's pulses that a comb of the other edges has at least
_LEAST_APART_PS = 1e9  # of a pulse's edges from each other, and from half a second
_MAX_TAGS = 1_000_000
_WHERE = 'PPS'


@dataclass(frozen=True)
class Comb:
    """Tags that mark seconds.

    Attributes
    ----------
    second : (n,) int64
        Nearest second of every tag, counted from any of them.
    used : (m,) int64
        Indices of the tags that mark a second, at most one for each.
    """

    second: IntArray
    used: IntArray


def find_comb(pulse_ps: IntArray, edge: PpsEdge) -> Comb:
    """Find the comb of a second.

    Parameters
    ----------
    pulse_ps : (n,) int64
        Tags of the PPS input, ascending.
    edge : {'rising', 'falling'}
        Edge that marks the second, if both are tagged: pulses are shorter than half a second.

    Raises
    ------
    StationError
        Too few tags, or too few of them agree.
    """
    if len(pulse_ps) < MIN_PULSES:
        raise StationError(f'only {len(pulse_ps)} PPS pulses in the tags, {MIN_PULSES} are needed', where=_WHERE)
    if len(pulse_ps) > _MAX_TAGS:
        raise StationError(f'{len(pulse_ps)} tags are no mark a second', where=_WHERE, hint='is it the right input?')
    curves = _Curves(pulse_ps)
    best, tolerance_ps = curves.best(np.ones(len(pulse_ps), bool))
    agree = curves.support(best, tolerance_ps)
    if agree < MIN_PULSES or agree < _COVERED * curves.seconds_seen:
        raise StationError(
            f'the PPS pulses are not a second apart: of {len(pulse_ps)} tags only {agree} agree',
            where=_WHERE,
            hint='check the GPS receiver',
        )
    second, off_ps = curves.seconds(curves.chosen_edge(best, tolerance_ps, edge))
    near = np.flatnonzero(np.abs(off_ps) < tolerance_ps)
    if tolerance_ps > _TOLERANCES_PS[0]:
        near = near[np.lexsort((np.abs(off_ps[near]), second[near]))]  # of several in a second the nearest to the curve
    # where they are that close to each other, the first of them: a reflection comes later
    return Comb(second, near[np.unique(second[near], return_index=True)[1]])


class _Curves:
    """Curves phase + rate t + drift t^2 (ps; t in s from the middle) against the tags."""

    def __init__(self, pulse_ps: IntArray) -> None:
        self._middle_ps = int(pulse_ps[len(pulse_ps) // 2])
        since_ps = pulse_ps - self._middle_ps
        self._second: IntArray = np.rint(since_ps / PS).astype(np.int64)
        self._phase_ps: AnyFloatArray = np.asarray(since_ps - self._second * PS, np.float64)  # exact: below 1e12
        self._t_s: AnyFloatArray = since_ps * 1e-12
        self.seconds_seen = len(np.unique(since_ps // PS))
        # the same three tags of the same file, always
        self._random = np.random.default_rng(len(pulse_ps))

    def best(self, among: BoolArray) -> tuple[AnyFloatArray, float]:
        """Coefficients of the curve that most seconds agree with, of those through three of these tags; tolerance."""
        candidates = self._candidates(np.flatnonzero(among))
        found, support = candidates[0], -1
        for tolerance_ps in _TOLERANCES_PS:
            for curve in candidates:
                seconds = self.support(curve, tolerance_ps, among)
                if seconds > support:
                    found, support = curve, seconds
            if support >= _COVERED * self.seconds_seen:
                break
        return found, tolerance_ps

    def seconds(self, curve: AnyFloatArray) -> tuple[IntArray, AnyFloatArray]:
        """Nearest second of each tag on a curve, and its distance from it in ps."""
        away_ps = self._phase_ps - np.polynomial.polynomial.polyval(self._t_s, curve)
        more = np.rint(away_ps / PS)
        return self._second + more.astype(np.int64), away_ps - more * PS

    def chosen_edge(self, curve: AnyFloatArray, tolerance_ps: float, edge: PpsEdge) -> AnyFloatArray:
        """The curve, or that of the other edges if both edges are tagged and those mark the second."""
        _, off_ps = self.seconds(curve)
        rest = np.abs(off_ps) >= _LEAST_APART_PS
        if rest.sum() < MIN_PULSES:
            return curve
        later_ps = float(np.median(off_ps[rest] % PS))  # of the other edges behind these
        moved = curve + np.array([later_ps, 0.0, 0.0])
        own, other = self.support(curve, tolerance_ps), self.support(moved, 10 * tolerance_ps)
        if other < _OTHER_EDGE * own:
            return curve
        if abs(later_ps - PS / 2) < _LEAST_APART_PS:
            raise StationError(
                'two tags a second, half a second apart: which one marks it?', where=_WHERE, hint='tag one edge only'
            )
        leads = later_ps < PS / 2
        return curve if leads == (edge == 'rising') else self.best(rest)[0]

    def _candidates(self, index: IntArray) -> list[AnyFloatArray]:
        """Curves through three tags each, that an oscillator can have; straight lines where there are few tags."""
        if len(index) < 2 * MIN_PULSES:
            pairs = [(a, b) for k, a in enumerate(index) for b in index[k + 1 :]]
            found = [self._line(int(a), int(b)) for a, b in pairs]
        else:
            thirds = np.array_split(index, 3)
            triples = np.column_stack([self._random.choice(third, _TRIPLES) for third in thirds])
            found = [self._parabola(triple) for triple in triples]
            near = np.array_split(index, max(len(index) // 20, 1))  # where the clock wanders: a straight line nearby
            found += [
                self._line(*map(int, self._random.choice(part, 2, replace=False))) for part in near if len(part) > 1
            ]
        flat = [np.array([self._phase_ps[k], 0.0, 0.0]) for k in self._random.choice(index, min(len(index), 50))]
        sound = [curve for curve in found if abs(curve[1]) < _MAX_RATE_ERROR * PS and abs(curve[2]) < _MAX_DRIFT_S * PS]
        return sound + flat

    def _line(self, a: int, b: int) -> AnyFloatArray:
        span_s = self._t_s[b] - self._t_s[a]
        rise_ps = self._wrapped(self._phase_ps[b] - self._phase_ps[a])
        rate = rise_ps / span_s if span_s else np.inf
        return np.array([self._phase_ps[a] - rate * self._t_s[a] if span_s else 0.0, rate, 0.0])

    def _parabola(self, triple: IntArray) -> AnyFloatArray:
        t_s = self._t_s[triple]
        phase_ps = self._phase_ps[triple[0]] + self._wrapped(self._phase_ps[triple] - self._phase_ps[triple[0]])
        if t_s[1] - t_s[0] < 1 or t_s[2] - t_s[1] < 1:
            return np.array([0.0, np.inf, 0.0])
        first, second = np.diff(phase_ps) / np.diff(t_s)
        drift = (second - first) / (t_s[2] - t_s[0])
        rate = first - drift * (t_s[0] + t_s[1])
        return np.array([phase_ps[0] - rate * t_s[0] - drift * t_s[0] ** 2, rate, drift])

    def support(self, curve: AnyFloatArray, tolerance_ps: float, among: BoolArray | None = None) -> int:
        """Seconds that have a tag on the curve."""
        second, off_ps = self.seconds(curve)
        near = np.abs(off_ps) < tolerance_ps
        return len(np.unique(second[near if among is None else near & among]))

    @staticmethod
    def _wrapped(phase_ps: AnyFloatArray) -> AnyFloatArray:
        away: AnyFloatArray = phase_ps - np.rint(phase_ps / PS) * PS
        return away
