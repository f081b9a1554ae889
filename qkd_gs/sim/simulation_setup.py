"""Setup of a simulated station, the same in each of its processes: its passes, and when it starts."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from qkd_gs.orbit.passes import find_passes
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.pass_window import PassWindow
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.photons.receiver import simulated_receiver
from qkd_gs.sim.photons.satellite_record import SatelliteRecord
from qkd_gs.sim.photons.tdc_gps import SimTdc
from qkd_gs.sim.simulated_pass import AFTER_NS, SECOND_NS, SimulatedPass

_SKY_NS = 7 * 86400 * SECOND_NS  # how long the satellite goes on to pass
_ROOM_NS = 300 * SECOND_NS  # a trajectory is computed beyond rise and set


@dataclass(frozen=True)
class SimulationSetup:
    """A simulated sky, with one pass for which it was set up and those of the week after it.

    Attributes
    ----------
    station : StationSettings
        As calibrated.
    window : PassWindow
        The first pass as the station predicts it.
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

    @property
    def truth(self) -> Trajectory:
        """True trajectory of the first pass."""
        return self._first.truth

    @cached_property
    def _first(self) -> SimulatedPass:
        start_ns, end_ns = self.window.start_ns, self.window.end_ns
        return SimulatedPass(self.settings, self.site, 0, self.window.found, start_ns, end_ns, self.seed)

    @cached_property
    def passes(self) -> tuple[SimulatedPass, ...]:
        """The first pass and all later ones of a week, as far as the orbit is known, also those too low to track."""
        first = self.window.found
        from_ns = first.set_ns + AFTER_NS
        until_ns = first.orbit.reach_ns(from_ns, from_ns + _SKY_NS)[1] - _ROOM_NS
        later = find_passes(first.orbit, self.site, from_ns, until_ns, 0.0, force=True) if until_ns > from_ns else []
        return self._first, *(
            SimulatedPass(self.settings, self.site, number, found, found.rise_ns, found.set_ns, self.seed)
            for number, found in enumerate(later, 1)
            if found.set_ns <= until_ns
        )

    def pass_at(self, t_ns: int) -> SimulatedPass:
        """The pass that culminates nearest to a time."""
        return self.passes[bisect(self._halfway_ns, t_ns)]

    def receiver_at(self, t_ns: int) -> tuple[SatelliteRecord, SimTdc]:
        """Record of the satellite, and TDC, for the pass that is nearest to a time."""
        one = self.pass_at(t_ns)
        return simulated_receiver(self.settings, self.station, one.truth, self.site, self.seed, one.number)

    @cached_property
    def _halfway_ns(self) -> list[int]:
        """Times in the middle between a pass and the next."""
        culminations = [one.found.culmination_ns for one in self.passes]
        return [(one + other) // 2 for one, other in pairwise(culminations)]

    @cached_property
    def stars(self) -> NamedStars:
        """Stars of the catalogue."""
        return NamedStars(self.site, self.begin_ns)
