"""A pass in the simulated sky: what the station predicts of it, and what is true."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from qkd_gs.orbit.passes import Pass
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.site import Site
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.twin import true_trajectory

SECOND_NS = 10**9
AFTER_NS = 60 * SECOND_NS  # to park
_BEFORE_NS = 60 * SECOND_NS


@dataclass(frozen=True)
class SimulatedPass:
    """A pass in the simulated sky.

    Attributes
    ----------
    number : int
        From 0, the pass for which the simulation was set up.
    found : Pass
        From rise to set, or the part above the station's start elevation.
    start_ns, end_ns : int
        UTC; the satellite is seen from a minute before to a minute after them.
    seed : int
        Of the simulation; draws the errors of the orbit.
    """

    settings: TwinSettings
    site: Site
    number: int
    found: Pass
    start_ns: int
    end_ns: int
    seed: int

    @cached_property
    def truth(self) -> Trajectory:
        """True trajectory of the satellite."""
        return true_trajectory(
            self.settings, self.found.orbit, self.site, self.start_ns - _BEFORE_NS, self.end_ns + AFTER_NS, self.seed
        )

    @cached_property
    def predicted(self) -> Trajectory:
        """The trajectory by the satellite's elements."""
        return Trajectory.predict(self.found.orbit, self.site, self.start_ns - _BEFORE_NS, self.end_ns + AFTER_NS)
