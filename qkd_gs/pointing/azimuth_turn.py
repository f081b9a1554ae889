"""Choice of the turn of the azimuth axis."""

from __future__ import annotations

from math import pi, radians

from qkd_gs.settings.station import AxisSettings


def nearest_turn(az_rad: float, axis: AxisSettings, present_rad: float) -> float:
    """Whole turns (rad) that put an encoder azimuth inside the axis' travel, with the shortest way; 0 if none does."""
    low, high = radians(axis.min_deg), radians(axis.max_deg)
    options = [2 * pi * k for k in range(-2, 3) if low <= az_rad + 2 * pi * k <= high]
    return min(options, key=lambda turns: abs(az_rad + turns - present_rad), default=0.0)
