"""Simulate a pass in the twin from start to end, in lockstep, and write a session for processing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import degrees
from pathlib import Path

from qkd_gs.calibration.calibrator import CalibrationOutputs
from qkd_gs.calibration.hwp_zero import HwpZero
from qkd_gs.forecast.forecast import forecast_pass
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.sky import sun_at
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pass_window import pass_window_nearest, plan_against_sun
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.safety.supervisor import Supervisor
from qkd_gs.session.manifest import Manifest
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.calibration import Calibrated, calibrate
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.lockstep import Lockstep, Progress, TagSink
from qkd_gs.sim.metrics import polarization_part, tracking_part
from qkd_gs.sim.photons.polarized_light import measure_hwp_zero
from qkd_gs.sim.simulated_pass import AFTER_NS
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.traffic import SimAircraft
from qkd_gs.sim.twin import Twin
from qkd_gs.sim.world import World
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.tracking.control.tracker import Tracker
from qkd_gs.tracking.record.manifest_writer import ManifestWriter, finite, new_folder, tags_complete

_NIGHT_NS = 3600 * 10**9  # from the start of the calibration to the rise of the satellite
ARMED_S = 30.0  # how long the mount waits at the first point


@dataclass(frozen=True)
class Simulation:
    """Parameters of a simulation.

    Attributes
    ----------
    elements : Elements
        Of one satellite.
    at_ns : int
        The pass whose culmination is nearest to this UTC is simulated.
    seed : int
        Draws everything that the station does not know; the same seed gives the same session.
    """

    elements: Elements
    site: Site
    at_ns: int
    seed: int
    station: StationSettings
    twin: TwinSettings
    scenario: str | None = None
    force: bool = False


class Watcher:
    """Callbacks for progress; the default methods do nothing."""

    def step(self, text: str) -> None:
        """A new step starts."""

    def calibrating(self, now_ns: int, text: str) -> None:
        """Progress of the calibration."""

    def passing(self, progress: Progress) -> None:
        """Progress of the pass."""

    def making_key(self, step: str, fraction: float) -> None:
        """Progress of a step of the post-processing; `fraction` of it is done."""


def run_simulation(
    simulation: Simulation, folder: Path, sealing_key: Callable[[str], bytes], watcher: Watcher
) -> Manifest:
    """Calibrate, track the pass, and write the session.

    Parameters
    ----------
    folder : Path
        Must not exist, or be empty.
    sealing_key : callable
        Id of the session to the public key that its tags are sealed to.

    Raises
    ------
    StationError
        No such pass, one that this mount cannot track, or a folder in use.
    """
    station, site, seed = simulation.station, simulation.site, simulation.seed
    watcher.step('planning the pass')
    window = pass_window_nearest(simulation.elements, site, simulation.at_ns, station, simulation.force)
    setup = SimulationSetup(simulation.twin, station, site, window, ARMED_S, seed)
    new_folder(folder)  # errors are reported before the calibration, not after it
    watcher.step('calibrating the pointing on stars')
    calibrated = calibrate_before_pass(setup, lambda now_ns, out: watcher.calibrating(now_ns, out.message))
    pointing = stored_pointing(calibrated, measure_hwp_zero(simulation.twin, station, seed), station)
    return track_pass(simulation, setup, calibrated.model, pointing, folder, sealing_key, watcher)


def track_pass(
    simulation: Simulation,
    setup: SimulationSetup,
    model: MountModel,
    pointing: StoredPointing,
    folder: Path,
    sealing_key: Callable[[str], bytes],
    watcher: Watcher,
) -> Manifest:
    """Track a pass with a calibrated mount, and write the session into an empty folder.

    Parameters
    ----------
    model : MountModel
        That of `pointing`, not rounded.

    Raises
    ------
    StationError
        A pass that this mount cannot track.
    """
    site, seed, window = simulation.site, simulation.seed, setup.window
    truth, begin_ns = setup.truth, setup.begin_ns
    station = pointing.refine(simulation.station)
    plan = plan_against_sun(window.predicted, window.start_ns, window.end_ns, model, station, site)

    for note in plan.notes:
        watcher.step(note)
    watcher.step('tracking the pass')
    stars = NamedStars(site, begin_ns)
    twin = Twin(simulation.twin, simulation.station, truth, site, begin_ns, seed, (stars,))
    forecast = forecast_pass(window.found, site, station, load_downlink(), gaps_ns=plan.gaps)
    run = {
        'seed': seed,
        'calibration': pointing.summary,
        'scenario': simulation.scenario,
        'forecast': forecast.to_dict() if forecast is not None else None,
        'plan': plan.summary(),
    }
    writer = ManifestWriter.begin(folder, window.found, site, station, simulation.elements.path, begin_ns, True, run)
    recipient = sealing_key(writer.session_id.hex())
    sealed = SealedWriter(next_tags_path(folder), writer.session_id, recipient, begin_ns, station.frozen_digest)
    tracker = Tracker(station, window.predicted, model, plan)
    lockstep = lockstep_of(twin, setup, station, model, tracker, TagRecorder(sealed, station.source))
    twin.record.save(folder)
    pointing.save(folder)
    log = lockstep.log

    def passing(progress: Progress) -> None:
        writer.renew(log.locked_spans(), log.time_bias_s, log.cross_track_m)
        watcher.passing(progress)

    lockstep.run(begin_ns, window.end_ns + AFTER_NS, passing)
    log.telemetry().save(folder)
    return writer.renew(
        log.locked_spans(),
        log.time_bias_s,
        log.cross_track_m,
        closed=tags_complete(folder),
        run=run | {'pass_s': (log.end_ns - begin_ns) * 1e-9} | lockstep.light.part(),
        tracking=finite(asdict(tracking_part(log, truth, twin.world.tilt_residuals(), station))),
        polarization=finite(polarization_part(log, window.predicted, model, truth, station)),
    )


def lockstep_of(
    twin: Twin, setup: SimulationSetup, station: StationSettings, model: MountModel, tracker: Tracker, recorder: TagSink
) -> Lockstep:
    """A calibrated station, with what keeps it safe, on the devices of the twin."""
    site = setup.site
    laser = LaserSafety(station, site)
    supervisor = Supervisor(station, model, lambda t_ns: sun_at(site, t_ns), laser)
    return Lockstep(twin, station, tracker, supervisor, recorder, laser, SimAircraft(setup))


def calibrate_before_pass(setup: SimulationSetup, progress: Callable[[int, CalibrationOutputs], None]) -> Calibrated:
    """Calibrate on stars in a separate simulated world.

    Calibration and pass are two worlds with one seed: the mount and its errors are the same, and the time between
    need not be simulated.

    Raises
    ------
    StationError
        The calibration failed.
    """
    night_ns = setup.window.start_ns - _NIGHT_NS
    stars = NamedStars(setup.site, night_ns)
    world = World(setup.settings, setup.station, setup.truth, setup.site, setup.seed, night_ns, (stars,))
    return calibrate(world, setup.station, setup.site, night_ns, setup.seed, progress)


def stored_pointing(calibrated: Calibrated, hwp: HwpZero, station: StationSettings) -> StoredPointing:
    """The stored pointing of a calibration."""
    return StoredPointing.of(
        calibrated.model,
        calibrated.guide_reference_px,
        calibrated.report.summary,
        format_utc(calibrated.end_ns),
        hwp_deg=(degrees(hwp.zero_rad) - station.hwp.zero_deg, degrees(hwp.sigma_rad)),
        star_residuals_urad=calibrated.report.residuals_urad,
    )
