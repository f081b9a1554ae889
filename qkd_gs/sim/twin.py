"""The complete twin of one pass: physical world, photons, and the satellite's record of them."""

from __future__ import annotations

import numpy as np

from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.imaging.starfield import Stars
from qkd_gs.sim.photons.receiver import receiver_rows, receiver_state, simulated_receiver
from qkd_gs.sim.photons.tdc_gps import SimGps
from qkd_gs.sim.physics.plant import Interval
from qkd_gs.sim.physics.true_errors import draw_orbit_error
from qkd_gs.sim.world import World

_MARGIN_NS = 120 * 10**9


def true_trajectory(
    settings: TwinSettings, orbit: Orbit, site: Site, start_ns: int, end_ns: int, seed: int
) -> Trajectory:
    """True trajectory of the satellite: the orbit with the errors drawn from the seed."""
    time_bias_s, cross_track_m = draw_orbit_error(settings.plant.orbit, seed)
    return Trajectory.predict(
        orbit,
        site,
        start_ns - _MARGIN_NS,
        end_ns + _MARGIN_NS,
        cross_track_m=cross_track_m,
        along_track_s=time_bias_s,
    )


class Twin:
    """World, TDC and GPS receiver, advanced together.

    Parameters
    ----------
    truth : Trajectory
        From `true_trajectory`.
    start_ns : int
        UTC at which the simulation begins, with the mount parked.
    seed : int
        Draws everything that the station does not know.
    stars : tuple of Stars
        Named stars, for calibration.
    """

    def __init__(
        self,
        settings: TwinSettings,
        station: StationSettings,
        truth: Trajectory,
        site: Site,
        start_ns: int,
        seed: int,
        stars: tuple[Stars, ...] = (),
    ) -> None:
        self.truth = truth
        self.world = World(settings, station, truth, site, seed, start_ns, stars)
        self.record, self.tdc = simulated_receiver(settings, station, truth, site, seed)
        self.gps = SimGps(settings.photonics, site)

    def advance(self, now_ns: int) -> Interval:
        """Advance to `now_ns`; returns the true state over that time, for sim/ only."""
        self.world.advance(now_ns)
        interval = self.world.interval()
        if len(interval.t_ns) and np.isfinite(interval.target_el_rad[0]):
            self.tdc.observe(
                receiver_state(interval.t_ns, receiver_rows(interval, self.world.polarization_error_rad(interval)))
            )
        return interval
