"""The GigE Vision driver against Aravis' fake camera."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import yaml
from gige_peers import ADDRESS, ArvFakeCamera, patient, the_only_camera
from pty_peer import soon

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.devices.conformance.camera import CameraConformance, CameraTraits
from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.discovery import devices_text, discover
from qkd_gs.drivers.gige.camera import GigeCamera, gige
from qkd_gs.drivers.gige.options import GigeOptions
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path


@pytest.fixture
def port():
    pytest.importorskip('viva_genicam', reason='viva-genicam is not installed (extra gige)')
    with the_only_camera():
        yield


def station():
    """Settings of a station whose camera has the gain of Aravis' fake camera."""
    settings = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    model = settings.tracking_camera.model_copy(update={'max_gain': 10.0})
    return settings.model_copy(update={'tracking_camera': model})


def options(**more):
    """Its clock is that of the machine, and an image is sent as its time stamp is taken."""
    return GigeOptions(address=ADDRESS, clock='ptp', stamp_at='end', packet_size=9000, **more)


@pytest.fixture
def camera(port):
    camera = ArvFakeCamera()
    yield camera
    camera.kill()


class TestArvFakeCamera(CameraConformance):
    traits = CameraTraits(silent_s=6.0, patience_s=10.0, latency_s=2.0)

    @pytest.fixture
    def rig(self, camera):  # on a busy machine the fake camera, a process, may be held up for more than a second
        return Rig(gige, options().model_copy(update={'timeout_s': 4.0}), camera, 'tracking_camera', station())


# --- Aravis' camera: what can go wrong ---


@pytest.fixture
def rig(camera):
    rig = Rig(gige, options(), camera, 'tracking_camera', station())
    yield rig
    rig.close()


def streaming(rig, **more):
    device = rig.open()
    device.configure(rig.now_ns, CameraSettings(0.002, 1.0, 50.0, Roi(0, 0, 128, 96), **more))
    assert rig.until(lambda: device.poll(rig.now_ns), 5.0), 'no image'
    return device


def told_within(rig, device, code, seconds):
    begin_ns = rig.now_ns
    assert rig.until(lambda: fault_of(lambda: device.poll(rig.now_ns)) == code, seconds)
    return (rig.now_ns - begin_ns) * 1e-9


@pytest.mark.parametrize('how', ['silence', 'kill'])
def test_a_camera_that_hangs_or_is_gone_is_told_and_can_be_opened_again(rig, camera, how):
    device = streaming(rig)
    getattr(camera, how)()
    assert told_within(rig, device, 'camera.silent', 5.0) <= 2.0
    began_s = time.monotonic()
    device.close()  # does not wait for it
    assert fault_of(device.open) == 'camera.silent'
    assert time.monotonic() - began_s < 30
    if how == 'kill':
        camera.start()
    else:
        camera.thaw()
    assert soon(lambda: not fault_of(device.open))  # after its heartbeat, it is free again
    camera.resume()
    device.configure(rig.now_ns, CameraSettings(0.002, 1.0, 50.0, Roi(0, 0, 128, 96)))
    assert rig.until(lambda: device.poll(rig.now_ns), 5.0)


def test_an_idle_camera_that_hangs_is_told(rig, camera):
    device = rig.open()
    rig.run(0.5, device.poll)
    camera.silence()
    assert told_within(rig, device, 'camera.silent', 10.0) <= 2.5


def test_no_call_waits_for_a_camera_that_hangs(rig, camera):
    device = streaming(rig)
    camera.silence()
    spent_s = time.thread_time()
    longest_s = 0.0
    for number in range(20):
        began_s = time.monotonic()
        try:
            device.configure(rig.now_ns, CameraSettings(0.001 + number * 1e-5, 1.0, 50.0, Roi(0, 0, 64, 64)))
            device.poll(rig.now_ns)
        except DeviceFault:
            break
        longest_s = max(longest_s, time.monotonic() - began_s)
    assert longest_s < 1.0  # the library alone waits four seconds for an answer
    assert time.thread_time() - spent_s < 1.0


def test_another_camera_is_refused(camera):
    rig = Rig(gige, options(serial_number='SN0002'), camera, 'tracking_camera', station())
    assert fault_of(rig.make().open) == 'camera.other'


def test_what_the_camera_cannot_do_is_told_when_it_is_opened(camera):
    for changes, code in (({'pixel_format': 'Mono12p'}, 'camera.settings'), ({'clock': 'latch'}, 'camera.clock')):
        chosen = options().model_copy(update=changes)
        assert fault_of(Rig(gige, chosen, camera, 'tracking_camera', station()).make().open) == code
    large = station().tracking_camera.model_copy(update={'width_px': 4096})
    assert fault_of(GigeCamera(options(), large).open) == 'camera.other'


def test_it_tells_who_it_is_and_tests_itself(camera):
    device = GigeCamera(options(), station().tracking_camera)
    device.open()
    said = device.self_test()
    assert 'Aravis Fake SN0001, firmware 0.8' in said
    assert '640 x 480' in said
    told = device.health()
    assert (told['vendor'], told['serial_number'], told['pixel_format']) == ('Aravis', 'SN0001', 'Mono16')
    assert float(told['exchange_ms']) > 0
    device.close()


def test_discovery_finds_the_camera(camera):
    found = discover([f'gige:{ADDRESS}'])
    assert [(one.driver, one.options) for one in found] == [('gige', {'address': ADDRESS})]
    assert 'Aravis Fake' in found[0].said
    assert discover(['gige:127.0.0.9']) == []
    two = yaml.safe_load(devices_text([found[0], replace(found[0], options={'address': '127.0.0.2'})]))
    assert two['guiding_camera']['options'] == {'address': ADDRESS}
    assert two['tracking_camera']['options'] == {'address': '127.0.0.2'}


# --- the camera of the library itself: 12 bits, a clock to latch, lost packets ---


def library_camera(**how):
    from viva_genicam.testing import FakeGigeCamera

    return FakeGigeCamera(width=64, height=48, fps=50, **how)


def small_model():
    return station().tracking_camera.model_copy(update={'width_px': 64, 'height_px': 48})


def images_of(device, settings, wanted):
    device.configure(time.time_ns(), settings)
    images = []
    assert soon(lambda: images.extend(device.poll(time.time_ns())) or len(images) >= wanted)
    return images


SMALL = CameraSettings(0.002, 1.0, 50.0, Roi(0, 0, 64, 48))
PATIENT = patient(pixel_format='keep', stamp_at='end')


@pytest.mark.parametrize('pixel_format', ['Mono12p', 'Mono12Packed', 'Mono10p', 'Mono16', 'Mono8'])
def test_packed_pixels_of_a_stream_come_unpacked(port, pixel_format):
    with library_camera(pixel_format=pixel_format):
        device = GigeCamera(PATIENT, small_model())
        device.open()
        image = images_of(device, SMALL, 1)[0].image
        device.close()
    bits = int(re.search(r'\d+', pixel_format)[0])
    assert image.dtype == np.uint16
    assert 2 ** (bits - 1) <= image.max() < 2**bits


@pytest.mark.parametrize('pixel_format', ['Mono12p', 'Mono12Packed'])
def test_two_pixels_of_twelve_bits_lie_in_three_bytes(pixel_format):
    genicam = pytest.importorskip('viva_genicam')
    pixels = np.random.default_rng(1).integers(0, 4096, (4, 6))
    a, b = pixels.reshape(-1, 2).T
    if pixel_format == 'Mono12p':  # PFNC: the least significant bits first
        packed = np.stack([a & 255, a >> 8 | (b & 15) << 4, b >> 4])
    else:  # GigE Vision 1: upper bits, lower bits of both, upper bits
        packed = np.stack([a >> 4, (a & 15) | (b & 15) << 4, b >> 4])
    frame = genicam.Frame.from_bytes(packed.T.astype(np.uint8).tobytes(), 6, 4, pixel_format)
    np.testing.assert_array_equal(frame.to_numpy(), pixels)


def test_the_latched_clock_of_a_camera_gives_station_time(port):
    with library_camera():
        device = GigeCamera(PATIENT, small_model())
        device.open()
        images = images_of(device, SMALL, 10)
        told = device.health()
        device.close()
    assert all(one.stamp_ns < two.stamp_ns for one, two in pairwise(images))
    assert 0 < float(told['clock_error_us']) < 1e6
    assert told['firmware'] == '1.0.0-fake'


def test_half_and_lost_images_are_counted_and_told(port):
    dropped = [(block, 1) for block in range(3, 400, 2)] + [(block, 0) for block in range(4, 400, 4)]
    with library_camera(pixel_format='Mono16', packet_resend=False, drop_packets=dropped):
        device = GigeCamera(PATIENT, small_model())
        device.open()
        images_of(device, SMALL, 1)
        assert soon(lambda: device.poll(time.time_ns()) is not None and device.trouble)
        told = device.health()
        device.close()
    assert int(told['images_incomplete']) + int(told['images_missed']) > 0
    assert 'incomplete' in told['trouble'] or 'missed' in told['trouble']


def test_lost_packets_that_are_sent_again_lose_no_image(port):
    with library_camera(pixel_format='Mono16', drop_packets=[(block, 1) for block in range(3, 400, 10)]):
        device = GigeCamera(PATIENT, small_model())
        device.open()
        images_of(device, SMALL, 30)
        told = device.health()
        device.close()
    assert int(told['packets_resent']) > 0
    assert int(told['images_incomplete']) == 0


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'viva_genicam', None)
    with pytest.raises(StationError, match=r'qkd_gs\[gige\]'):
        GigeCamera(options(), station().tracking_camera).open()
