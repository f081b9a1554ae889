"""Images of the twin on Aravis' GigE Vision server, received by the real driver."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
from gige_peers import ADDRESS, patient, the_only_camera
from pty_peer import soon

from qkd_gs.devices.camera import CameraSettings, Frame, Roi
from qkd_gs.drivers.gige.camera import GigeCamera
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.sim.hil import aravis
from qkd_gs.sim.hil.camera import Images, Registers

SIZE = Roi(0, 0, 128, 96)


class RealTime:
    """A place whose station time is UTC."""

    def utc_of(self, station_ns):
        return station_ns


class Bench:
    def __init__(self):
        self.images, self.without = Images(RealTime()), 0
        self.server = aravis.Server(ADDRESS, 'TWIN', (SIZE.width_px, SIZE.height_px), self.send)
        self.registers = Registers(self.server)
        model = load_yaml(share_path('config', 'station.yaml'), StationSettings).tracking_camera
        model = model.model_copy(update={'width_px': SIZE.width_px, 'height_px': SIZE.height_px})
        self.device = GigeCamera(patient(clock='ptp', pixel_format='Mono16', packet_size=9000), model)

    def send(self, buffer):
        sent = self.images.send(buffer)
        self.without += not sent
        return sent

    def expose(self, counts):
        image = np.full((SIZE.height_px, SIZE.width_px), counts, np.uint16)
        self.images.put(Frame(time.time_ns() - 2_000_000, 0.002, 1.0, image, SIZE))

    def close(self):
        self.device.close()
        self.server.close()


@pytest.fixture
def bench():
    pytest.importorskip('viva_genicam', reason='viva-genicam is not installed (extra gige)')
    try:
        aravis.load()
    except StationError as error:
        pytest.skip(f'{error} (Debian: {aravis.PACKAGE})')
    with the_only_camera():
        bench = Bench()
        yield bench
        bench.close()


def test_an_image_is_sent_once_however_long_the_next_one_takes(bench):
    device = bench.device
    device.open()
    device.configure(time.time_ns(), CameraSettings(0.002, 1.0, 2.0))
    assert soon(bench.registers.settings)
    received = []

    def has_come(number):
        received.extend(device.poll(time.time_ns()))
        return len(received) == number

    for number, counts in enumerate((100, 200, 300), 1):
        bench.expose(counts)
        assert soon(partial(has_come, number))
        bench.without = 0
        assert soon(lambda: bench.without > 2)  # the server would send something several times
    received += device.poll(time.time_ns())
    assert [int(frame.image.mean()) for frame in received] == [100, 200, 300]
    assert device.health()['images_missed'] == '0'
