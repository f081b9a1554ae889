"""Setup of a simulated station, the same in each of its processes: pass, true trajectory, start of the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.pass_window import PassWindow
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.twin import true_trajectory

SECOND_NS = 10**9
AFTER_NS = 60 * SECOND_NS  # to park


@dataclass(frozen=True)
class SimulationSetup:
    """A simulated sky with one pass in it.

    Attributes
    ----------
    station : StationSettings
        As calibrated.
    window : PassWindow
        The pass as the station predicts it.
    lead_s : float
        Time from the start of the simulation, with the mount parked, to the start of the window.
    seed : int
        Draws everything that the station does not know.
    """

    settings: TwinSettings
    station: StationSettings
    site: Site
    window: PassWindow
    lead_s: float
    seed: int

    @property
    def begin_ns(self) -> int:
        """UTC at which the simulation begins."""
        return self.window.start_ns - round(self.lead_s * 1e9)

    @cached_property
    def truth(self) -> Trajectory:
        """True trajectory of the satellite."""
        return true_trajectory(
            self.settings,
            self.window.found.orbit,
            self.site,
            self.window.start_ns - 60 * SECOND_NS,
            self.window.end_ns + AFTER_NS,
            self.seed,
        )

    @cached_property
    def stars(self) -> NamedStars:
        """Stars of the catalogue."""
        return NamedStars(self.site, self.begin_ns)
