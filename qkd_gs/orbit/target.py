"""Apparent position and motion of a satellite: the record that `orbit` hands to every other package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from qkd_gs.arrays import FloatOrArray


@dataclass(frozen=True)
class TargetState(Generic[FloatOrArray]):
    """Apparent position and motion of the satellite's beacon; floats, or arrays of one shape.

    Azimuth runs from true north through east, elevation from the horizon.  "Apparent" means: light-time
    and diurnal aberration included, refracted at 532 nm, no turbulence.
    """

    t_ns: FloatOrArray  # UTC, ns since the Unix epoch, of arrival on the ground (int, or an int64 array)
    az_rad: FloatOrArray  # continuous through the pass (unwrapped), not folded into [0, 2 pi)
    el_rad: FloatOrArray
    az_rate_rad_s: FloatOrArray
    el_rate_rad_s: FloatOrArray
    az_acc_rad_s2: FloatOrArray
    el_acc_rad_s2: FloatOrArray
    range_m: FloatOrArray  # path length of the light that arrives at t_ns
    range_rate_m_s: FloatOrArray  # positive: receding
    light_time_s: FloatOrArray  # arrival minus emission, s; tropospheric delay not included
    # satellite's H axis (orbit normal projected across the line of sight) from the telescope's horizontal (towards
    # growing azimuth) towards its up; counter-clockwise as seen against the light
    polarization_angle_rad: FloatOrArray
    polarization_rate_rad_s: FloatOrArray
