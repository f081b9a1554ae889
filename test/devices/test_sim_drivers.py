"""Every simulated driver passes the conformance suite of its kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from simulated_links import BeaconLink, CalibrationLightLink, FocuserLink, HwpLink, MountLink, WorldLink

from qkd_gs.devices.conformance.beacon import BeaconConformance, BeaconTraits
from qkd_gs.devices.conformance.calibration_light import CalibrationLightConformance
from qkd_gs.devices.conformance.camera import CameraConformance, CameraTraits
from qkd_gs.devices.conformance.focuser import FocuserConformance
from qkd_gs.devices.conformance.gps import GpsConformance
from qkd_gs.devices.conformance.hwp import HwpConformance
from qkd_gs.devices.conformance.mount import MountConformance
from qkd_gs.devices.conformance.rig import START_NS, Rig
from qkd_gs.devices.conformance.tdc import TdcConformance
from qkd_gs.devices.driver import NoOptions
from qkd_gs.devices.kinds import GUIDING_CAMERA
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pass_window import pass_window_nearest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.remote import drivers
from qkd_gs.sim.simulation_setup import SimulationSetup

AT_NS = parse_utc('2018-10-03T15:56:42Z')


@pytest.fixture(scope='session')
def station():
    settings = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    tracking = settings.tracking.model_copy(update={'start_el_deg': 30.0, 'end_el_deg': 30.0})
    return settings.model_copy(update={'tracking': tracking})


@pytest.fixture(scope='session')
def twin():
    """As shipped, but with short series of turbulence: quicker to make."""
    twin = load_twin()
    air = twin.plant.atmosphere.model_copy(update={'series': 1 << 15})
    return twin.model_copy(update={'plant': twin.plant.model_copy(update={'atmosphere': air})})


@pytest.fixture(scope='session')
def setup(station, twin):
    """The world begins half a minute after the satellite has risen to 30 deg."""
    elements, site = load_elements(share_path('config', 'elements', 'micius.tle')), load_site('shanghai')
    window = pass_window_nearest(elements, site, AT_NS, station)
    return SimulationSetup(twin, station, site, window, -30.0, 3)


def rig_of_plant(driver, link):
    return Rig(driver, NoOptions(), link, link=link)


def rig_of_world(driver, setup):
    link = WorldLink(setup)
    rig = Rig(driver, NoOptions(), link, station=setup.station, link=link, start_ns=setup.begin_ns)
    return rig


class TestMount(MountConformance):
    @pytest.fixture
    def rig(self, twin, station):
        return rig_of_plant(drivers.mount, MountLink(twin, station, START_NS))


class TestBeacon(BeaconConformance):
    traits = BeaconTraits(watchdog_s=0.5, power_share=0.01)

    @pytest.fixture
    def rig(self, twin, station):
        return rig_of_plant(drivers.beacon, BeaconLink(twin, station, START_NS))


class TestHwp(HwpConformance):
    @pytest.fixture
    def rig(self, twin, station):
        return rig_of_plant(drivers.hwp, HwpLink(twin, station, START_NS))


class TestFocuser(FocuserConformance):
    @pytest.fixture
    def rig(self, twin):
        return rig_of_plant(drivers.focuser, FocuserLink(twin.surroundings.focus, START_NS))


class TestCalibrationLight(CalibrationLightConformance):
    @pytest.fixture
    def rig(self, twin):
        return rig_of_plant(
            drivers.calibration_light, CalibrationLightLink(twin.surroundings.calibration_light, START_NS)
        )


class TestTrackingCamera(CameraConformance):
    @pytest.fixture
    def rig(self, setup):
        return rig_of_world(drivers.tracking_camera, setup)


class TestGuidingCamera(CameraConformance):
    kind = GUIDING_CAMERA
    traits = CameraTraits(camera='guiding_camera')

    @pytest.fixture
    def rig(self, setup):
        return rig_of_world(drivers.guiding_camera, setup)


class TestGps(GpsConformance):
    @pytest.fixture
    def rig(self, twin):
        return Rig(drivers.gps, NoOptions(), link=SimpleNamespace(setup=SimpleNamespace(settings=twin)))


class TestTdc(TdcConformance):
    @pytest.fixture
    def rig(self, setup):
        return rig_of_world(drivers.tdc, setup)
