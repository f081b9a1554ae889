"""Base class of the camera nodes: images in, spots out, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import UInt8

import qkd_gs.msg as m
from qkd_gs.devices.camera import Camera, Frame
from qkd_gs.devices.kinds import GUIDING_CAMERA, TRACKING_CAMERA
from qkd_gs.monitoring.load import Stage
from qkd_gs.nodes.conversions import images, messages
from qkd_gs.nodes.conversions.monitoring import stage_of
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.base import IN_THE_LOOP
from qkd_gs.nodes.runtime.context import device_of, station_of
from qkd_gs.nodes.runtime.device import DeviceNode, require_open
from qkd_gs.nodes.runtime.qos import IMAGES, TRANSIENT_LOCAL
from qkd_gs.settings.station import CameraModel
from qkd_gs.station.loop_timing import LoopWatch
from qkd_gs.tracking.camera.camera_loop import CameraLoop
from qkd_gs.tracking.types import CameraRequest, CameraRole

_POLL_S = 0.01
_SLOW_HZ, _SLOW_POLL_S = 2.5, 0.04  # a slower stream is looked at less often: its images wait a tenth of their period
IMAGES_LOST = 'camera.images'  # fault: many images are lost, damaged or late, though the camera works
_LONGEST_LOOK = 0.5  # of the time between two images a large one is looked at, with no period missed
_SILENCE_NS = 3_000_000_000  # a request is repeated every second
_MOST_HZ = 1000.0
_FEW_HZ = 1.0  # of which the recorder takes what it records
KIND_OF = {CameraRole.GUIDING: GUIDING_CAMERA, CameraRole.TRACKING: TRACKING_CAMERA}


class CameraNode(DeviceNode):
    """Exposes as requested, finds the spot, publishes images at a limited rate."""

    role: CameraRole
    priority = IN_THE_LOOP

    def __init__(self) -> None:
        super().__init__()
        kind = messages.frame_of(self.role)
        self._station = station_of(self)
        self._model: CameraModel = getattr(self._station, kind)
        parameters.offer(self, self._model, 'camera', lambda: self.active)
        parameters.declare_one(
            self,
            'image_rate_hz',
            5.0,
            ParameterDescriptor(
                description='maximum rate of published images, in station time; 0: none [Hz]',
                floating_point_range=[FloatingPointRange(from_value=0.0, to_value=_MOST_HZ, step=0.0)],
            ),
        )
        self._request: CameraRequest | None = None
        self._request_ns = self._shown_ns = 0
        self._spots = self.publisher(m.Spot, f'{kind}/spot')
        self._images = self.publisher(Image, f'{kind}/image', IMAGES)
        self._infos = self.publisher(CameraInfo, f'{kind}/camera_info', IMAGES)
        self.listen(m.CameraRequest, f'{kind}/request', self._take_request)
        self._stage = Stage.NOTHING
        self.listen(UInt8, 'load', self._take_load, TRANSIENT_LOCAL)
        self._camera: Camera | None = None
        self._loop: CameraLoop | None = None

    def opened(self) -> None:
        """Open the camera."""
        kind = messages.frame_of(self.role)
        self._model = parameters.read(self, CameraModel, self._model, 'camera')
        self._station = self._station.model_copy(update={kind: self._model})
        self._camera = device_of(self, KIND_OF[self.role], self._station)
        self._camera.open()

    def started(self) -> None:
        """Start to process requests."""
        self._loop = CameraLoop(self.role, self._model, _TappedCamera(require_open(self._camera), self._show))
        self._watch = LoopWatch(_POLL_S)
        self.while_active(_POLL_S, self._step, self._watch)

    def stopped(self) -> None:
        """Stop the stream."""
        if self._camera is not None:
            self._camera.stop(self.clock.now_ns())

    def closed(self) -> None:
        """Close the camera."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _take_request(self, message: m.CameraRequest) -> None:
        self._request, self._request_ns = messages.from_camera_request(message), self.clock.steady_ns()

    def _take_load(self, message: UInt8) -> None:
        self._stage = stage_of(message)

    def _step(self, now_ns: int) -> None:
        request = self._request if self.clock.steady_ns() - self._request_ns < _SILENCE_NS else None
        assert self._loop is not None  # active
        began_s = time.thread_time()
        for measurement in self._loop.step(now_ns, request):
            self._spots.publish(messages.spot(measurement))
        computed_s = (time.thread_time() - began_s) * self.clock.speed
        if request is not None and computed_s * request.rate_hz <= _LONGEST_LOOK:
            self._watch.may_take(computed_s)
        self._look_every(_SLOW_POLL_S if request is None or request.rate_hz <= _SLOW_HZ else _POLL_S)
        trouble = getattr(self._camera, 'trouble', '')
        if trouble:
            self.degraded(IMAGES_LOST, trouble)
        else:
            self.recovered(IMAGES_LOST)

    def _look_every(self, period_s: float) -> None:
        if period_s == self._watch.period_s:
            return
        self._cease_all()
        self._watch.period_s = period_s
        self._watch.pause()
        self.while_active(period_s, self._step, self._watch)

    def _show(self, frame: Frame) -> None:
        """Publish an image, if one is due."""
        rate_hz = self.get_parameter('image_rate_hz').value
        if self._stage >= Stage.FEW_IMAGES:
            rate_hz = 0.0 if self._stage >= Stage.NO_IMAGES else min(rate_hz, _FEW_HZ)
        spacing_ns = 1e9 / rate_hz if rate_hz else inf
        # half a period of tolerance: of 50 images a second every tenth is published at 5 Hz, not every eleventh
        if 0 <= frame.stamp_ns - self._shown_ns < spacing_ns - 5_000_000:
            return
        self._shown_ns = frame.stamp_ns
        self._images.publish(images.image(frame, self.role))
        self._infos.publish(images.camera_info(frame, self.role, self._model))


class _TappedCamera:
    """Camera wrapper that passes every image to a callback."""

    def __init__(self, camera: Camera, show: Callable[[Frame], None]) -> None:
        self._camera, self._show = camera, show
        self.open, self.configure, self.stop, self.close = camera.open, camera.configure, camera.stop, camera.close

    def poll(self, now_ns: int) -> list[Frame]:
        """Images that have arrived."""
        frames = self._camera.poll(now_ns)
        for frame in frames:
            self._show(frame)
        return frames
