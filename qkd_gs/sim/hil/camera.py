"""Camera of the twin as a process: images of the simulated camera on Aravis' GigE Vision server.

``python -m qkd_gs.sim.hil.camera PLACE KIND``
"""

from __future__ import annotations

import threading
import time
from collections import deque

from qkd_gs.devices.camera import CameraSettings, Frame, Roi
from qkd_gs.drivers.steady import looks
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.sim.hil import aravis
from qkd_gs.sim.hil.place import CAMERAS, IMAGES, IN_TIME, Place, begun, say, serving
from qkd_gs.sim.remote.sensors import RemoteCamera
from qkd_gs.tracking.types import CameraRole

DB_PER_UNIT = 2.5  # of the gain register, which goes from 0 to 10; config/devices/hil.yaml says the same
_ROLES = {'guiding_camera': CameraRole.GUIDING, 'tracking_camera': CameraRole.TRACKING}
_PRIORITIES = {'guiding_camera': IN_TIME, 'tracking_camera': IMAGES}
_LOOK_S = 0.004
_MOST_WAITING = 4
_SHORT_US = 100  # Aravis waits for the end of a period in a busy loop
_WAIT_S = 0.1  # longest time for an image, during which the server answers nothing else


class Images:
    """Images on their way to the network, from the thread that renders to the thread that sends.

    Parameters
    ----------
    late_s : float
        Images are sent so much later than they are ready.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._waiting: deque[Frame] = deque(maxlen=_MOST_WAITING)
        self._came = threading.Condition()
        self.late_s = 0.0

    def put(self, frame: Frame) -> None:
        """An image is ready."""
        with self._came:
            self._waiting.append(frame)
            self._came.notify()

    def send(self, buffer: aravis.Buffer) -> bool:
        """Put the next image of the buffer's size into it; False: there is none."""
        for left_s in looks(_WAIT_S):
            with self._came:
                if not self._waiting:
                    self._came.wait(left_s)
                frame = self._waiting.popleft() if self._waiting else None
            if frame is not None and frame.image.shape == buffer.shape:
                time.sleep(self.late_s)
                begin_ns = frame.stamp_ns - round(frame.exposure_s * 5e8)
                buffer.write(frame.image, self._place.utc_of(begin_ns))
                return True
        return False


class Registers:
    """Values that the client has written into the registers of a server.

    The period of the images is taken out and replaced by a very short one: the server sends an image when it is ready,
    and the simulated camera keeps the period.
    """

    def __init__(self, server: aravis.Server) -> None:
        self._server = server
        self._period_us = 0

    def settings(self) -> CameraSettings | None:
        """Settings of the camera; None: no stream."""
        server = self._server
        period_us = server.register(aravis.PERIOD_US)
        if period_us != _SHORT_US:
            self._period_us = period_us
            server.write(aravis.PERIOD_US, _SHORT_US)
        if not server.streaming or not self._period_us:
            return None
        names = (aravis.OFFSET_X, aravis.OFFSET_Y, aravis.WIDTH, aravis.HEIGHT)
        roi = Roi(*(server.register(name) for name in names))
        gain = 10 ** (server.register(aravis.GAIN) * DB_PER_UNIT / 20)
        return CameraSettings(server.register(aravis.EXPOSURE_US) * 1e-6, gain, 1e6 / self._period_us, roi)


def main() -> int:
    """Render and serve until the world ends."""
    place, (kind,) = begun()
    setup = place.setup()
    bus = place.connect(setup)
    camera = RemoteCamera(_ROLES[kind], setup, bus)
    camera.open()
    images = Images(place)
    model = getattr(setup.station, kind)
    server = aravis.Server(CAMERAS[kind], f'TWIN-{kind[:8]}', (model.width_px, model.height_px), images.send)
    serving(f'{kind} listens at {CAMERAS[kind]}', _PRIORITIES[kind])
    registers = Registers(server)
    set_up: CameraSettings | None = None
    while True:
        time.sleep(_LOOK_S)
        now_ns, wanted = place.now_ns(), registers.settings()
        if wanted is None and set_up is not None:
            camera.stop(now_ns)
        for frame in camera.poll(now_ns):
            images.put(frame)
        if wanted is not None and wanted != set_up:
            try:
                camera.configure(now_ns, wanted)
            except DeviceFault as fault:
                say(f'{kind}: {fault}')
        set_up = wanted


if __name__ == '__main__':
    try:
        raise SystemExit(main())
    except StationError as error:
        raise SystemExit(str(error)) from None
