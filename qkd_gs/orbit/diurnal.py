"""Motion of the stars across the sky."""

from __future__ import annotations

from math import cos, sin

import numpy as np

from qkd_gs.arrays import FloatOrArray

_EARTH_RAD_S = 7.292115e-5  # nominal mean angular velocity (IERS Conventions 2010, table 1.2)


def diurnal_rates(latitude_rad: float, az_rad: FloatOrArray, el_rad: FloatOrArray) -> tuple[FloatOrArray, FloatOrArray]:
    """Rates of azimuth and elevation of a direction fixed on the celestial sphere, rad/s."""
    az_rate: FloatOrArray = _EARTH_RAD_S * (sin(latitude_rad) - cos(latitude_rad) * np.cos(az_rad) * np.tan(el_rad))
    el_rate: FloatOrArray = _EARTH_RAD_S * cos(latitude_rad) * np.sin(az_rad)
    return az_rate, el_rate
