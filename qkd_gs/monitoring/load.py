"""Load shedding: work that a station leaves out when its machine is too busy; never a loop, tags or safety."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from qkd_gs.monitoring.loops import Loop, worst_loop

_LOOK_S = 3.0  # heartbeats come every second
_TOO_MANY = 0.05  # missed share of a loop's periods
_FEW = 0.01
_RT_FULL, _RT_ROOM = 0.75, 0.6  # of all processors, used by real-time processes: the others need the rest
_CALM_S = 30.0  # without trouble before something is taken up again


class Stage(IntEnum):
    """Stages of load shedding, in their order; each includes those before it."""

    NOTHING = 0
    FEW_IMAGES = 1  # viewers get one image a second, which is what is recorded
    NO_MARKERS = 2  # rviz shows no markers
    NO_IMAGES = 3  # none is published, so none is recorded


_LEFT_OUT = {
    Stage.NOTHING: 'nothing is left out',
    Stage.FEW_IMAGES: 'fewer images for viewers',
    Stage.NO_MARKERS: 'fewer images for viewers, no markers',
    Stage.NO_IMAGES: 'no images and no markers, and no images in the bag',
}


class Load:
    """Follows the timing of the loops and chooses the stage.

    Attributes
    ----------
    stage : Stage
        Messages that are to be left out now.
    reason : str
        Reason why the machine is too busy; empty: it is not.
    """

    def __init__(self) -> None:
        self.stage = Stage.NOTHING
        self.reason = ''
        self._before: dict[str, Loop] = {}
        self._looked_s: float | None = None
        self._calm_since_s = 0.0

    @property
    def sentence(self) -> str:
        """For the operator: the machine is too busy; empty: it is not."""
        return f'this machine is too busy ({self.reason}): {_LEFT_OUT[self.stage]}' if self.reason else ''

    @property
    def left_out(self) -> str:
        """Work that is still left out though the machine is no longer too busy; empty: none."""
        return (
            f'{_LEFT_OUT[self.stage]} until it has not been busy for a while' if self.stage and not self.reason else ''
        )

    def step(self, now_s: float, loops: Mapping[str, Loop], real_time_share: float = 0.0) -> bool:
        """Look at the loops; True if `stage` has changed.

        Parameters
        ----------
        now_s : float
            Of a steady clock.
        real_time_share : float
            Of all processors, used by the station's real-time processes.
        """
        if self._looked_s is None:
            self._look_from(now_s, loops)
            self._calm_since_s = now_s
            return False
        if now_s - self._looked_s < _LOOK_S:
            return False
        name, missed = worst_loop(self._before, loops)
        self._look_from(now_s, loops)
        before = self.stage
        if missed > _TOO_MANY or real_time_share > _RT_FULL:
            self.reason = (
                f'{name} missed {missed:.0%} of its periods'
                if missed > _TOO_MANY
                else f'real-time loops use {real_time_share:.0%} of it'
            )
            self._calm_since_s = now_s
            self.stage = Stage(min(self.stage + 1, Stage.NO_IMAGES))
        else:
            self.reason = ''
            if missed > _FEW or real_time_share > _RT_ROOM:
                self._calm_since_s = now_s
            elif self.stage and now_s - self._calm_since_s >= _CALM_S:
                self._calm_since_s = now_s
                self.stage = Stage(self.stage - 1)
        return self.stage is not before

    def _look_from(self, now_s: float, loops: Mapping[str, Loop]) -> None:
        self._looked_s, self._before = now_s, dict(loops)
