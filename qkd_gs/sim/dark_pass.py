"""A pass in the twin without its photons: what tracking and half-wave plate do, at a fraction of the time."""

from __future__ import annotations

from dataclasses import dataclass

from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pass_window import pass_window_nearest, plan_against_sun
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.pass_log import PassLog
from qkd_gs.sim.photons.polarized_light import measure_hwp_zero
from qkd_gs.sim.physics.plant import Interval
from qkd_gs.sim.simulate import ARMED_S, Simulation, calibrate_before_pass, lockstep_of, stored_pointing
from qkd_gs.sim.simulated_pass import AFTER_NS
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.twin import Twin
from qkd_gs.timing.tags import TagBlock
from qkd_gs.tracking.control.tracker import Tracker


@dataclass(frozen=True)
class DarkPass:
    """A pass that was tracked, with what its figures need.

    Attributes
    ----------
    predicted, truth : Trajectory
        Places where the satellite was expected and where it was.
    station : StationSettings
        As calibrated.
    gaps_ns : list of (first, last)
        Gaps at the zenith as planned last: UTC of the elements.
    """

    log: PassLog
    predicted: Trajectory
    truth: Trajectory
    station: StationSettings
    model: MountModel
    gaps_ns: list[tuple[int, int]]


class DarkTwin(Twin):
    """The twin, whose receiver sees no light and so draws no photons."""

    def advance(self, now_ns: int) -> Interval:
        """Advance to `now_ns`; returns the true state over that time."""
        self.world.advance(now_ns)
        return self.world.interval()


class NoRecorder:
    """Takes the place of the tag recorder."""

    def step(self, now_ns: int, block: TagBlock) -> None:
        """Keep nothing."""

    def close(self) -> None: ...


def calibrated_pointing(simulation: Simulation) -> tuple[MountModel, StoredPointing]:
    """Calibration before the pass nearest to a time, as `simulate.run_simulation` has it.

    Raises
    ------
    StationError
        No such pass, or the calibration failed.
    """
    station, seed = simulation.station, simulation.seed
    calibrated = calibrate_before_pass(_setup(simulation), lambda now_ns, outputs: None)
    return calibrated.model, stored_pointing(calibrated, measure_hwp_zero(simulation.twin, station, seed), station)


def track_dark_pass(simulation: Simulation, model: MountModel, pointing: StoredPointing) -> DarkPass:
    """Track the pass nearest to a time with a calibrated mount; the same seed tracks as in `run_simulation`.

    Raises
    ------
    StationError
        No such pass, or one that this mount cannot track.
    """
    site, seed, settings = simulation.site, simulation.seed, simulation.twin
    setup = _setup(simulation)
    window, begin_ns = setup.window, setup.begin_ns
    station = pointing.refine(simulation.station)
    plan = plan_against_sun(window.predicted, window.start_ns, window.end_ns, model, station, site)
    stars = NamedStars(site, begin_ns)
    twin = DarkTwin(settings, simulation.station, setup.truth, site, begin_ns, seed, (stars,))
    tracker = Tracker(station, window.predicted, model, plan)
    lockstep = lockstep_of(twin, setup, station, model, tracker, NoRecorder())
    lockstep.run(begin_ns, window.end_ns + AFTER_NS, lambda progress: None)
    return DarkPass(lockstep.log, window.predicted, setup.truth, station, model, tracker.gaps_ns)


def _setup(simulation: Simulation) -> SimulationSetup:
    station, site = simulation.station, simulation.site
    window = pass_window_nearest(simulation.elements, site, simulation.at_ns, station, simulation.force)
    return SimulationSetup(simulation.twin, station, site, window, ARMED_S, simulation.seed)
