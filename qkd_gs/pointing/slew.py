"""Slews from rest to rest: how long they take, and where the line of sight goes meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.settings.station import AxisSettings, MountSettings

_SHARE = 0.95  # of the limits of the axes
_STEP_S = 0.1


@dataclass(frozen=True)
class Slew:
    """Both axes start together, each as fast as it can; times in s from the start, encoder angles in rad, (n,)."""

    t_s: FloatArray
    az_rad: FloatArray
    el_rad: FloatArray

    @property
    def duration_s(self) -> float:
        """Until both axes are at rest again."""
        return float(self.t_s[-1])


def slew(from_rad: tuple[float, float], to_rad: tuple[float, float], mount: MountSettings) -> Slew:
    """Slew between two pairs of encoder angles (azimuth, elevation), on the azimuth turns given."""
    axes = (mount.azimuth, mount.elevation)
    ways = [b - a for a, b in zip(from_rad, to_rad, strict=True)]
    duration_s = max(_duration_s(way, axis) for way, axis in zip(ways, axes, strict=True))
    t_s = np.linspace(0.0, duration_s, max(int(duration_s / _STEP_S), 1) + 1)
    az, el = (
        start + np.copysign(_travelled(t_s, abs(way), axis), way)
        for start, way, axis in zip(from_rad, ways, axes, strict=True)
    )
    return Slew(t_s, az, el)


def longest_slew_s(mount: MountSettings) -> float:
    """Seconds for the whole travel of both axes."""
    return max(_duration_s(radians(axis.max_deg - axis.min_deg), axis) for axis in (mount.azimuth, mount.elevation))


def _limits(axis: AxisSettings) -> tuple[float, float]:
    return _SHARE * radians(axis.max_rate_deg_s), _SHARE * radians(axis.max_acc_deg_s2)


def _duration_s(way_rad: float, axis: AxisSettings) -> float:
    rate, acc = _limits(axis)
    way = abs(way_rad)
    return 2 * sqrt(way / acc) if way < rate**2 / acc else way / rate + rate / acc


def _travelled(t_s: FloatArray, way: float, axis: AxisSettings) -> FloatArray:
    """Way covered at times, for a trapezoidal rate."""
    rate, acc = _limits(axis)
    duration_s = _duration_s(way, axis)
    ramp_s = min(rate / acc, duration_s / 2)
    t = np.clip(t_s, 0.0, duration_s)
    speeding, braking = np.minimum(t, ramp_s), np.maximum(t - (duration_s - ramp_s), 0.0)
    travelled: FloatArray = acc * (speeding**2 / 2 + ramp_s * (t - speeding) - braking**2 / 2)
    return travelled
