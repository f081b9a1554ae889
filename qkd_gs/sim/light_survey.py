"""Star test and noise map in lockstep: the station's survey on the twin's mount, cameras and detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qkd_gs.calibration.calibrator import star_tracks
from qkd_gs.calibration.light.readings import DARK, LightReading
from qkd_gs.calibration.light.survey import Direction, Survey, SurveyInputs, SurveyOutputs, SurveyState
from qkd_gs.devices.mount import MountCommand, enable_if_off
from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.photons.light_meter import LightMeter
from qkd_gs.sim.star_cameras import StarCameras
from qkd_gs.sim.world import World

_STEP_NS = 10**8
_DARK_S = 20


def survey_light(
    world: World,
    photonics: PhotonicsSettings,
    station: StationSettings,
    model: MountModel,
    site: Site,
    directions: Sequence[Direction],
    start_ns: int,
    seed: int,
    progress: Callable[[int, SurveyOutputs], None],
) -> tuple[Survey, int]:
    """Count at each direction; the survey, and the time of the end.

    Parameters
    ----------
    station : StationSettings
        As calibrated.

    Raises
    ------
    StationError
        It failed; with the reason.
    """
    survey = Survey(directions, star_tracks(site), model, station, start_ns)
    meter = LightMeter(photonics, site, seed, start_ns)
    stars = any(one.star is not None for one in directions)
    cameras = StarCameras(world, station)
    period_ns = round(1e9 / station.tracking.control_rate_hz)
    enable_if_off(world.mount, start_ns)
    now_ns = start_ns
    while survey.state is SurveyState.RUNNING:
        now_ns += period_ns
        world.advance(now_ns)
        bins = meter.observe(now_ns, world.interval())
        spots = cameras.spots(now_ns) if stars else ((), ())
        outputs = survey.step(now_ns, SurveyInputs(world.mount.read(now_ns), *spots, tuple(bins)))
        if outputs.axes is not None:
            world.mount.command(now_ns, MountCommand(**vars(outputs.axes)))
        progress(now_ns, outputs)
    cameras.stop(now_ns)
    if survey.state is SurveyState.FAILED:
        raise StationError(outputs.message)
    return survey, now_ns


def count_dark(
    world: World, photonics: PhotonicsSettings, site: Site, start_ns: int, seed: int
) -> tuple[LightReading, int]:
    """Count for 20 s with the shutter closed; the reading, and the time of the end."""
    meter = LightMeter(photonics, site, seed, start_ns, closed=True)
    counts, seconds, now_ns = [0, 0, 0, 0], 0.0, start_ns
    while seconds < _DARK_S:
        now_ns += _STEP_NS
        world.advance(now_ns)
        for full in meter.observe(now_ns, world.interval()):
            seconds += (full.end_ns - full.start_ns) * 1e-9
            counts = [a + b for a, b in zip(counts, full.counts, strict=True)]
    middle_ns = (start_ns + now_ns) // 2
    return LightReading(DARK, middle_ns, 0.0, 0.0, seconds, (counts[0], counts[1], counts[2], counts[3])), now_ns
