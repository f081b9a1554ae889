"""The INDI telescope driver against INDI's telescope simulator, and its coordinates against Astropy's."""

import time
from math import degrees, pi, radians

import astropy.units as u
import pytest
from astropy.coordinates import TETE, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st
from observatory_servers import INDI_SILENT_S, INDI_TIMEOUT_S, Polled, indi

from qkd_gs.devices.capability import why_too_coarse
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.mount import MountConformance, MountTraits
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.drivers.indi.equatorial import Sky
from qkd_gs.drivers.indi.telescope import IndiTelescopeOptions, indi_telescope
from qkd_gs.drivers.slewed_mount import Winding, capability_of
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

SITE = load_site('shanghai')
STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
NAME = 'Telescope Simulator'


def rig_of(server):
    """A rig whose station time is the machine's, by which the simulator computes its sidereal time."""
    now_ns = time.time_ns()
    rig = Polled(
        indi_telescope,
        IndiTelescopeOptions(port=server.port, device=NAME, timeout_s=INDI_TIMEOUT_S),
        server,
        start_ns=now_ns,
    )
    server.restart_clock(now_ns)
    return rig


def goes(rig, device, az_rad, el_rad):
    """Command a place until the mount is there."""

    def there():
        device.command(rig.now_ns, MountCommand(rig.now_ns, az_rad, el_rad))
        reading = device.read(rig.now_ns)
        return abs(reading.az_rad - az_rad) < 2e-3 and abs(reading.el_rad - el_rad) < 2e-3

    return rig.until(there, 120.0)


@pytest.fixture(scope='module')
def pointed(tmp_path_factory):
    """The simulator, away from the celestial pole, near which its axes would have to turn far."""
    server = indi(tmp_path_factory.mktemp('indi'), 'indi_simulator_telescope')
    rig = rig_of(server)
    device = rig.open()
    device.enable(rig.now_ns)
    assert goes(rig, device, radians(170), radians(40))
    rig.close()
    yield server
    server.kill()


@pytest.fixture
def scope(pointed):
    rig = rig_of(pointed)
    yield rig
    rig.close()
    pointed.thaw()


@pytest.mark.long
class TestIndiTelescope(MountConformance):
    traits = MountTraits(silent_s=INDI_SILENT_S, age_s=1.0, stop_s=4.0, following_rad=0.02, rate_rad_s=0.02)

    @pytest.fixture
    def rig(self, scope):
        return scope


def test_it_goes_where_it_is_told_stops_and_stands(scope):
    """In a short time what the conformance suite checks in many."""
    device = scope.open()
    assert device.read(scope.now_ns).mode is MountMode.OFF
    device.enable(scope.now_ns)
    start = device.read(scope.now_ns)
    assert goes(scope, device, start.az_rad - radians(2), start.el_rad + radians(1))

    def has_left():
        device.command(scope.now_ns, MountCommand(scope.now_ns, start.az_rad - radians(60), start.el_rad))
        return device.read(scope.now_ns).az_rad < start.az_rad - radians(3)

    assert scope.until(has_left, 20.0)
    device.stop(scope.now_ns)
    assert scope.until(lambda: device.read(scope.now_ns).mode is MountMode.HOLD, 10.0)
    stopped = device.read(scope.now_ns)
    later = device.read(scope.advance(1.5))
    assert later.az_rad == pytest.approx(stopped.az_rad, abs=1e-4)  # nor does it go on with the stars
    assert later.el_rad == pytest.approx(stopped.el_rad, abs=1e-4)
    assert stopped.az_rad > start.az_rad - radians(55)


def test_a_stopped_server_is_told(scope):
    device = scope.open()
    device.enable(scope.now_ns)
    scope.counterpart.silence()
    assert scope.until(lambda: fault_of(lambda: device.read(scope.now_ns)) == 'mount.silent', 10.0)


def test_a_killed_server_is_told_and_serves_again_after_its_restart(tmp_path):
    server = indi(tmp_path, 'indi_simulator_telescope')
    rig = rig_of(server)
    device = rig.open()
    try:
        server.kill()
        assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'mount.silent', 10.0)
        device.stop(rig.now_ns)
        device.close()
        server.start()
        server.restart_clock(rig.now_ns)
        device.open()
        assert device.read(rig.now_ns).mode is MountMode.OFF
        assert 'Telescope Simulator' in device.health()['driver_name']
    finally:
        rig.close()
        server.kill()


def test_it_is_too_coarse_for_the_tracking_camera():
    options = IndiTelescopeOptions(device=NAME)
    told = why_too_coarse(capability_of(options), radians(1.0), STATION)
    assert told.startswith(
        'the mount is too coarse for the tracking camera: steps of 0.02 deg and 4 set-points a second'
    )


# --- coordinates ---

TIMES = st.integers(1_500_000_000, 1_800_000_000)


@given(TIMES, st.floats(-pi, pi), st.floats(-1.5, 1.5))
def test_coordinates_turn_back(t_s, az_rad, el_rad):
    sky = Sky(SITE)
    az, el = sky.horizontal(t_s * 10**9, *sky.equatorial(t_s * 10**9, az_rad, el_rad))
    assert el == pytest.approx(el_rad, abs=1e-7)
    assert abs((az - az_rad + pi) % (2 * pi) - pi) < 1e-7


@pytest.mark.parametrize('t_s', [1_538_582_400, 1_700_000_000])
def test_coordinates_are_those_of_astropy(t_s):
    place = EarthLocation(lon=SITE.longitude_deg * u.deg, lat=SITE.latitude_deg * u.deg, height=SITE.altitude_m * u.m)
    at = Time(t_s, format='unix')
    sky = Sky(SITE)
    sky.sidereal_rad((t_s - 500) * 10**9)  # carried on from another time
    for az_deg, el_deg in ((0.0, 30.0), (123.0, 72.0), (-60.0, 5.0)):
        ra_h, dec_deg = sky.equatorial(t_s * 10**9, radians(az_deg), radians(el_deg))
        star = SkyCoord(ra_h * 15 * u.deg, dec_deg * u.deg, frame=TETE(obstime=at, location=place))
        seen = star.transform_to(AltAz(obstime=at, location=place))
        assert abs((seen.az.deg - az_deg + 180) % 360 - 180) < 5e-4
        assert seen.alt.deg == pytest.approx(el_deg, abs=5e-4)


def test_an_azimuth_within_a_turn_is_the_angle_of_the_travel_near_the_set_point():
    winding = Winding(STATION.mount.azimuth)  # -270 to 270 deg
    assert degrees(winding.of(radians(190))) == pytest.approx(-170)
    winding.near_rad = radians(200)
    assert degrees(winding.of(radians(-170))) == pytest.approx(190)
    winding.near_rad = radians(265)
    assert degrees(winding.of(radians(80))) == pytest.approx(80)
    assert degrees(winding.of(radians(-80))) == pytest.approx(-80)  # 280 deg is beyond the travel
