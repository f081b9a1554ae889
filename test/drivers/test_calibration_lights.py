"""Drivers of calibration lights against INDI's light panel and the CoverCalibrator of PyPI's alpaca-simulators."""

import time
from urllib.request import Request, urlopen

import pytest
from observatory_servers import ALPACA_SILENT_S, INDI_SILENT_S, INDI_TIMEOUT_S, alpaca, alpaca_rig, indi

from qkd_gs.devices.calibration_light import Cover
from qkd_gs.devices.conformance.calibration_light import CalibrationLightConformance, CalibrationLightTraits
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.drivers.alpaca.cover_calibrator import alpaca_cover_calibrator
from qkd_gs.drivers.alpaca.session import AlpacaOptions
from qkd_gs.drivers.indi.client import Property
from qkd_gs.drivers.indi.device import IndiOptions
from qkd_gs.drivers.indi.lightbox import indi_lightbox


@pytest.fixture(scope='module')
def alpaca_server(tmp_path_factory):
    made = alpaca(tmp_path_factory.mktemp('alpaca'), calibratorstate=1)  # as delivered it has a cover alone
    yield made
    made.kill()


@pytest.fixture
def panel(alpaca_server):
    with alpaca_rig(alpaca_server, alpaca_cover_calibrator, AlpacaOptions) as rig:
        yield rig


@pytest.fixture(scope='module')
def indi_server(tmp_path_factory):
    made = indi(tmp_path_factory.mktemp('indi'), 'indi_simulator_lightpanel')
    yield made
    made.kill()


@pytest.fixture
def box(indi_server):
    options = IndiOptions(port=indi_server.port, device='Light Panel Simulator', timeout_s=INDI_TIMEOUT_S)
    rig = Rig(indi_lightbox, options, indi_server, start_ns=time.time_ns())
    indi_server.restart_clock(rig.now_ns)
    yield rig
    rig.close()
    indi_server.thaw()


class TestAlpaca(CalibrationLightConformance):
    traits = CalibrationLightTraits(silent_s=ALPACA_SILENT_S, recent_s=3.0, switch_s=60.0, first_s=60.0)

    @pytest.fixture
    def rig(self, panel):
        return panel


class TestIndi(CalibrationLightConformance):
    traits = CalibrationLightTraits(silent_s=INDI_SILENT_S, recent_s=3.0, switch_s=60.0, first_s=30.0)

    @pytest.fixture
    def rig(self, box):
        return box


def put(server, name):
    body = b'ClientID=7&ClientTransactionID=1'
    urlopen(Request(f'http://127.0.0.1:{server.port}/api/v1/covercalibrator/0/{name}', body, method='PUT')).read()


def test_the_cover_of_an_alpaca_device_is_told(panel):
    device = panel.open()
    put(panel.counterpart, 'opencover')
    assert panel.until(lambda: device.read(panel.now_ns).cover is Cover.OPEN, 60.0)
    put(panel.counterpart, 'closecover')
    assert panel.until(lambda: device.read(panel.now_ns).cover is Cover.CLOSED, 60.0)


@pytest.mark.parametrize(
    ('state', 'values', 'cover'),
    [
        ('Ok', {'PARK': 'On', 'UNPARK': 'Off'}, Cover.CLOSED),
        ('Ok', {'PARK': 'Off', 'UNPARK': 'On'}, Cover.OPEN),
        ('Busy', {'PARK': 'On', 'UNPARK': 'Off'}, Cover.MOVING),
        ('Alert', {'PARK': 'On', 'UNPARK': 'Off'}, Cover.UNKNOWN),
        ('Ok', {'PARK': 'Off', 'UNPARK': 'Off'}, Cover.UNKNOWN),
        (None, {}, Cover.NONE),
    ],
)
def test_the_dust_cap_of_an_indi_device_is_told(box, state, values, cover):
    """The simulator has none: its property is made up."""
    device = box.open()
    assert box.until(lambda: device.read(box.now_ns).stamp_ns > 0, 30.0)
    if state is not None:
        device._client.properties['CAP_PARK'] = Property('Switch', state, values, box.now_ns)
    assert device.read(box.now_ns).cover is cover


def test_a_light_that_reports_a_fault_is_told(box):
    device = box.open()
    assert box.until(lambda: device.read(box.now_ns).stamp_ns > 0, 30.0)
    device._client.properties['FLAT_LIGHT_CONTROL'].state = 'Alert'
    assert fault_of(lambda: device.read(box.now_ns)) == 'calibration_light.fault'


@pytest.mark.parametrize(('state', 'code'), [(0, 'calibration_light.absent'), (5, 'calibration_light.fault')])
def test_an_alpaca_device_without_a_light_or_with_a_fault_is_told(panel, monkeypatch, state, code):
    device = panel.open()
    assert panel.until(lambda: device.read(panel.now_ns).stamp_ns > 0, 60.0)
    told = device._session.values['calibratorstate']
    monkeypatch.setitem(device._session.values, 'calibratorstate', type(told)(state, told.stamp_ns))
    monkeypatch.setattr(device._session, 'step', lambda now_ns: True)
    assert fault_of(lambda: device.read(panel.now_ns)) == code
