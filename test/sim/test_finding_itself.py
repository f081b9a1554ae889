"""The telescope finds itself in the twin, under the stars of another catalogue than the solver's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, remainder, tau
from typing import Any

import pytest

from qkd_gs.calibration.plate_solving.catalogues import GAIA_EPOCH, gaia
from qkd_gs.calibration.plate_solving.solver import TetraSolver
from qkd_gs.devices.mount import MountCommand, MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.calibration import calibrate
from qkd_gs.sim.finding import compass_alignment, find_itself
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.world import World

EVENING_S = 3600


def evening(seed):
    """A dark sky an hour before the pass of 2018-10-03, with the real stars; world, station, site, start."""
    twin, site = load_twin(), load_site('Shanghai')
    sky = twin.plant.sky.model_copy(update={'stars': 'tycho'})
    twin = twin.model_copy(update={'plant': twin.plant.model_copy(update={'sky': sky})})
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, site, parse_utc('2018-10-03T15:56:00Z'), station, True)
    setup = SimulationSetup(twin, station, site, window, EVENING_S, seed)
    stars = NamedStars(site, setup.begin_ns)
    return World(twin, station, setup.truth, site, seed, setup.begin_ns, (stars,)), station, site, setup.begin_ns


@dataclass
class Backwards:
    """A mount whose azimuth encoder counts against the convention."""

    mount: Any

    def enable(self, now_ns: int) -> None:
        self.mount.enable(now_ns)

    def read(self, now_ns: int) -> MountReading:
        reading = self.mount.read(now_ns)
        return replace(reading, az_rad=-reading.az_rad, az_rate_rad_s=-reading.az_rate_rad_s)

    def command(self, now_ns: int, command: MountCommand) -> None:
        self.mount.command(
            now_ns,
            replace(
                command,
                az_rad=-command.az_rad,
                az_rate_rad_s=-command.az_rate_rad_s,
                az_acc_rad_s2=-command.az_acc_rad_s2,
            ),
        )


def test_finds_itself_from_a_compass():
    """Zero points good to half a milliradian at the place of the first strip, a tenth of the guiding field."""
    world, station, site, start_ns = evening(1)
    compass = compass_alignment(world, 1)
    found, end_ns = find_itself(
        world, station, site, compass, TetraSolver(gaia, GAIA_EPOCH), start_ns, lambda now_ns, out: None
    )
    az, el = found.direction
    true_az, true_el = world.axes_at(az, el)
    enc_az, enc_el = found.model.encoder(az, el)
    assert abs(remainder(enc_az - true_az, tau)) * cos(el) < 5e-4
    assert abs(enc_el - true_el) < 5e-4
    assert (end_ns - start_ns) * 1e-9 < 600


@pytest.mark.long
def test_calibration_goes_on_from_there():
    """To the model that a star centred by hand would have led to."""
    world, station, site, start_ns = evening(2)
    solver = TetraSolver(gaia, GAIA_EPOCH)
    found, end_ns = find_itself(
        world, station, site, compass_alignment(world, 2), solver, start_ns, lambda now_ns, out: None
    )
    calibrated = calibrate(world, station, site, end_ns, 2, lambda now_ns, out: None, found)
    assert sum(report.measured for report in calibrated.report.stars) >= 15
    assert calibrated.report.fit.heldout_rms_rad < 35e-6


@pytest.mark.long
def test_azimuth_encoder_that_counts_backwards_is_named():
    """The mount follows the sky the wrong way at first, so that no strip is identified until it tries the other way."""
    world, station, site, start_ns = evening(1)
    true = compass_alignment(world, 1)
    compass = MountModel(IA=-true['IA'] - 0.1, IE=true['IE'])
    with pytest.raises(StationError, match='the azimuth encoder counts backwards'):
        find_itself(
            world,
            station,
            site,
            compass,
            TetraSolver(gaia, GAIA_EPOCH),
            start_ns,
            lambda now_ns, out: None,
            Backwards(world.mount),
        )
