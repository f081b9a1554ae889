"""The gap at the zenith during a pass: planned again with the orbit error found, until shortly before it begins."""

from __future__ import annotations

from math import hypot

from qkd_gs.errors import StationError
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.plan import PassPlan
from qkd_gs.pointing.replan import STEEP_RAD, replan_gaps
from qkd_gs.settings.station import MountSettings

_EVERY_NS = 1_000_000_000
_FROZEN_NS = 300_000_000  # before a gap begins: the axis is about to leave the track
_MOVED_M = 5.0  # 10 urad at 500 km
_SPEED_M_S = 7_500.0  # a time bias as a length along the track


class GapPlanner:
    """The plan of a pass as far as the tracker needs it.

    Parameters
    ----------
    plan : PassPlan
        Made from the elements.
    trajectory : Trajectory
        The same elements.

    Attributes
    ----------
    plan : PassPlan
        The newest plan.
    """

    def __init__(self, plan: PassPlan, trajectory: Trajectory, model: MountModel, mount: MountSettings):
        self.plan = plan
        self._trajectory, self._model, self._mount = trajectory, model, mount
        self._gaps = plan.gaps
        self._error = (0.0, 0.0)  # that the plan was made for
        self._tried_ns: int | None = None

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Spans (start_ns, end_ns) in which an axis leaves the track, in the time of the elements."""
        return self._gaps

    def update(self, now_ns: int, error: tuple[float, float]) -> None:
        """Plan again if the orbit error (time bias s, cross-track m) has moved, at most once a second."""
        if self.plan.highest_rad < STEEP_RAD or self._moved_m(error) < _MOVED_M:
            return
        if self._tried_ns is not None and now_ns - self._tried_ns < _EVERY_NS:
            return
        earliest_ns = now_ns + round(error[0] * 1e9) + _FROZEN_NS
        if earliest_ns > self._begins_ns(self.plan):
            return
        self._tried_ns = now_ns
        try:
            plan = replan_gaps(self.plan, self._trajectory, self._model, self._mount, *error)
        except StationError:  # no path back in time for this error: the one at hand is still the best
            return
        if earliest_ns <= self._begins_ns(plan):
            self.plan, self._gaps, self._error = plan, plan.gaps, error

    def command(self, motion: AxisMotion[float], time_bias_s: float) -> AxisMotion[float]:
        """See `PassPlan.command`."""
        return self.plan.command(motion, time_bias_s)

    def in_gap(self, t_ns: int, time_bias_s: float, after_s: float = 0.0) -> bool:
        """Whether an axis is off the track at `t_ns`, or was no more than `after_s` before."""
        planned_ns = t_ns + round(time_bias_s * 1e9)
        return any(start <= planned_ns <= end + after_s * 1e9 for start, end in self._gaps)

    def _begins_ns(self, plan: PassPlan) -> int:
        gaps = plan.gaps
        return gaps[0][0] if gaps else plan.highest_ns

    def _moved_m(self, error: tuple[float, float]) -> float:
        return hypot((error[0] - self._error[0]) * _SPEED_M_S, error[1] - self._error[1])
