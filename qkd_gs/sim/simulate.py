"""Take a pass in the twin from beginning to end, in lockstep, and leave a session to be processed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import radians
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.passes import Pass, pass_nearest
from qkd_gs.orbit.sky import sun_azel
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.plan import PassPlan, plan_pass
from qkd_gs.session.manifest import Manifest
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.calibration import Calibrated, calibrate
from qkd_gs.sim.figures import polarization_part, tracking_part
from qkd_gs.sim.lockstep import Lockstep, Progress
from qkd_gs.sim.named_stars import NamedStars
from qkd_gs.sim.session_book import SessionBook, finite, new_folder
from qkd_gs.sim.twin import Twin, true_trajectory
from qkd_gs.sim.world import World
from qkd_gs.timing.recorder import TagRecorder
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.tracking.supervisor import Supervisor
from qkd_gs.tracking.tracker import Tracker

_NIGHT_NS = 3600 * 10**9  # from the start of the calibration to the rise of the satellite
_ARMED_NS = 30 * 10**9  # the mount waits at the first point so long
_AFTER_NS = 60 * 10**9  # to park
_STEP_NS = 100_000_000


@dataclass(frozen=True)
class Simulation:
    """What to simulate.

    Attributes
    ----------
    elements : Elements
        Of one satellite.
    at_ns : int
        The pass whose culmination is nearest to this UTC is taken.
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
    """What a caller may want to show; every method may be left as it is."""

    def step(self, text: str) -> None:
        """A new part of the work."""

    def calibrating(self, now_ns: int, text: str) -> None:
        """The calibration goes on."""

    def passing(self, progress: Progress) -> None:
        """The pass goes on."""


def take_pass(simulation: Simulation, folder: Path, sealing_key: bytes, watcher: Watcher) -> Manifest:
    """Calibrate, take the pass, and write the session.

    Parameters
    ----------
    folder : Path
        Must not exist, or be empty.
    sealing_key : bytes
        Public key of the post-processor.

    Raises
    ------
    StationError
        No such pass, one that this mount cannot take, or a folder in use.
    """
    station, site, seed = simulation.station, simulation.site, simulation.seed
    watcher.step('planning the pass')
    found, predicted, start_ns, end_ns = approach(
        simulation.elements, site, simulation.at_ns, station, simulation.force
    )
    new_folder(folder)  # now: a mistake is told before the calibration, not after it
    watcher.step('calibrating the pointing on stars')
    night_ns = start_ns - _NIGHT_NS
    truth = true_trajectory(simulation.twin, found.orbit, site, start_ns - 2 * _ARMED_NS, end_ns + _AFTER_NS, seed)
    stars = NamedStars(site, night_ns, end_ns)
    # the evening before and the pass are two worlds of one seed: the mount and its errors are the same, and the
    # time between need not be lived through
    evening = World(simulation.twin, station, truth, site, seed, night_ns, (stars,))
    calibrated = calibrate(
        evening, station, site, night_ns, seed, lambda now_ns, out: watcher.calibrating(now_ns, out.message)
    )
    station = refined(station, calibrated)
    plan = _plan(predicted, start_ns, end_ns, calibrated, station, site)

    watcher.step('taking the pass')
    begin_ns = start_ns - _ARMED_NS
    twin = Twin(simulation.twin, station, truth, site, begin_ns, seed, (stars,))
    book = SessionBook(simulation, found, station, calibrated, begin_ns, folder)
    writer = SealedWriter(next_tags_path(folder), book.session_id, sealing_key, begin_ns)
    tracker = Tracker(station, predicted, calibrated.model, plan)
    supervisor = Supervisor(station, calibrated.model, lambda t_ns: sun_at(site, t_ns))
    lockstep = Lockstep(twin, station, tracker, supervisor, TagRecorder(writer, station.source))
    twin.record.save(folder)

    def passing(progress: Progress) -> None:
        book.keep(lockstep.log)
        watcher.passing(progress)

    lockstep.run(begin_ns, end_ns + _AFTER_NS, passing)
    figures = {
        'tracking': finite(asdict(tracking_part(lockstep.log, twin, station))),
        'polarization': finite(polarization_part(lockstep.log, predicted, calibrated.model, twin, station)),
    }
    return book.close(lockstep.log, figures)


def approach(
    elements: Elements, site: Site, at_ns: int, station: StationSettings, force: bool = False
) -> tuple[Pass, Trajectory, int, int]:
    """The pass nearest to a time, its prediction, and when the station has it above its start elevation (ns).

    Raises
    ------
    StationError
        No such pass, or one that stays below that elevation.
    """
    found = pass_nearest(elements, site, at_ns, force=force)
    predicted = Trajectory.predict(
        found.orbit, site, found.rise_ns - 2 * _ARMED_NS, found.set_ns + _AFTER_NS + 10 * _STEP_NS
    )
    return found, predicted, *above(predicted, found, radians(station.tracking.start_el_deg))


def above(predicted: Trajectory, found: Pass, el_rad: float) -> tuple[int, int]:
    """When the satellite seems to stand above an elevation: first and last UTC, ns, on a grid of 0.1 s.

    Raises
    ------
    StationError
        Never in this pass.
    """
    t_ns = np.arange(found.rise_ns - 60 * 10**9, found.set_ns + 60 * 10**9, _STEP_NS, dtype=np.int64)
    up = t_ns[predicted.table(t_ns).el_rad >= el_rad]
    if len(up) < 2:
        raise StationError(
            f'the pass that culminates at {format_utc(found.culmination_ns, 0)} only reaches '
            f'{found.max_elevation_deg:.1f} deg',
            where='--at',
            hint='choose another one with `qkd-gs passes`',
        )
    return int(up[0]), int(up[-1])


def sun_at(site: Site, t_ns: int) -> tuple[float, float]:
    """Apparent azimuth and elevation of the Sun at one time, rad."""
    az, el = sun_azel(site, np.array([t_ns], np.int64), refracted=True)
    return float(az[0]), float(el[0])


def refined(station: StationSettings, calibrated: Calibrated) -> StationSettings:
    """Settings with what the calibration has learnt of the guiding camera."""
    x_px, y_px = calibrated.guide_reference_px
    camera = station.guiding_camera.model_copy(update={'reference_x_px': x_px, 'reference_y_px': y_px})
    return station.model_copy(update={'guiding_camera': camera})


def _plan(
    predicted: Trajectory, start_ns: int, end_ns: int, calibrated: Calibrated, station: StationSettings, site: Site
) -> PassPlan:
    return plan_pass(
        predicted,
        start_ns,
        end_ns,
        calibrated.model,
        station.mount,
        sun=lambda t_ns: sun_azel(site, t_ns, refracted=True),
        sun_exclusion_rad=radians(station.sun.exclusion_deg),
    )
