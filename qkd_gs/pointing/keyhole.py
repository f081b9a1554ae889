"""Keyhole avoidance: where a track is too fast for an axis (azimuth near the zenith), leave it and return to it.

The path that is shortest in time leaves the track at the last moment and then catches up with the satellite.
Leaving earlier, ahead of the satellite, takes a little longer but halves the distance on the sky, so that the
guiding camera keeps it in view.  Of all paths that are nearly as short as the shortest, the one closest to the
satellite is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray

_STEPS = 100  # candidate starts of a path between its latest and its earliest
_EARLIEST_S = 20.0  # a path starts at most so long before the track gets too fast
_NEARLY = 1.3  # times the shortest


@dataclass(frozen=True)
class KeyholePath:
    """Path of one axis through a keyhole: constant acceleration, constant rate, constant acceleration.

    Position and rate meet the track at both ends.
    """

    start_s: float
    end_s: float
    position_rad: float  # at the start
    rate_rad_s: float  # at the start
    cruise_rad_s: float
    end_rate_rad_s: float
    acc_rad_s2: float  # size of both ramps

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Position, rate and acceleration at a time, clamped to the path's own span."""
        t = min(max(t_s, self.start_s), self.end_s) - self.start_s
        up = self.cruise_rad_s - self.rate_rad_s
        down = self.end_rate_rad_s - self.cruise_rad_s
        up_s, down_s = abs(up) / self.acc_rad_s2, abs(down) / self.acc_rad_s2
        flat_s = self.end_s - self.start_s - down_s
        if t < up_s:
            acc = np.copysign(self.acc_rad_s2, up)
            return self.position_rad + self.rate_rad_s * t + acc * t**2 / 2, self.rate_rad_s + acc * t, float(acc)
        position = self.position_rad + (self.rate_rad_s + self.cruise_rad_s) / 2 * up_s
        if t < flat_s:
            return position + self.cruise_rad_s * (t - up_s), self.cruise_rad_s, 0.0
        acc = np.copysign(self.acc_rad_s2, down) if down_s > 0 else 0.0
        t -= flat_s
        position += self.cruise_rad_s * (flat_s - up_s)
        return position + self.cruise_rad_s * t + acc * t**2 / 2, self.cruise_rad_s + acc * t, float(acc)


def find_keyhole_paths(
    t_s: FloatArray,
    position: FloatArray,
    rate: FloatArray,
    acc: FloatArray,
    max_rate: float,
    max_acc: float,
    on_sky: FloatArray,
) -> list[KeyholePath]:
    """Keyhole paths for every part of a sampled track that an axis cannot follow.

    Parameters
    ----------
    t_s, position, rate, acc : ndarray, (n,)
        The track of one axis, unwrapped.
    max_rate, max_acc : float
        Limits of the axis.
    on_sky : ndarray, (n,)
        Angle on the sky for an angle of the axis: cos(el) for azimuth, 1 for elevation.

    Returns
    -------
    list of KeyholePath
        In order of time; none overlap.

    Raises
    ------
    ValueError
        The axis cannot return to the track before it ends.
    """
    # the steps between samples count too: right through the zenith the peaks may fall between them
    too_far = (np.abs(np.diff(position)) > max_rate * np.diff(t_s)) | (np.abs(np.diff(rate)) > max_acc * np.diff(t_s))
    too_fast = (np.abs(rate) > max_rate) | (np.abs(acc) > max_acc)
    too_fast[:-1] |= too_far
    too_fast[1:] |= too_far
    paths: list[KeyholePath] = []
    i = 0
    while i < len(t_s):
        if not too_fast[i]:
            i += 1
            continue
        last = i
        while True:
            while last + 1 < len(t_s) and too_fast[last + 1]:
                last += 1
            first_free = np.searchsorted(t_s, paths[-1].end_s) if paths else 0
            candidates = _candidates(t_s, position, rate, too_fast, int(first_free), i, last, max_rate, max_acc)
            path = _closest(candidates, t_s, position, on_sky)
            end = int(np.searchsorted(t_s, path.end_s))
            later = np.flatnonzero(too_fast[last + 1 : end + 1])
            if not len(later):
                break
            last += 1 + int(later[-1])
        paths.append(path)
        i = end + 1
    return paths


def _candidates(
    t_s: FloatArray,
    position: FloatArray,
    rate: FloatArray,
    too_fast: BoolArray,
    first_free: int,
    first: int,
    last: int,
    max_rate: float,
    max_acc: float,
) -> list[KeyholePath]:
    """Paths that return soonest after sample `last`, one for each start at or before sample `first` - 1."""
    found: list[KeyholePath] = []
    reach = int(np.ceil(_EARLIEST_S / (t_s[1] - t_s[0])))
    latest = max(first - 1, first_free)
    starts = np.unique(np.linspace(max(latest - reach, first_free), latest, _STEPS).astype(int))
    ends = last + 1 + np.flatnonzero(~too_fast[last + 1 : last + 1 + reach])
    for start in starts[::-1]:
        fits = _fits(
            t_s[ends] - t_s[start], position[ends] - position[start], rate[start], rate[ends], max_rate, max_acc
        )
        if fits.any():
            end = ends[np.argmax(fits)]
            span_s, travel = float(t_s[end] - t_s[start]), float(position[end] - position[start])
            rate0, rate1 = float(rate[start]), float(rate[end])
            cruise = _cruise(span_s, travel, rate0, rate1, max_rate, max_acc)
            found.append(
                KeyholePath(float(t_s[start]), float(t_s[end]), float(position[start]), rate0, cruise, rate1, max_acc)
            )
    return found


def _closest(candidates: list[KeyholePath], t_s: FloatArray, position: FloatArray, on_sky: FloatArray) -> KeyholePath:
    """Of the nearly shortest paths, the one that stays closest to the track on the sky."""
    if not candidates:
        raise ValueError('the axis cannot return to the track before it ends')
    shortest_s = min(path.end_s - path.start_s for path in candidates)

    def distance(path: KeyholePath) -> float:
        times = np.linspace(path.start_s, path.end_s, 40)
        positions = np.array([path.at(t)[0] for t in times])
        return float(np.max(np.abs(positions - np.interp(times, t_s, position)) * np.interp(times, t_s, on_sky)))

    return min((b for b in candidates if b.end_s - b.start_s <= _NEARLY * shortest_s), key=distance)


def _covered(cruise: Any, span_s: Any, rate0: float, rate1: Any, max_acc: float) -> Any:
    """Travel of a path that ramps from `rate0` to `cruise` and on to `rate1` within `span_s`."""
    ramps = (rate0 - cruise) * abs(cruise - rate0) + (rate1 - cruise) * abs(cruise - rate1)
    return cruise * span_s + ramps / (2 * max_acc)


def _band(span_s: Any, rate0: float, rate1: Any, max_rate: float, max_acc: float) -> tuple[Any, Any]:
    """Lowest and highest cruising rate whose ramps fit into the span; between them the travel grows with the rate."""
    low = np.maximum((rate0 + rate1 - max_acc * span_s) / 2, -max_rate)
    return low, np.minimum((rate0 + rate1 + max_acc * span_s) / 2, max_rate)


def _fits(
    span_s: FloatArray, travel: FloatArray, rate0: float, rate1: FloatArray, max_rate: float, max_acc: float
) -> BoolArray:
    """Whether some cruising rate gives the required travel."""
    low, high = _band(span_s, rate0, rate1, max_rate, max_acc)
    enough = _covered(high, span_s, rate0, rate1, max_acc) >= travel
    not_too_much = _covered(low, span_s, rate0, rate1, max_acc) <= travel
    fits: BoolArray = enough & not_too_much & (np.abs(rate1 - rate0) <= max_acc * span_s)
    return fits


def _cruise(span_s: float, travel: float, rate0: float, rate1: float, max_rate: float, max_acc: float) -> float:
    """The cruising rate that gives the required travel, by bisection."""
    low, high = _band(span_s, rate0, rate1, max_rate, max_acc)
    for _ in range(60):
        middle = (low + high) / 2
        if _covered(middle, span_s, rate0, rate1, max_acc) < travel:
            low = middle
        else:
            high = middle
    return float((low + high) / 2)
