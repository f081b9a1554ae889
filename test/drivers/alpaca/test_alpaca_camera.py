"""The Alpaca camera driver against the camera of alpaca-simulators, and images in both forms that Alpaca has."""

import json
import struct
import sys
import time

import alpaca_camera as alpaca_camera_module
import numpy as np
import pytest
from alpaca_camera import SimulatedCamera
from alpaca_simulators.state import CameraStates, update_device_state
from hypothesis import given
from hypothesis import strategies as st
from observatory_servers import ALPACA_TIMEOUT_S, AlpacaServer, free_port
from pydantic import ValidationError

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.conformance.camera import CameraConformance, CameraTraits
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.drivers.alpaca import session
from qkd_gs.drivers.alpaca.camera import AlpacaCameraOptions, alpaca_camera
from qkd_gs.drivers.alpaca.image import IMAGE_BYTES, image_of
from qkd_gs.errors import DeviceFault

GAINS = 1, 2, 4, 8, 16
SETTINGS = CameraSettings(0.005, 1.0, 5.0, Roi(32, 16, 128, 64))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes rigs of the camera in this process."""
    made = []

    def make(gains=GAINS, **state):
        camera = SimulatedCamera(tmp_path, **state)
        monkeypatch.setattr(session, 'Connection', camera.connection)
        monkeypatch.setattr(session, '_put', lambda *where: camera.asked.append(('urgent', where[-1], {})))
        rig = Rig(alpaca_camera, AlpacaCameraOptions(gains=gains), camera)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.close()


class TestAlpacaCamera(CameraConformance):
    traits = CameraTraits(camera='guiding_camera', rate_hz=5.0, loss=0.2, latency_s=0.4, silent_s=4.0)

    @pytest.fixture
    def rig(self, make):
        return make()


class TestAlpacaCameraWithoutAbort(TestAlpacaCamera):
    @pytest.fixture
    def rig(self, make):
        return make(canabortexposure=False)


def taken(rig, device, settings=SETTINGS):
    device.configure(rig.now_ns, settings)
    images = []
    assert rig.until(lambda: images.extend(device.poll(rig.now_ns)) or images, 3.0)
    return images[0]


def test_the_image_is_that_of_the_simulator_with_its_rows_and_columns(make):
    rig = make()
    image = taken(rig, rig.open()).image
    assert np.ptp(image) > 0
    assert np.array_equal(image, rig.counterpart.image)


def test_an_image_in_json_is_the_same(make):
    rig = make()
    device = rig.open()
    columns = np.arange(128 * 64).reshape(128, 64)
    rig.counterpart.answers['imagearray'] = {'Type': 2, 'Rank': 2, 'Value': columns.tolist()}
    assert np.array_equal(taken(rig, device).image, columns.T)


def test_an_exposure_begins_between_its_order_and_the_answer(make):
    rig = make()
    device = rig.open()
    ordered_ns = rig.now_ns
    frame = taken(rig, device, CameraSettings(0.1, 1.0, 1.0, SETTINGS.roi))
    begin_ns = frame.stamp_ns - round(0.05e9)
    requests = [name for method, name, _ in rig.counterpart.asked if method == 'PUT']
    before = requests.index('startexposure') - requests.index('abortexposure')
    assert ordered_ns + before * 10_000_000 <= begin_ns <= ordered_ns + (before + 2) * 10_000_000 + 10_000_000


def test_a_gain_that_the_list_lacks_is_the_next_lower_one(make):
    rig = make()
    frame = taken(rig, rig.open(), CameraSettings(0.005, 7.0, 5.0, SETTINGS.roi))
    assert frame.gain == 4
    assert ('PUT', 'gain', '2') in [(how, name, more.get('Gain')) for how, name, more in rig.counterpart.asked]


def test_a_gain_that_is_a_number_goes_by_decibels(make):
    rig = make(gains=())
    refused = {'ErrorNumber': 0x400, 'ErrorMessage': 'a number'}
    rig.counterpart.answers.update(gains=refused, gainmin={'Value': 0}, gainmax={'Value': 150}, gain={'Value': 0})
    device = rig.open()
    frame = taken(rig, device, CameraSettings(0.005, 5.0, 5.0, SETTINGS.roi))
    assert frame.gain == 5
    assert ('PUT', 'gain', '140') in [(how, name, more.get('Gain')) for how, name, more in rig.counterpart.asked]
    too_much = CameraSettings(0.005, 6.0, 5.0, SETTINGS.roi)
    assert fault_of(lambda: device.configure(rig.now_ns, too_much)) == 'camera.settings'


def test_gains_without_names_and_names_without_gains_are_refused(make):
    assert fault_of(make(gains=()).open) == 'camera.other'
    assert fault_of(make(gains=(1, 2)).open) == 'camera.other'
    with pytest.raises(ValidationError, match='the lowest of the gains is 2, not 1'):
        AlpacaCameraOptions(gains=(2, 4))


def test_a_sensor_of_another_size_is_refused(make):
    with pytest.raises(DeviceFault, match=r'camera\.other.*1920 x 1024 pixels, 1280 x 1024'):
        make(width_px=1920).open()


def test_the_self_test_takes_an_image(make):
    rig = make()
    device = rig.open()
    rig.counterpart.answers['imageready'] = {'Value': True}  # station time of a self-test is real time
    assert 'an image of 1280 x 1024, mean ' in device.self_test()
    assert not device.poll(time.time_ns())


def test_a_failed_exposure_is_told(make):
    rig = make()
    device = rig.open()
    taken(rig, device)
    rig.counterpart.answers.update(imageready={'Value': False}, camerastate={'Value': CameraStates.ERROR})
    assert rig.until(lambda: fault_of(lambda: device.poll(rig.now_ns)) == 'camera.refused', 2.0)


def test_an_image_that_does_not_come_is_told(make):
    rig = make()
    device = rig.open()
    taken(rig, device)
    rig.counterpart.answers['imageready'] = {'Value': False}
    assert rig.until(lambda: fault_of(lambda: device.poll(rig.now_ns)) == 'camera.silent', 4.0)


@pytest.mark.parametrize('answer', [{'ErrorNumber': 0x40D, 'ErrorMessage': 'no image'}, b'rubbish'])
def test_something_else_than_an_image_is_told(make, answer):
    rig = make()
    device = rig.open()
    rig.counterpart.answers['imagearray'] = answer
    assert fault_of(lambda: taken(rig, device)) == 'camera.images'


def test_a_refused_exposure_is_told(make):
    rig = make()
    device = rig.open()
    rig.counterpart.answers['startexposure'] = {'ErrorNumber': 0x401, 'ErrorMessage': 'too short'}
    assert fault_of(lambda: taken(rig, device)) == 'camera.refused'


def test_an_image_of_an_aborted_exposure_is_not_taken_for_one_of_the_next(make):
    rig = make()
    device = rig.open()
    device.configure(rig.now_ns, SETTINGS)
    fetched = lambda: ('GET', 'imagearray') in [one[:2] for one in rig.counterpart.asked]  # noqa: E731
    assert rig.until(lambda: device.poll(rig.now_ns) or fetched(), 3.0)
    device.stop(rig.now_ns)
    begin_ns = rig.now_ns
    device.configure(rig.now_ns, SETTINGS)
    images = []
    assert rig.until(lambda: images.extend(device.poll(rig.now_ns)) or images, 3.0)
    assert images[0].stamp_ns > begin_ns


def test_closing_aborts_the_exposure(make):
    rig = make()
    device = rig.open()
    device.configure(rig.now_ns, CameraSettings(0.3, 1.0, 1.0, SETTINGS.roi))
    rig.run(0.3, device.poll)
    device.close()
    assert rig.until(lambda: any(one[0] == 'urgent' for one in rig.counterpart.asked), 1.0)


def test_a_camera_that_another_client_left_exposing_is_waited_for_or_aborted(make):
    for can_abort in (True, False):
        rig = make(canabortexposure=can_abort)
        device = rig.open()
        update_device_state('camera', 0, {'camera_state': CameraStates.EXPOSING})
        rig.run(0.1, device.poll)
        device.configure(rig.now_ns, SETTINGS)
        rig.run(0.3, device.poll)
        update_device_state('camera', 0, {'camera_state': CameraStates.IDLE})
        assert rig.until(lambda device=device, rig=rig: device.poll(rig.now_ns), 3.0)


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp('alpaca'), free_port()
    made = AlpacaServer([sys.executable, alpaca_camera_module.__file__, str(port), str(folder)], folder, port)
    yield made
    made.kill()


@pytest.mark.long
class TestAlpacaCameraOfAServer(CameraConformance):
    traits = CameraTraits(camera='guiding_camera', rate_hz=2.0, loss=0.3, latency_s=1.5, silent_s=16.0)

    @pytest.fixture
    def rig(self, server):
        options = AlpacaCameraOptions(port=server.port, timeout_s=ALPACA_TIMEOUT_S, gains=GAINS)
        rig = Rig(alpaca_camera, options, server, start_ns=time.time_ns())
        server.restart_clock(rig.now_ns)
        yield rig
        rig.close()
        server.thaw()


# --- images ---

TYPES = {1: '<i2', 2: '<i4', 3: '<f8', 4: '<f4', 5: '<u8', 6: 'u1', 7: '<i8', 8: '<u2', 9: '<u4'}


def packed(columns, kind=8, start=44, error=0, rank=2, version=1):
    """ImageBytes of an array (columns, rows)."""
    wide, high = columns.shape
    header = struct.pack('<11i', version, error, 1, 2, start, 2, kind, rank, wide, high, 0)
    return header + bytes(start - 44) + columns.astype(TYPES.get(kind, 'u1')).tobytes()


@pytest.mark.parametrize('kind', TYPES)
def test_images_of_every_type_are_read(kind):
    columns = np.array([[0, 1, 2], [100, 101, 102]])
    for start in (44, 64):
        found = image_of(f'{IMAGE_BYTES}; charset=utf-8', packed(columns, kind, start))
        assert found.dtype == np.uint16
        assert np.array_equal(found, columns.T)


def test_the_highest_count_is_kept():
    columns = np.full((2, 2), 65535)
    assert np.array_equal(image_of(IMAGE_BYTES, packed(columns, 2)), columns)


SMALL = np.ones((2, 3))


@pytest.mark.parametrize(
    ('body', 'said'),
    [
        (packed(SMALL, version=2), 'header of version 2'),
        (packed(SMALL, kind=10), 'type 10 and 2 dimensions'),
        (packed(SMALL, rank=3), 'type 8 and 3 dimensions'),
        (packed(SMALL)[:-1], 'ends early'),
        (packed(SMALL, start=44)[:43], 'no header'),
        (packed(-SMALL, kind=2), 'counts from -1 to -1'),
        (packed(SMALL * 65536, kind=2), 'counts from 65536'),
        (packed(SMALL * 0.5, kind=3), 'no counts'),
        (packed(SMALL * np.nan, kind=3), 'no counts'),
        (packed(SMALL, error=0x40B)[:44] + 'zu früh'.encode(), 'error 0x40b: zu früh'),
    ],
)
def test_other_images_are_refused(body, said):
    with pytest.raises(ValueError, match=said):
        image_of(IMAGE_BYTES, body)


@pytest.mark.parametrize(
    'told',
    [
        {'Value': [[1, 2], [3]]},
        {'Value': [[[1, 2, 3]]]},
        {'Value': []},
        {'Value': [['1']]},
        {'Value': [[1.5]]},
        {'Value': None},
        {'ErrorNumber': 1035, 'ErrorMessage': 'no image'},
        [1],
    ],
)
def test_other_images_in_json_are_refused(told):
    with pytest.raises(ValueError, match=r'image|error'):
        image_of('application/json', json.dumps(told).encode())


@given(st.binary(max_size=200), st.integers(0, 60))
def test_rubbish_is_refused(rubbish, size):
    whole = packed(np.zeros((4, 4)))
    for content_type in (IMAGE_BYTES, 'application/json'):
        for body in (rubbish, whole[:size] + rubbish[:5]):
            try:
                found = image_of(content_type, body)
            except ValueError:
                continue
            assert found.dtype == np.uint16
