"""The Alpaca drivers of telescope and focuser against the simulators of PyPI's alpaca-simulators."""

from math import radians

import pytest
from observatory_servers import ALPACA_SILENT_S, alpaca, alpaca_rig

from qkd_gs.devices.capability import why_too_coarse
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.focuser import FocuserConformance, FocuserTraits
from qkd_gs.devices.conformance.mount import MountConformance, MountTraits
from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.drivers.alpaca.focuser import alpaca_focuser
from qkd_gs.drivers.alpaca.session import AlpacaOptions
from qkd_gs.drivers.alpaca.telescope import AlpacaTelescopeOptions, alpaca_telescope
from qkd_gs.drivers.slewed_mount import capability_of
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    made = alpaca(tmp_path_factory.mktemp('alpaca'))
    yield made
    made.kill()


@pytest.fixture
def scope(server):
    with alpaca_rig(server, alpaca_telescope, AlpacaTelescopeOptions) as rig:
        yield rig


def goes(rig, device, az_rad, el_rad):
    """Command a place until the mount is there."""

    def there():
        device.command(rig.now_ns, MountCommand(rig.now_ns, az_rad, el_rad))
        reading = device.read(rig.now_ns)
        return abs(reading.az_rad - az_rad) < 2e-3 and abs(reading.el_rad - el_rad) < 2e-3

    return rig.until(there, 60.0)


@pytest.mark.long
class TestAlpacaTelescope(MountConformance):
    traits = MountTraits(silent_s=ALPACA_SILENT_S, age_s=1.0, stop_s=4.0, following_rad=0.02, rate_rad_s=0.02)

    @pytest.fixture
    def rig(self, scope):
        device = scope.open()  # the conformance suite turns a little to the left and up: from a place with room for it
        device.enable(scope.now_ns)
        assert goes(scope, device, radians(20), radians(40))
        scope.close()
        return scope


@pytest.mark.long
class TestAlpacaFocuser(FocuserConformance):
    traits = FocuserTraits(distance_steps=5000, silent_s=ALPACA_SILENT_S)

    @pytest.fixture
    def rig(self, server):
        with alpaca_rig(server, alpaca_focuser, AlpacaOptions) as rig:
            yield rig


def test_it_goes_where_it_is_told_stops_and_stands(scope):
    """In a short time what the conformance suite checks in many."""
    device = scope.open()
    assert device.read(scope.now_ns).mode is MountMode.OFF
    device.enable(scope.now_ns)
    assert goes(scope, device, radians(40), radians(50))

    def has_left():
        device.command(scope.now_ns, MountCommand(scope.now_ns, radians(-20), radians(50)))
        return device.read(scope.now_ns).az_rad < radians(35)

    assert scope.until(has_left, 20.0)
    device.stop(scope.now_ns)
    assert scope.until(lambda: device.read(scope.now_ns).mode is MountMode.HOLD, 30.0)
    stopped = device.read(scope.now_ns)
    later = device.read(scope.advance(1.0))
    assert later.az_rad == pytest.approx(stopped.az_rad, abs=3e-4)
    assert radians(-15) < stopped.az_rad


def test_a_set_point_that_is_refused_is_a_fault_until_it_is_enabled(scope):
    """The simulator goes to no place below the horizon, which the station's travel has."""
    device = scope.open()
    device.enable(scope.now_ns)

    def refused():
        fault_of(lambda: device.command(scope.now_ns, MountCommand(scope.now_ns, 0.0, radians(-2))))
        return device.read(scope.now_ns).mode is MountMode.FAULT

    assert scope.until(refused, 30.0)
    assert device.read(scope.now_ns).fault == 'mount.refused'
    assert 'Altitude' in device.health()['refused']
    device.enable(scope.now_ns)
    assert device.read(scope.advance(0.1)).mode is MountMode.HOLD


def test_a_stopped_server_is_told(scope):
    device = scope.open()
    device.enable(scope.now_ns)
    scope.counterpart.silence()
    assert scope.until(lambda: fault_of(lambda: device.read(scope.now_ns)) == 'mount.silent', 30.0)


def test_it_is_too_coarse_for_the_tracking_camera():
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    told = why_too_coarse(capability_of(AlpacaTelescopeOptions()), radians(1.0), station)
    assert 'too coarse for the tracking camera: steps of 0.02 deg and 4 set-points a second' in told
