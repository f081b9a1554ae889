"""Where a satellite appears to be: the one record that crosses from orbit into every other room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

F = TypeVar('F', float, NDArray[np.float64])


@dataclass(frozen=True)
class TargetState(Generic[F]):
    """Apparent place and motion of the satellite's beacon; floats, or arrays of one shape.

    Azimuth runs from true north through east, elevation from the horizon.  "Apparent" means: light-time
    and diurnal aberration included, refracted at 532 nm, no turbulence.
    """

    t_ns: F  # UTC, ns since the Unix epoch, of arrival on the ground (int, or an int64 array)
    az_rad: F  # continuous through the pass (unwrapped), not folded into [0, 2 pi)
    el_rad: F
    az_rate_rad_s: F
    el_rate_rad_s: F
    az_acc_rad_s2: F
    el_acc_rad_s2: F
    range_m: F  # path length of the light that arrives at t_ns
    range_rate_m_s: F  # positive: receding
    light_time_s: F  # arrival minus emission, s; tropospheric delay not included
    frame_rad: F  # satellite's H axis (orbit normal projected across the line of sight) from the telescope's
    #               horizontal (towards growing azimuth) towards its up; counter-clockwise seen against the light
    frame_rate_rad_s: F
