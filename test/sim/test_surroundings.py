"""Simulated aircraft, weather and shutter: they do what the settings say."""

from math import radians

import pytest
from skyfield.api import wgs84

from qkd_gs.devices.conformance.calibration_light import CalibrationLightConformance
from qkd_gs.devices.conformance.dome import DomeConformance, DomeTraits
from qkd_gs.devices.conformance.focuser import FocuserConformance
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.conformance.weather import WeatherConformance
from qkd_gs.devices.driver import NoOptions, driver
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.vectors import azel_from_enu, enu_rotation
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.safety.laser.laser_safety import BeamMotion, LaserSafety
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.settings.twin_surroundings import FocusSettings, TrueCalibrationLight
from qkd_gs.share import share_path
from qkd_gs.sim.enclosure import SimDome, SimWeather
from qkd_gs.sim.physics.calibration_light import SimCalibrationLight
from qkd_gs.sim.physics.focus import SimFocuser
from qkd_gs.sim.simulation_setup import SimulationSetup
from qkd_gs.sim.traffic import SimAircraft

SECOND = 10**9
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SITE = load_site('shanghai')


def setup_of(scenario=None):
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, SITE, parse_utc('2018-10-03T15:56:42Z'), STATION)
    return SimulationSetup(load_twin(scenario), STATION, SITE, window, 30.0, 1)


def simulated(made):
    return driver(NoOptions)(lambda context: made(setup_of()))


class Instant(Counterpart):
    """Devices without a counterpart."""


class TestSimDome(DomeConformance):
    traits = DomeTraits(move_s=10)

    @pytest.fixture
    def rig(self):
        return Rig(simulated(SimDome), NoOptions(), Instant())


class TestSimCalibrationLight(CalibrationLightConformance):
    @pytest.fixture
    def rig(self):
        return Rig(
            driver(NoOptions)(lambda context: SimCalibrationLight(TrueCalibrationLight())), NoOptions(), Instant()
        )


class TestSimFocuser(FocuserConformance):
    @pytest.fixture
    def rig(self):
        return Rig(driver(NoOptions)(lambda context: SimFocuser(FocusSettings(), 10.0)), NoOptions(), Instant())


class TestSimWeather(WeatherConformance):
    @pytest.fixture
    def rig(self):
        return Rig(simulated(SimWeather), NoOptions(), Instant())


def test_a_colder_tube_is_out_of_focus_until_the_focuser_follows():
    settings = FocusSettings()
    focuser = SimFocuser(settings, settings.reference_c - 20)
    focuser.open()
    steps = round(-20 * settings.steps_per_c)
    assert focuser.blur_px(0) == pytest.approx(steps * settings.blur_px_per_1000_steps / 1000)
    focuser.move(0, settings.start_step + steps)
    assert focuser.blur_px(60 * SECOND) == pytest.approx(0, abs=1e-6)


def test_the_aircraft_of_the_scenario_crosses_the_line_of_sight_and_darkens_it():
    setup = setup_of('aircraft')
    crossing_ns = setup.window.found.culmination_ns - 30 * SECOND
    receiver, laser = SimAircraft(setup), LaserSafety(STATION, SITE)
    receiver.open()
    dark = []
    for k in range(-120, 60):
        now_ns = crossing_ns + k * SECOND
        laser.heard(now_ns, receiver.read(now_ns))
        seen, ahead = setup.truth.at(now_ns), setup.truth.at(now_ns + SECOND)
        beam = BeamMotion(seen.az_rad, seen.el_rad, ahead.az_rad - seen.az_rad, ahead.el_rad - seen.el_rad)
        dark += [k] if any(one.code == 'laser.aircraft' for one in laser.step(now_ns, beam)) else []
    assert set(range(-5, 3)) <= set(dark)
    assert min(dark) > -90
    assert max(dark) < 45


def test_it_is_in_the_line_of_sight_when_it_crosses():
    setup = setup_of('aircraft')
    crossing_ns = setup.window.found.culmination_ns - 30 * SECOND
    receiver = SimAircraft(setup)
    receiver.open()
    _, aircraft = receiver.read(crossing_ns).reports
    place = wgs84.latlon(aircraft.latitude_deg, aircraft.longitude_deg, aircraft.altitude_m).itrs_xyz.m
    site = wgs84.latlon(SITE.latitude_deg, SITE.longitude_deg, SITE.altitude_m).itrs_xyz.m
    az, el = azel_from_enu(enu_rotation(SITE) @ (place - site))
    seen = setup.truth.at(crossing_ns)
    assert separation(float(az), float(el), seen.az_rad, seen.el_rad) < radians(0.1)


def test_it_rains_when_the_scenario_says_so():
    setup = setup_of('rain')
    weather = SimWeather(setup)
    weather.open()
    begin_ns = setup.window.found.culmination_ns - 60 * SECOND
    assert weather.read(begin_ns - SECOND).safe
    assert weather.read(begin_ns + SECOND).rain_mm_h == 4
    assert weather.read(begin_ns + 1300 * SECOND).safe
