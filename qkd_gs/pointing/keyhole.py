"""Keyhole avoidance: where a track is too fast for an axis (azimuth near the zenith), leave it and return to it.

The shortest path in time is taken, because no photons are counted on it.  It leaves the track at the last moment and
then catches up with the satellite.  A path that leaves earlier stays nearer to the satellite, but was measured to
lose more: 13.2 instead of 11.7 s at 89.9 deg with an azimuth axis of 15 deg/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray, IntArray

_STEPS = 100  # candidate starts of a path between its latest and its earliest
_EARLIEST_S = 20.0  # a path starts at most so long before the track gets too fast
_NEARLY = 1.02  # times the shortest: of these the one closest to the satellite


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
            starts, ends = _soonest(t_s, position, rate, too_fast, int(first_free), i, last, max_rate, max_acc)
            path = _closest(starts, ends, t_s, position, rate, max_rate, max_acc, on_sky)
            end = int(np.searchsorted(t_s, path.end_s))
            later = np.flatnonzero(too_fast[last + 1 : end + 1])
            if not len(later):
                break
            last += 1 + int(later[-1])
        paths.append(path)
        i = end + 1
    return paths


def _soonest(
    t_s: FloatArray,
    position: FloatArray,
    rate: FloatArray,
    too_fast: BoolArray,
    first_free: int,
    first: int,
    last: int,
    max_rate: float,
    max_acc: float,
) -> tuple[IntArray, IntArray]:
    """Samples (m,) at which paths may start, at or before sample `first` - 1, and at which each returns soonest."""
    reach = int(np.ceil(_EARLIEST_S / (t_s[1] - t_s[0])))
    latest = max(first - 1, first_free)
    starts = np.unique(np.linspace(max(latest - reach, first_free), latest, _STEPS).astype(int))[::-1]
    ends = last + 1 + np.flatnonzero(~too_fast[last + 1 : last + 1 + reach])
    if not ends.size:
        return starts[:0], ends
    fits = _fits(
        t_s[ends] - t_s[starts, None], position[ends] - position[starts, None], rate[starts, None], rate[ends],
        max_rate, max_acc,
    )  # fmt: skip
    possible = fits.any(axis=1)
    return starts[possible], ends[fits.argmax(axis=1)][possible]


def _closest(
    starts: IntArray,
    ends: IntArray,
    t_s: FloatArray,
    position: FloatArray,
    rate: FloatArray,
    max_rate: float,
    max_acc: float,
    on_sky: FloatArray,
) -> KeyholePath:
    """Of the nearly shortest paths, the one that stays closest to the track on the sky."""
    if not starts.size:
        raise ValueError('the axis cannot return to the track before it ends')
    span_s = t_s[ends] - t_s[starts]
    near = span_s <= _NEARLY * span_s.min()
    starts, ends, span_s = starts[near], ends[near], span_s[near]
    cruise = _cruise(span_s, position[ends] - position[starts], rate[starts], rate[ends], max_rate, max_acc)
    paths = [
        KeyholePath(float(t_s[i]), float(t_s[k]), float(position[i]), float(rate[i]), float(c), float(rate[k]), max_acc)
        for i, k, c in zip(starts, ends, cruise, strict=True)
    ]

    def distance(path: KeyholePath) -> float:
        times = np.linspace(path.start_s, path.end_s, 40)
        positions = np.array([path.at(t)[0] for t in times.tolist()])
        return float(np.max(np.abs(positions - np.interp(times, t_s, position)) * np.interp(times, t_s, on_sky)))

    return min(paths, key=distance)


def _covered(cruise: Any, span_s: Any, rate0: Any, rate1: Any, max_acc: float) -> Any:
    """Travel of a path that ramps from `rate0` to `cruise` and on to `rate1` within `span_s`."""
    ramps = (rate0 - cruise) * abs(cruise - rate0) + (rate1 - cruise) * abs(cruise - rate1)
    return cruise * span_s + ramps / (2 * max_acc)


def _band(span_s: Any, rate0: Any, rate1: Any, max_rate: float, max_acc: float) -> tuple[Any, Any]:
    """Lowest and highest cruising rate whose ramps fit into the span; between them the travel grows with the rate."""
    low = np.maximum((rate0 + rate1 - max_acc * span_s) / 2, -max_rate)
    return low, np.minimum((rate0 + rate1 + max_acc * span_s) / 2, max_rate)


def _fits(
    span_s: FloatArray, travel: FloatArray, rate0: FloatArray, rate1: FloatArray, max_rate: float, max_acc: float
) -> BoolArray:
    """Whether some cruising rate gives the required travel."""
    low, high = _band(span_s, rate0, rate1, max_rate, max_acc)
    enough = _covered(high, span_s, rate0, rate1, max_acc) >= travel
    not_too_much = _covered(low, span_s, rate0, rate1, max_acc) <= travel
    fits: BoolArray = enough & not_too_much & (np.abs(rate1 - rate0) <= max_acc * span_s)
    return fits


def _cruise(
    span_s: FloatArray, travel: FloatArray, rate0: FloatArray, rate1: FloatArray, max_rate: float, max_acc: float
) -> FloatArray:
    """The cruising rate that gives the required travel, by bisection."""
    low, high = _band(span_s, rate0, rate1, max_rate, max_acc)
    for _ in range(60):
        middle = (low + high) / 2
        short = _covered(middle, span_s, rate0, rate1, max_acc) < travel
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    cruise: FloatArray = (low + high) / 2
    return cruise
