"""Star test, noise map and autofocus in the twin against its truth."""

from math import radians

import numpy as np
import pytest

from qkd_gs.calibration.fit import fit_mount
from qkd_gs.calibration.light.noise_map import noise_map
from qkd_gs.calibration.light.readings import BESIDE, SKY
from qkd_gs.calibration.light.star_test import LightVerdict, efficiency_of_stars
from qkd_gs.calibration.light.survey import Direction, sky_directions, star_directions
from qkd_gs.calibration.observations import Observations
from qkd_gs.calibration.stars import load_stars
from qkd_gs.downlink.background import background_rate
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.settings.downlink import load_downlink
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.focusing import autofocus
from qkd_gs.sim.imaging.catalogue_stars import NamedStars
from qkd_gs.sim.light_survey import count_dark, survey_light
from qkd_gs.sim.physics.focus import SimFocuser
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.world import World

SITE = load_site('Shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
DEAD_NS = load_twin().photonics.spads.dead_time_ns
FAR = np.array([1e9])


def evening(seed):
    """A world an hour before the pass of 2018-10-03, and a model that is good to the mount's residual."""
    twin = load_twin()
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, SITE, parse_utc('2018-10-03T15:56:00Z'), STATION, True)
    setup = SimulationSetup(twin, STATION, SITE, window, 3600, seed)
    stars = NamedStars(SITE, setup.begin_ns)
    world = World(twin, STATION, setup.truth, SITE, seed, setup.begin_ns, (stars,))
    places = [(radians(az), radians(el)) for az in range(0, 360, 30) for el in (20, 40, 60, 80)]
    rows = [(az, el, *world.axes_at(az, el)) for az, el in places]
    seen = Observations.from_rows(rows, [str(k) for k in range(len(rows))])
    return twin, world, fit_mount(seen).model, setup.begin_ns


@pytest.mark.parametrize(
    ('seed', 'true_efficiency', 'count'), [(3, 0.40, 3), pytest.param(4, 0.22, 6, marks=pytest.mark.long)]
)
def test_efficiency_is_within_a_tenth_of_the_truth(seed, true_efficiency, count):
    twin, world, model, start_ns = evening(seed)
    link = twin.photonics.link.model_copy(update={'system_efficiency': true_efficiency})
    photonics = twin.photonics.model_copy(update={'link': link})
    directions = star_directions(SITE, start_ns, count)
    survey, _ = survey_light(
        world, photonics, STATION, model, SITE, directions, start_ns, seed, lambda now_ns, out: None
    )
    found = efficiency_of_stars(survey.readings, load_stars(), load_downlink().link, SITE, DEAD_NS)
    assert survey.missing == {}
    assert found.efficiency == pytest.approx(true_efficiency, rel=0.1)
    assert found.verdict is (LightVerdict.GO if true_efficiency == 0.40 else LightVerdict.WEAK)
    assert sum(1 for one in survey.readings if one.target.startswith(BESIDE)) == count


@pytest.mark.long
def test_noise_map_is_within_a_fifth_of_the_truth_everywhere_above_20_deg():
    twin, world, model, start_ns = evening(5)
    dark, now_ns = count_dark(world, twin.photonics, SITE, start_ns, 5)
    directions = [one for one in sky_directions(SITE, now_ns) if round(one.az_rad, 3) in (0.0, 1.571, 3.142, 4.712)]
    survey, end_ns = survey_light(
        world, twin.photonics, STATION, model, SITE, directions, now_ns, 5, lambda now_ns, out: None
    )
    found = noise_map([dark, *survey.readings], DEAD_NS)
    assert found.dark_cps.sum() == pytest.approx(twin.photonics.noise.dark_cps, rel=0.2)
    az, el = (one.ravel() for one in np.meshgrid(np.radians(np.arange(0, 360, 20)), np.radians(np.arange(20, 85, 5))))
    t_ns = np.full(len(az), (start_ns + end_ns) // 2)
    true = background_rate(twin.photonics.noise, twin.photonics.link, SITE, t_ns, az, el, np.full(len(az), FAR[0]))
    measured = found.at(az, el)
    smooth = np.abs(measured.sum(axis=1) / true - 1)
    assert np.median(smooth) < 0.1
    assert np.quantile(smooth, 0.9) < 0.2
    assert np.allclose(measured.sum(axis=0) / measured.sum(), 0.25, atol=0.03)
    assert all(one.target == SKY for one in survey.readings)


def test_a_direction_that_the_axes_do_not_reach_is_left_out_with_its_reason():
    twin, world, model, start_ns = evening(6)
    directions = [Direction(None, 1.0, radians(-20)), Direction(None, 1.0, radians(40))]
    survey, _ = survey_light(
        world, twin.photonics, STATION, model, SITE, directions, start_ns, 6, lambda now_ns, out: None
    )
    assert survey.missing == {'azimuth 57, elevation -20 deg': 'outside the travel of the axes'}
    assert len(survey.readings) == 1


def test_autofocus_finds_the_focus_of_a_colder_tube():
    twin, world, model, start_ns = evening(7)
    settings = twin.surroundings.focus
    focuser = SimFocuser(settings, settings.reference_c - 15)
    focuser.open()
    world.tracking_camera.blur_px = focuser.blur_px
    star = next(one.star for one in star_directions(SITE, start_ns, 1))
    found, end_ns = autofocus(world, STATION, model, SITE, star, focuser, start_ns)
    best = settings.start_step - 15 * settings.steps_per_c
    kept = found.result(end_ns)
    assert kept.position == pytest.approx(best, abs=100)  # 0.2 px of blur
    assert (focuser.read(end_ns).position, kept.temperature_c) == (kept.position, settings.reference_c - 15)
