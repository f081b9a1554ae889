"""The GigE Vision driver and images that come late, in part, not at all, or damaged: Aravis' server in this process."""

from __future__ import annotations

import time

import numpy as np
import pytest
from gige_peers import ADDRESS, patient, the_only_camera
from pty_peer import soon

from qkd_gs.devices.camera import CameraSettings, Roi
from qkd_gs.drivers.gige.camera import GigeCamera
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.sim.hil.aravis import Server

SETTINGS = CameraSettings(0.002, 1.0, 50.0, Roi(0, 0, 128, 96))


class Peer:
    """Server whose images have a ramp and a time stamp of the test's choice."""

    def __init__(self):
        self.late_s, self.back_s = 0.0, 0.0
        self.server = Server(ADDRESS, 'SN0009', (640, 480), self._fill)

    def _fill(self, buffer):
        image = np.arange(96 * 128, dtype=np.uint16).reshape(96, 128)
        now_ns = time.time_ns()
        time.sleep(self.late_s)
        buffer.write(image, now_ns - round(self.back_s * 1e9))
        return True


@pytest.fixture
def peer():
    pytest.importorskip('viva_genicam', reason='viva-genicam is not installed (extra gige)')
    with the_only_camera():
        try:
            peer = Peer()
        except StationError as error:
            pytest.skip(str(error))
        yield peer
        peer.server.close()


@pytest.fixture
def device(peer):
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    model = station.tracking_camera.model_copy(update={'max_gain': 10.0})
    device = GigeCamera(patient(clock='ptp', stamp_at='end', late_s=0.05), model)
    device.open()
    device.configure(time.time_ns(), SETTINGS)
    assert soon(lambda: device.poll(time.time_ns()))
    yield device
    device.close()


def told(device, words):
    """The trouble is told in words; the images that are good still come."""

    def look():
        device.poll(time.time_ns())
        return any(word in device.trouble for word in words)

    return soon(look)


def test_pixels_come_as_they_were_sent(device):
    images = []
    assert soon(lambda: images.extend(device.poll(time.time_ns())) or images)
    np.testing.assert_array_equal(images[-1].image, np.arange(96 * 128).reshape(96, 128))


def test_late_images_are_told_and_forgotten_when_it_is_over(device, peer):
    peer.late_s = 0.08
    assert told(device, ['late'])
    peer.late_s = 0.0
    assert soon(lambda: device.poll(time.time_ns()) is not None and not device.trouble)


def test_half_and_lost_images_are_told(device, peer):
    peer.server.lose_packets(0.1)
    assert told(device, ['incomplete', 'missed'])


def test_time_stamps_that_go_back_are_told_and_their_images_left_out(device, peer):
    newest_ns = max(frame.stamp_ns for frame in iterate(device))
    peer.back_s = 3600.0  # to before the stream, however long the test takes
    assert told(device, ['disordered'])
    assert all(frame.stamp_ns > newest_ns for frame in device.poll(time.time_ns()))


def iterate(device):
    frames = []
    assert soon(lambda: frames.extend(device.poll(time.time_ns())) or frames)
    return frames
