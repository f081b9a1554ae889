"""A station that knows of its orientation what a misread compass says finds itself on the stars."""

from math import cos, degrees, pi, radians, remainder

import pytest
from graph_station import running_station
from observing_station import ask, observing
from qkd_gs.action import Observe

from qkd_gs.devices.mount import MountMode
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.physics.plant import Plant
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.station.demo_station import AT
from qkd_gs.tracking.types import MountTask

pytestmark = pytest.mark.long
LEAD_S, COMPASS_DEG = 4000.0, 25.0


@pytest.fixture(scope='module')
def station(tmp_path_factory):
    options = {'alignment': 'compass', 'compass_error_deg': COMPASS_DEG, 'lead_s': LEAD_S, 'speed': 0.0}
    with running_station(tmp_path_factory, calibrated=False, **options) as running:
        yield observing(running)


def result(station, handle):
    future = handle.get_result_async()
    station.until(future.done, 'it has ended', step_s=0.5)
    return future.result().result


def at_rest(station):
    now = station.drives[-1]
    return now.mode == MountMode.HOLD and abs(now.az_rate_rad_s) + abs(now.el_rate_rad_s) < radians(0.01)


def test_light_is_not_measured_before_the_telescope_has_found_itself(station):
    for task, code in ((Observe.Goal.STAR_TEST, Observe.Result.NOT_READY), (77, Observe.Result.REFUSED)):
        assert result(station, ask(station, task)).error_code == code
    assert station.tasks[-1].data == MountTask.NONE


def test_it_finds_itself_whose_compass_was_misread(station):
    handle = ask(station, Observe.Goal.FIND)
    found = result(station, handle)
    assert (found.error_code, found.error_msg) == (Observe.Result.DONE, '')
    stored = load_pointing(station.state)
    assert stored.coarse
    assert not stored.compass
    az, el = stored.aligned_rad
    enc_az, enc_el = stored.model.encoder(az, el)
    true_az, true_el = truth(station).axes_at(az, el)
    assert degrees(abs(remainder(enc_az - true_az, 2 * pi))) * cos(el) < 0.05
    assert degrees(abs(enc_el - true_el)) < 0.05
    station.until(lambda: station.tasks[-1].data == MountTask.NONE and at_rest(station), 'it brakes')


def truth(station):
    """The plant of the twin, which another process has."""
    settings, site = load_yaml(station.place / 'station.yaml', StationSettings), load_site('shanghai')

    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, site, parse_utc(AT), settings)
    setup = SimulationSetup(load_twin(), settings, site, window, LEAD_S, 1)
    return Plant(setup.settings, settings, setup.truth, site, 1, setup.begin_ns)
