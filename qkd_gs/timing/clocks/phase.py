"""Phase of a train of pulses from clicks that know it only modulo its period: found in windows, and unwrapped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from qkd_gs.arrays import AnyFloatArray

_WINDOW_S = 0.25, 1.0  # shortest and longest: the longer, the less the frequency may change
_CLICKS = 80  # in a window, if it need not be longer for that
_BINS, _PADDED = 4096, 16384  # frequencies up to 8 kHz either way in the shortest window, in steps of 1 Hz
_LEAST_CLICKS = 40
_CHANCE = 20.0  # noise has a peak of this height, over the number of clicks, in one of 100,000 windows
_MOST_GAP_S = 1.5
_AMBIGUOUS = 0.25  # cycles
_REFINED = 3


@dataclass(frozen=True)
class _Window:
    """Middle of a window, s; cycles a second and cycles there."""

    t_s: float
    rate_hz: float
    cycles: float


@dataclass(frozen=True)
class Track:
    """An interval in which the phase is known up to a whole number of cycles.

    Attributes
    ----------
    window_s : float
        Length of its windows.
    t_s, cycles, rate_hz : (k,) arrays
        Their middles, phase, and its slope.
    """

    window_s: float
    t_s: AnyFloatArray
    cycles: AnyFloatArray
    rate_hz: AnyFloatArray

    @property
    def start_s(self) -> float:
        """Start, s."""
        return float(self.t_s[0]) - self.window_s / 2

    @property
    def end_s(self) -> float:
        """End, s."""
        return float(self.t_s[-1]) + self.window_s / 2

    def at(self, t_s: AnyFloatArray) -> AnyFloatArray:
        """Cycles at times between its ends."""
        ends_s = np.array([self.start_s, self.end_s])
        ends = self.cycles[[0, -1]] + self.rate_hz[[0, -1]] * (ends_s - self.t_s[[0, -1]])
        curve = CubicHermiteSpline(
            np.concatenate([ends_s[:1], self.t_s, ends_s[1:]]),
            np.concatenate([ends[:1], self.cycles, ends[1:]]),
            np.concatenate([self.rate_hz[:1], self.rate_hz, self.rate_hz[-1:]]),
        )
        value: AnyFloatArray = curve(t_s)
        return value


def tracks(t_s: AnyFloatArray, cycles: AnyFloatArray) -> list[Track]:
    """Tracks of clicks at ascending times, whose phase is known modulo 1."""
    window_s = float(np.clip(_CLICKS * (t_s[-1] - t_s[0]) / len(t_s), *_WINDOW_S))
    edges = np.arange(t_s[0], t_s[-1] + window_s, window_s)
    at = np.searchsorted(t_s, edges)
    found = [
        _window(t_s[first:end], cycles[first:end], edge, window_s)
        for first, end, edge in zip(at, at[1:], edges.tolist(), strict=False)
    ]
    joined = list[list[_Window]]()
    for window in found:
        if window is None:
            continue
        following = _unwrapped(joined[-1][-1], window, window_s) if joined else None
        if following is None:
            joined.append([window])
        else:
            joined[-1].append(following)
    return [Track(window_s, *np.array([(w.t_s, w.cycles, w.rate_hz) for w in windows]).T) for windows in joined]


def _window(t_s: AnyFloatArray, cycles: AnyFloatArray, start_s: float, window_s: float) -> _Window | None:
    """Frequency and phase of a window, or None if its clicks have none in common."""
    if len(t_s) < _LEAST_CLICKS:
        return None
    middle_s = start_s + window_s / 2
    turn = np.exp(2j * np.pi * cycles)
    into = np.clip((t_s - start_s) * (_BINS / window_s), 0, _BINS - 1).astype(np.int64)
    sums = np.bincount(into, turn.real, _BINS) + 1j * np.bincount(into, turn.imag, _BINS)
    spectrum = np.fft.fft(sums, _PADDED)
    rate_hz = float(np.fft.fftfreq(_PADDED, window_s / _BINS)[int(np.argmax(np.abs(spectrum)))])
    since_s = t_s - middle_s
    phase = 0.0
    for _ in range(_REFINED):
        left = turn * np.exp(-2j * np.pi * (rate_hz * since_s))
        mean = left.sum()
        phase = float(np.angle(mean)) / (2 * np.pi)
        away = np.angle(left * np.conj(mean)) / (2 * np.pi)
        near = np.abs(away) < _AMBIGUOUS
        if near.sum() < _LEAST_CLICKS / 2:
            return None
        slope = np.polyfit(since_s[near], away[near], 1)
        rate_hz += float(slope[0])
        phase += float(slope[1])
    left = turn * np.exp(-2j * np.pi * (rate_hz * since_s + phase))
    if abs(left.sum()) ** 2 < _CHANCE * len(t_s):
        return None
    return _Window(middle_s, rate_hz, phase)


def _unwrapped(before: _Window, window: _Window, window_s: float) -> _Window | None:
    """The window with the whole cycles that follow from the one before, or None if they do not follow."""
    gap_s = window.t_s - before.t_s
    due = before.cycles + gap_s * (before.rate_hz + window.rate_hz) / 2
    cycles = window.cycles + round(due - window.cycles)
    if gap_s - window_s > _MOST_GAP_S or abs(cycles - due) > _AMBIGUOUS:
        return None
    return _Window(window.t_s, window.rate_hz, cycles)
