"""Calibration in lockstep: the station's calibrator on the twin's mount and cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import radians

import numpy as np

from qkd_gs.calibration.calibrator import (
    STAR_RULES,
    STARS,
    CalibrationInputs,
    CalibrationOutputs,
    CalibrationReport,
    CalibrationState,
    Calibrator,
    StarReport,
    star_tracks,
    stars_to_visit,
)
from qkd_gs.calibration.finding.verdict import Found
from qkd_gs.calibration.stars import Star, star_azel
from qkd_gs.devices.mount import MountCommand, enable_if_off
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.sim.physics.plant import Plant
from qkd_gs.sim.star_cameras import StarCameras
from qkd_gs.sim.world import World

_HAND_ERROR_RAD = radians(0.1)  # error of centring a star by hand in the guiding field
_STREAM = 0x5A4D
_TIMEOUT_NS = 3600 * 10**9


@dataclass(frozen=True)
class Calibrated:
    """Result of a calibration for the passes of the night."""

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
    found: Found | None = None,
    count: int = STARS,
    already: Sequence[StarReport] = (),
    keep: Callable[[Sequence[StarReport]], None] = lambda reports: None,
    catalogue: Sequence[Star] | None = None,
) -> Calibrated:
    """Calibrate the world's mount on stars.

    Parameters
    ----------
    found : Found, optional
        Alignment that the telescope has found by itself; not given: one star that the operator has centred by hand.
    count : int
        Number of stars at most.
    already : sequence of StarReport
        Stars that an interrupted calibration has measured.
    keep : callable
        Called with the reports after each star.
    catalogue : sequence of Star, optional
        Stars to choose from, if `found` is given; all of config/stars.csv if not.

    Raises
    ------
    StationError
        The calibration failed; with the reason.
    """
    if found is None:
        stars, model = stars_to_visit(site, start_ns), manual_alignment(world, site, start_ns, seed)
    else:
        stars, model = stars_to_visit(site, start_ns, count, found.direction, catalogue), found.model
    calibrator = Calibrator(stars, star_tracks(site), model, station, STAR_RULES, already)
    visited = len(already)
    cameras = StarCameras(world, station)
    period_ns = round(1e9 / station.tracking.control_rate_hz)
    enable_if_off(world.mount, start_ns)
    now_ns = start_ns
    while calibrator.state is CalibrationState.RUNNING:
        if now_ns - start_ns > _TIMEOUT_NS:
            raise StationError('the calibration takes more than an hour')
        now_ns += period_ns
        world.advance(now_ns)
        inputs = CalibrationInputs(world.mount.read(now_ns), *cameras.spots(now_ns))
        outputs = calibrator.step(now_ns, inputs)
        if outputs.axes is not None:
            world.mount.command(now_ns, MountCommand(**vars(outputs.axes)))
        if outputs.visited > visited:
            visited = outputs.visited
            keep(calibrator.report().stars)
        progress(now_ns, outputs)
    cameras.stop(now_ns)
    report = calibrator.report()
    if calibrator.state is CalibrationState.FAILED or report.guide_reference_px is None:
        raise StationError(f'the calibration failed: {outputs.message}')
    return Calibrated(calibrator.model, report.guide_reference_px, report, now_ns)


def manual_alignment(plant: Plant, site: Site, now_ns: int, seed: int) -> MountModel:
    """Zero points after the operator has centred one star by hand (paper, section 3.1)."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
    star = stars_to_visit(site, now_ns)[:1]
    az, el = star_azel(star, site, now_ns)
    enc_az, enc_el = plant.axes_at(float(az[0]), float(el[0]))
    hand_az, hand_el = rng.normal(0.0, _HAND_ERROR_RAD, 2)
    return MountModel(IA=enc_az + hand_az - float(az[0]), IE=enc_el + hand_el - float(el[0]))
