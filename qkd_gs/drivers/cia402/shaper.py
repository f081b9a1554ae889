"""Reference of an axis: follows set-points within the limits of rate and acceleration."""

from __future__ import annotations

from math import copysign, sqrt

_NEAR = 1e-9


class Shaper:
    """Position and rate that an axis can follow.

    A near set-point is followed exactly; towards a far one the reference accelerates, runs at the largest rate, and
    brakes so that it arrives with the rate of the set-point.

    Attributes
    ----------
    position_rad, rate_rad_s : float
        The reference.
    """

    def __init__(self, max_rate_rad_s: float, max_acc_rad_s2: float) -> None:
        self._max_rate, self._max_acc = max_rate_rad_s, max_acc_rad_s2
        self.position_rad = self.rate_rad_s = 0.0

    def reset(self, position_rad: float) -> None:
        """Stand at a position."""
        self.position_rad, self.rate_rad_s = position_rad, 0.0

    def step(self, dt_s: float, position_rad: float, rate_rad_s: float) -> None:
        """Advance by `dt_s`; the set-point is at `position_rad` then, and moves with `rate_rad_s`."""
        if dt_s <= 0:
            return
        goal_rate = min(max(rate_rad_s, -self._max_rate), self._max_rate)
        left = position_rad - self.position_rad
        most = self._max_acc * dt_s
        needed = 2 * left / dt_s - self.rate_rad_s  # rate at the end of the step with which it arrives (trapezoid)
        if abs(needed - goal_rate) <= most and abs(needed - self.rate_rad_s) <= most + _NEAR:
            self.position_rad, self.rate_rad_s = position_rad, goal_rate
            return
        # relative to the set-point: the rate that can still be braked away over the distance left
        closing = sqrt(max(2 * self._max_acc * abs(left - goal_rate * dt_s) + (most / 2) ** 2, 0.0)) - most / 2
        wanted = goal_rate + copysign(max(closing, 0.0), left - goal_rate * dt_s)
        wanted = min(max(wanted, -self._max_rate), self._max_rate)
        rate = min(max(wanted, self.rate_rad_s - most), self.rate_rad_s + most)
        self.position_rad += (self.rate_rad_s + rate) / 2 * dt_s
        self.rate_rad_s = rate
