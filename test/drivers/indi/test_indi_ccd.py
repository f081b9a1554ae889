"""INDI drivers of camera, GPS receiver and focuser against INDI's simulators, and images in FITS against Astropy's."""

import io
import time

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from observatory_servers import INDI_SILENT_S, INDI_TIMEOUT_S, indi

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.conformance.camera import CameraConformance, CameraTraits
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.gps import GpsConformance, GpsTraits
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.drivers.indi.ccd import IndiCcdOptions, indi_ccd
from qkd_gs.drivers.indi.device import IndiOptions
from qkd_gs.drivers.indi.fits import image_of
from qkd_gs.drivers.indi.focuser import indi_focuser
from qkd_gs.drivers.indi.gps import IndiGpsOptions, indi_gps
from qkd_gs.errors import DeviceFault

NAMES = {'ccd': 'CCD Simulator', 'gps': 'GPS Simulator', 'focus': 'Focuser Simulator'}


MORE = {'timeout_s': INDI_TIMEOUT_S}
ANYWHERE = {'max_distance_m': 3e7, 'max_offset_s': 3600}  # the simulator's place is not ours


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    made = indi(tmp_path_factory.mktemp('indi'), *(f'indi_simulator_{name}' for name in NAMES))
    yield made
    made.kill()


@pytest.fixture
def serve(server):
    made = []

    def make(driver, options, name, **more):
        rig = Rig(
            driver, options(port=server.port, device=NAMES[name], **MORE, **more), server, start_ns=time.time_ns()
        )
        server.restart_clock(rig.now_ns)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.close()
    server.thaw()


class TestCcd(CameraConformance):
    traits = CameraTraits(
        camera='guiding_camera',
        rate_hz=2.0,
        loss=0.5,
        latency_s=3.0,
        shortest_s=0.02,
        spacing=0.5,
        settle_s=3.0,
        patience_s=30.0,
        silent_s=INDI_SILENT_S,
    )

    @pytest.fixture
    def rig(self, serve):
        return serve(indi_ccd, IndiCcdOptions, 'ccd', late_s=10.0)


class TestGps(GpsConformance):
    traits = GpsTraits(accuracy_s=1.0, own_clock=True, fix_s=30.0, silent_s=INDI_SILENT_S)

    @pytest.fixture
    def rig(self, serve):
        return serve(indi_gps, IndiGpsOptions, 'gps', **ANYWHERE)


def gps_fault(rig):
    device = rig.open()
    said = []
    assert rig.until(lambda: said.append(fault_of(lambda: device.read(rig.now_ns))) or said[-1], 60.0)
    return said[-1]


def test_a_receiver_that_is_not_at_the_site_is_told(serve):
    """The simulator is in England, the site in Shanghai."""
    assert gps_fault(serve(indi_gps, IndiGpsOptions, 'gps', max_offset_s=3600)) == 'gps.position'


def test_a_receiver_whose_time_is_wrong_is_told(serve):
    rig = serve(indi_gps, IndiGpsOptions, 'gps', **ANYWHERE)
    rig.now_ns += 2 * 3600 * 10**9  # of the station
    rig.counterpart.restart_clock(rig.now_ns)
    assert gps_fault(rig) == 'gps.time_offset'


def test_a_focuser_goes_where_it_is_told_and_refuses_what_is_outside(serve):
    """The simulator moves at once and has no stop, so that the conformance suite of focusers cannot be run with it."""
    rig = serve(indi_focuser, IndiOptions, 'focus')
    device = rig.open()
    assert rig.until(lambda: device.read(rig.now_ns).stamp_ns > 0, 10.0)
    assert device.travel() == (0, 100_000)
    device.move(rig.now_ns, 42_000)
    assert rig.until(lambda: device.read(rig.now_ns).position == 42_000 and not device.read(rig.now_ns).moving, 10.0)
    assert device.read(rig.now_ns).temperature_c == 0
    assert fault_of(lambda: device.move(rig.now_ns, 100_001)) == 'focuser.command'
    device.halt(rig.now_ns)
    rig.counterpart.silence()
    assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'focuser.silent', 10.0)


def test_a_sensor_of_another_size_is_refused(serve):
    rig = serve(indi_ccd, IndiCcdOptions, 'ccd')
    rig.station = rig.station.model_copy(
        update={'guiding_camera': rig.station.guiding_camera.model_copy(update={'width_px': 1920})}
    )
    rig._context = rig._context.__class__(**{**rig._context.__dict__, 'station': rig.station})
    with pytest.raises(DeviceFault, match=r'camera\.other.*1280 x 1024 pixels, 1920 x 1024') as refused:
        rig.open()
    assert refused.value.code == 'camera.other'


def test_the_self_test_takes_an_image(serve):
    rig = serve(indi_ccd, IndiCcdOptions, 'ccd')
    assert 'CCD Simulator: an image of 1280 x 1024, mean ' in rig.open().self_test()


def test_a_camera_is_told_to_be_killed_and_serves_again(tmp_path):
    server = indi(tmp_path, 'indi_simulator_ccd')
    rig = Rig(indi_ccd, IndiCcdOptions(port=server.port, device=NAMES['ccd'], **MORE), server)
    server.restart_clock(rig.now_ns)
    device = rig.open()
    settings = CameraSettings(0.01, 1.0, 5.0, Roi(0, 0, 64, 64))
    device.configure(rig.now_ns, settings)
    try:
        server.kill()
        assert rig.until(lambda: fault_of(lambda: device.poll(rig.now_ns)) == 'camera.silent', INDI_SILENT_S)
        device.close()
        server.start()
        server.restart_clock(rig.now_ns)
        device.open()
        device.configure(rig.now_ns, settings)
        assert rig.until(lambda: device.poll(rig.now_ns), 10.0)
    finally:
        rig.close()
        server.kill()


# --- images in FITS ---


def packed(image):
    file = io.BytesIO()
    fits.PrimaryHDU(image).writeto(file)
    return file.getvalue()


@pytest.mark.parametrize('kind', [np.uint8, np.int16, np.uint16])
def test_images_are_those_of_astropy(kind):
    values = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (5, 7), endpoint=True).astype(kind)
    values[0, :2] = 0, np.iinfo(kind).max
    found = image_of(packed(values))
    assert found.dtype == np.uint16
    assert np.array_equal(found, values)


OTHERS = [np.zeros((4, 4), np.float32), np.zeros((3, 4, 4), np.uint16), np.zeros(4, np.uint16)]


@pytest.mark.parametrize('other', OTHERS)
def test_other_images_are_refused(other):
    with pytest.raises(ValueError, match='FITS'):
        image_of(packed(other))


@given(st.binary(max_size=300), st.integers(0, 6000))
def test_broken_images_are_refused(rubbish, size):
    whole = packed(np.zeros((16, 16), np.uint16))
    for data in (rubbish, b'SIMPLE  =' + rubbish, whole[: min(size, 3000)]):
        with pytest.raises(ValueError, match='FITS'):
            image_of(data)
