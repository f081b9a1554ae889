"""From arrival to emission: the predicted path of the light, over an orbit or through a fibre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from qkd_gs.arrays import IntArray


class LightPath(Protocol):
    """Relation of the times of emission and arrival; `qkd_gs.orbit.trajectory.Trajectory` is one."""

    start_ns: int
    end_ns: int

    @property
    def epoch_ns(self) -> int:
        """Zero of the times in ps; UTC, ns since the Unix epoch."""

    def emission_ps(self, arrival_ps: IntArray) -> IntArray:
        """Emission times of pulses that arrive at these times, ps since `epoch_ns`."""

    def arrival_ps(self, emission_ps: IntArray) -> IntArray:
        """Arrival times of pulses that leave at these times, ps since `epoch_ns`."""


@dataclass
class FixedDelay:
    """A bench or a fibre: a constant delay.  Its slow drift ends in the fit of the satellite's clock.

    Attributes
    ----------
    start_ns, end_ns : int
        UTC between which it is used.
    delay_ps : int
        One way.
    """

    start_ns: int
    end_ns: int
    delay_ps: int

    @property
    def epoch_ns(self) -> int:
        """Zero of the times in ps; UTC, ns since the Unix epoch."""
        return self.start_ns

    def emission_ps(self, arrival_ps: IntArray) -> IntArray:
        """Emission times of pulses that arrive at these times, ps since `epoch_ns`."""
        return arrival_ps - self.delay_ps

    def arrival_ps(self, emission_ps: IntArray) -> IntArray:
        """Arrival times of pulses that leave at these times, ps since `epoch_ns`."""
        return emission_ps + self.delay_ps
