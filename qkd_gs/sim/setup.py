"""What every process of a simulated station must agree on: the pass, the truth about it, and when the world begins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.passes import Pass
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.twin import true_trajectory

SECOND_NS = 10**9
AFTER_NS = 60 * SECOND_NS  # to park


@dataclass(frozen=True)
class Stage:
    """A simulated sky with one pass in it.

    Attributes
    ----------
    found : Pass
    predicted : Trajectory
        What the station may know.
    start_ns, end_ns : int
        UTC between which the station has the satellite above its start elevation.
    begin_ns : int
        UTC at which the world begins, the mount parked.
    seed : int
        Draws everything that the station does not know.
    """

    settings: TwinSettings
    station: StationSettings
    site: Site
    found: Pass
    predicted: Trajectory
    start_ns: int
    end_ns: int
    begin_ns: int
    seed: int

    @cached_property
    def truth(self) -> Trajectory:
        """Where the satellite really is."""
        return true_trajectory(
            self.settings,
            self.found.orbit,
            self.site,
            self.start_ns - 60 * SECOND_NS,
            self.end_ns + AFTER_NS,
            self.seed,
        )

    @cached_property
    def stars(self) -> NamedStars:
        """Stars by catalogue."""
        return NamedStars(self.site, self.begin_ns, self.end_ns + AFTER_NS)


def stage_of(
    elements: Elements,
    site: Site,
    at_ns: int,
    lead_s: float,
    seed: int,
    settings: TwinSettings,
    station: StationSettings,
    force: bool = False,
) -> Stage:
    """The pass nearest to a time, and a world that begins `lead_s` before the station can see it.

    Raises
    ------
    StationError
        No such pass.
    """
    found, predicted, start_ns, end_ns = pass_window_nearest(elements, site, at_ns, station, force)
    return Stage(settings, station, site, found, predicted, start_ns, end_ns, start_ns - round(lead_s * 1e9), seed)
