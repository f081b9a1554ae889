"""Set-points of one axis that reach a moving target as fast as the axis allows, and then follow it exactly."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, radians, sqrt

from qkd_gs.settings.station import AxisSettings


@dataclass(frozen=True)
class AxisPoint:
    """Position, rate and acceleration of an axis at one time, radians and seconds."""

    position: float
    rate: float = 0.0
    acceleration: float = 0.0


class AxisFollower:
    """The deviation from the target decays by a square-root law when large and exponentially when small.

    One law for slews, steps of the search, the jump to a first detection and the zenith gap: the target may
    jump or outrun the axis; the set-points stay within the axis' travel, rate and acceleration.

    Parameters
    ----------
    axis : AxisSettings
        Travel and limits.
    share : float
        Part of rate and acceleration limits that set-points may use; the rest is the servo's.
    settle_rate_s : float
        Rate of the exponential, 1/s.
    """

    def __init__(self, axis: AxisSettings, share: float, settle_rate_s: float):
        self.low, self.high = radians(axis.min_deg), radians(axis.max_deg)
        self.max_rate = share * radians(axis.max_rate_deg_s)
        self.max_acc = share * radians(axis.max_acc_deg_s2)
        self._settle = settle_rate_s
        self.point = AxisPoint(0.0)

    def restart(self, position: float, rate: float) -> None:
        """Continue from where the axis really is."""
        self.point = AxisPoint(position, rate)

    def step(self, target: AxisPoint, dt_s: float) -> AxisPoint:
        """Set-point `dt_s` after the last one, for a target given at that later time."""
        rate_then = target.rate - target.acceleration * dt_s
        position_then = target.position - (target.rate - 0.5 * target.acceleration * dt_s) * dt_s
        deviation, drift = self.point.position - position_then, self.point.rate - rate_then
        commanded = target.rate - self._closing_rate(deviation + 0.5 * drift * dt_s, target.acceleration)
        low, high = self._rate_bounds()
        commanded = min(max(commanded, low), high)
        acceleration = (commanded - self.point.rate) / dt_s
        acceleration = min(max(acceleration, -self.max_acc), self.max_acc)
        rate = self.point.rate + acceleration * dt_s
        position = self.point.position + 0.5 * (self.point.rate + rate) * dt_s
        self.point = AxisPoint(position, rate, acceleration)
        return self.point

    def _closing_rate(self, deviation: float, target_acc: float) -> float:
        """Rate at which a deviation may shrink so that the axis can still brake at the target."""
        spare = max(0.6 * self.max_acc - abs(target_acc), 0.2 * self.max_acc)
        linear = spare / self._settle**2  # where the root law is as steep as the exponential
        if abs(deviation) < linear:
            return self._settle * deviation
        return copysign(sqrt(2 * spare * (abs(deviation) - 0.5 * linear)), deviation)

    def _rate_bounds(self) -> tuple[float, float]:
        """Rates from which the axis can still brake before the ends of its travel."""
        brake = 1.6 * self.max_acc
        down = sqrt(brake * max(self.point.position - self.low, 0.0))
        up = sqrt(brake * max(self.high - self.point.position, 0.0))
        return -min(self.max_rate, down), min(self.max_rate, up)
