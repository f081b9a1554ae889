"""Steps before the light is tested: devices, time and place, orientation, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import degrees, radians

from qkd_gs.calibration.calibration_run import CalibrationRun, hidden
from qkd_gs.calibration.calibrator import CalibrationOutputs, StarReport
from qkd_gs.calibration.check import STARS as CHECK_STARS
from qkd_gs.calibration.check import Verdict, check_stars, corrected
from qkd_gs.calibration.finding.search import SearchOutputs
from qkd_gs.calibration.finding.verdict import Found
from qkd_gs.calibration.outcome import aligned
from qkd_gs.calibration.plate_solving.catalogues import GAIA_EPOCH, gaia
from qkd_gs.calibration.plate_solving.solver import TetraSolver
from qkd_gs.errors import StationError
from qkd_gs.evening.checks import time_and_place
from qkd_gs.evening.evening import Outcome
from qkd_gs.evening.sequence import Interrupted
from qkd_gs.evening.steps import State
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.pointing_file import FILE_NAME, StoredPointing, load_pointing
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.calibration import calibrate
from qkd_gs.sim.evening.evening_world import EveningSimulation, EveningWorld
from qkd_gs.sim.finding import compass_alignment, find_itself
from qkd_gs.sim.photons.tdc_gps import SimGps
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRole

Result = tuple[Outcome, int]  # and the time of the end
Progress = Callable[[int, str], None]  # raises `Interrupted`
_LOOK_NS = 2 * 10**9
_STEP_NS = 10**7
_SOUTH_RAD = radians(180), radians(45)  # of a pointing that does not say where it holds


def self_test(given: EveningSimulation, world: EveningWorld, now_ns: int) -> Result:
    """Read the list of stars and every device once; the cameras must send an image within two seconds."""
    given.stars()
    twin, station = world.at(now_ns), world.given.station
    twin.hwp.read(now_ns)
    twin.beacon.read(now_ns)
    twin.mount.read(now_ns)
    loops = [
        (CameraLoop(CameraRole.GUIDING, station.guiding_camera, twin.guiding_camera), GUIDING_STARS),
        (CameraLoop(CameraRole.TRACKING, station.tracking_camera, twin.tracking_camera), TRACKING_STARS),
    ]
    images, end_ns = [0, 0], now_ns + _LOOK_NS
    while now_ns < end_ns:
        now_ns += _STEP_NS
        twin.advance(now_ns)
        for k, (loop, request) in enumerate(loops):
            images[k] += len(loop.step(now_ns, request))
    for loop, _ in loops:
        loop.step(now_ns, None)
    if not all(images):
        name = ('guiding', 'tracking')[images.index(0)]
        return Outcome(State.FAILED, f'the {name} camera sends no images'), now_ns
    return Outcome(State.DONE, 'mount, both cameras, half-wave plate and beacon answer; nothing has moved'), now_ns


def check_time_and_place(world: EveningWorld, now_ns: int) -> Result:
    """Compare with the simulated GPS receiver."""
    gps = SimGps(world.given.twin.photonics, world.given.site)
    gps.open()
    return time_and_place(gps.read(now_ns), now_ns, world.given.site), now_ns


def find(given: EveningSimulation, world: EveningWorld, now_ns: int, progress: Progress) -> Result:
    """Find the orientation, unless there is a calibration to be checked."""
    stored = _stored(given)
    if stored is not None and not stored.coarse:
        return Outcome(State.NOT_NEEDED, f'the calibration of {stored.fitted_utc} is checked instead'), now_ns
    try:
        solver = TetraSolver(gaia, GAIA_EPOCH)
        gaia()
    except StationError as error:
        return Outcome(State.UNAVAILABLE, f'no catalogue of stars: {error}'), now_ns
    simulation, twin = given.simulation, world.at(now_ns)
    compass = compass_alignment(twin, simulation.seed, given.compass_error_rad)

    def seen(t_ns: int, out: SearchOutputs) -> None:
        progress(t_ns, out.message)

    found, end_ns = find_itself(twin, simulation.station, simulation.site, compass, solver, now_ns, seen)
    aligned(found, stored, simulation.station, end_ns).save(given.state_dir)
    az, el = found.direction
    return Outcome(State.DONE, found.summary, {'az_deg': degrees(az), 'el_deg': degrees(el)}), end_ns


def calibrate_or_check(given: EveningSimulation, world: EveningWorld, now_ns: int, progress: Progress) -> Result:
    """Check the last calibration on three stars, and make a new one where it does not hold, or there is none."""
    stored = _stored(given)
    if stored is None:
        return Outcome(State.FAILED, 'the orientation is not known, and no star was centred by hand'), now_ns
    first = stored.aligned_rad or _SOUTH_RAD
    station, said = given.simulation.station, ''
    if not stored.coarse:
        try:
            verdict, stored, said, now_ns = _checked(given, world, stored, station, now_ns, first, progress)
        except Interrupted:
            raise
        except StationError as error:
            stored.model_copy(update={'coarse': True}).save(given.state_dir)
            return Outcome(State.FAILED, f'the last calibration is not found again: {error}'), now_ns
        if verdict is not Verdict.NEEDED:
            return Outcome(State.DONE, said, {'check': verdict.name.lower()}), now_ns
    site = given.simulation.site
    run = CalibrationRun(given.state_dir, site, now_ns, given.stars())

    def keep(reports: Sequence[StarReport]) -> None:
        run.keep(reports)
        why = hidden(reports)
        if why:
            raise StationError(why)

    done = calibrate(
        world.at(now_ns), stored.refine(station), site, now_ns, given.simulation.seed,
        _said(progress), Found(stored.model, first, ''), already=run.already, keep=keep, catalogue=run.stars,
    )  # fmt: skip
    try:
        result = run.accept(done.report, done.model, stored, done.end_ns)
    except StationError as error:
        return Outcome(State.FAILED, f'{said}; {error}' if said else str(error)), done.end_ns
    measured = sum(one.measured for one in done.report.stars)
    values = {'stars': measured, 'heldout_urad': result.heldout_urad}
    return Outcome(State.DONE, f'{said}; {result.summary}' if said else result.summary, values), done.end_ns


def _checked(
    given: EveningSimulation,
    world: EveningWorld,
    stored: StoredPointing,
    station: StationSettings,
    now_ns: int,
    first: tuple[float, float],
    progress: Progress,
) -> tuple[Verdict, StoredPointing, str, int]:
    """Visit three stars; new zero points are stored."""
    simulation = given.simulation
    done = calibrate(
        world.at(now_ns), stored.refine(station), simulation.site, now_ns, simulation.seed, _said(progress),
        Found(stored.model, first, ''), count=CHECK_STARS, catalogue=given.stars(),
    )  # fmt: skip
    found = check_stars(stored, done.report.stars)
    stored = corrected(stored, found, format_utc(done.end_ns))
    if found.verdict is Verdict.ZEROS_MOVED:
        stored.save(given.state_dir)
    return found.verdict, stored, found.summary, done.end_ns


def _said(progress: Progress) -> Callable[[int, CalibrationOutputs], None]:
    return lambda t_ns, out: progress(t_ns, out.message)


def _stored(given: EveningSimulation) -> StoredPointing | None:
    return load_pointing(given.state_dir) if (given.state_dir / FILE_NAME).exists() else None
