"""A calibration night in lockstep: the station's calibrator on the twin's mount and cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import radians

import numpy as np

from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.errors import StationError
from qkd_gs.pointing.calibration import (
    STAR_RULES,
    STARS,
    CalibrationInputs,
    CalibrationOutputs,
    CalibrationReport,
    CalibrationState,
    Calibrator,
)
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.stars import Star, StarTrack, load_stars, select_stars, star_azel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.world import World
from qkd_gs.tracking.camera_loop import CameraLoop
from qkd_gs.tracking.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CameraRole

_HAND_ERROR_RAD = radians(0.1)  # how well a star is centred by hand in the guiding field
# Where the operator looks for the first star: centred too high, it would put the tilt into the azimuth's zero point.
_FIRST_RAD = (radians(180), radians(35))
_STREAM = 0x5A4D
_TIMEOUT_NS = 3600 * 10**9


@dataclass(frozen=True)
class Calibrated:
    """What a calibration leaves for the passes of the night."""

    model: MountModel
    guide_reference_px: tuple[float, float]
    report: CalibrationReport
    end_ns: int


def calibrate(
    world: World,
    station: StationSettings,
    site: Site,
    start_ns: int,
    seed: int,
    progress: Callable[[int, CalibrationOutputs], None],
) -> Calibrated:
    """Calibrate the world's mount on stars, starting from one star that the operator has centred by hand.

    Raises
    ------
    StationError
        The calibration failed; says why.
    """
    calibrator = Calibrator(*_coarse(world, site, start_ns, seed), station, STAR_RULES)
    guiding = CameraLoop(CameraRole.GUIDING, station.guiding_camera, world.guiding_camera)
    tracking = CameraLoop(CameraRole.TRACKING, station.tracking_camera, world.tracking_camera)
    period_ns = round(1e9 / station.tracking.control_rate_hz)
    if world.mount.read(start_ns).mode is MountMode.OFF:
        world.mount.enable(start_ns)
    now_ns = start_ns
    while calibrator.state is CalibrationState.RUNNING:
        if now_ns - start_ns > _TIMEOUT_NS:
            raise StationError('the calibration takes more than an hour')
        now_ns += period_ns
        world.advance(now_ns)
        inputs = CalibrationInputs(
            world.mount.read(now_ns),
            tuple(guiding.step(now_ns, GUIDING_STARS)),
            tuple(tracking.step(now_ns, TRACKING_STARS)),
        )
        outputs = calibrator.step(now_ns, inputs)
        if outputs.axes is not None:
            world.mount.command(now_ns, MountCommand(**vars(outputs.axes)))
        progress(now_ns, outputs)
    for camera in (guiding, tracking):
        camera.step(now_ns, None)
    report = calibrator.report()
    if calibrator.state is CalibrationState.FAILED or report.guide_reference_px is None:
        raise StationError(f'the calibration failed: {outputs.message}')
    return Calibrated(calibrator.model, report.guide_reference_px, report, now_ns)


def _coarse(
    world: World, site: Site, start_ns: int, seed: int
) -> tuple[list[Star], Callable[[Star, int, int], StarTrack], MountModel]:
    """Stars to visit, their tracks, and the model after one star was centred by hand (paper, section 3.1)."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
    stars = select_stars(load_stars(), site, start_ns, STARS, first=_FIRST_RAD)
    az, el = star_azel(stars[:1], site, start_ns)
    enc_az, enc_el = world.axes_at(float(az[0]), float(el[0]))
    hand_az, hand_el = rng.normal(0.0, _HAND_ERROR_RAD, 2)
    model = MountModel(IA=enc_az + hand_az - float(az[0]), IE=enc_el + hand_el - float(el[0]))

    def track_of(star: Star, first_ns: int, last_ns: int) -> StarTrack:
        return StarTrack(star, site, first_ns, last_ns)

    return stars, track_of, model
