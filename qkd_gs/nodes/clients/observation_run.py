"""An observation on the graph: images and counts are subscribed to while it lasts, and it computes in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import Image

import qkd_gs.msg as m
from qkd_gs.calibration.light.survey import LightBin
from qkd_gs.calibration.measured_delays import DelaysTold
from qkd_gs.calibration.observing.observation import Observation, ObservationState, Observed, Sensed
from qkd_gs.devices.camera import Frame
from qkd_gs.devices.hwp import HwpReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.nodes.clients.station_focuser import StationFocuser
from qkd_gs.nodes.clients.station_light import StationHwp, StationLight
from qkd_gs.nodes.conversions import delays, images, messages
from qkd_gs.nodes.runtime.in_thread import InThread
from qkd_gs.nodes.runtime.qos import IMAGES
from qkd_gs.safety.enclosure import DOME
from qkd_gs.settings.station import CameraModel, StationSettings
from qkd_gs.tracking.types import CALIBRATION_LIGHT, COUNTED, CameraRole, MountTask, SpotMeasurement


@dataclass(frozen=True)
class Movers:
    """Devices that an observation moves and switches besides the mount."""

    focuser: StationFocuser
    light: StationLight
    hwp: StationHwp


class ObservationRun:
    """Steps one observation.

    Parameters
    ----------
    node : Node
        With `listen` of the station.
    station : StationSettings
        As calibrated.
    """

    def __init__(self, node: Any, observation: Observation, station: StationSettings, movers: Movers) -> None:
        self.observation = observation
        self._node, self._station, self._movers = node, station, movers
        self._focuser = focuser = movers.focuser
        self._cameras: dict[CameraRole, CameraModel] = {
            CameraRole.GUIDING: station.guiding_camera, CameraRole.TRACKING: station.tracking_camera
        }  # fmt: skip
        self._focuses = observation.task is MountTask.FOCUSING
        focuser.begin()
        self._frames: list[Frame] = []
        self._bins: list[LightBin] = []
        self._work: InThread[Any] | None = None
        self._heard = []
        if observation.images is not None:
            name = messages.frame_of(observation.images)
            self._heard.append(node.listen(Image, f'{name}/image', self._take_image, IMAGES))
        self._dome: str | None = None
        if observation.task in COUNTED:
            self._heard.append(node.listen(m.Counts, 'detector/counts', self._take_counts))
            self._heard.append(node.listen(m.SafetyStatus, 'safety/status', self._take_safety))
        self._hwp: HwpReading | None = None
        self._beacon_lit: bool | None = None
        self._delays: DelaysTold | None = None
        self._shines = observation.task in CALIBRATION_LIGHT
        if self._shines:
            self._heard.append(node.listen(m.HwpState, 'hwp/state', self._take_hwp))
            self._heard.append(node.listen(m.BeaconState, 'beacon/state', self._take_beacon))
            self._heard.append(node.listen(m.DetectorDelays, 'detector/delays', self._take_delays))

    def close(self, now_ns: int) -> None:
        """Hear no more; the calibration light goes off, and the half-wave plate stands."""
        self._movers.light.shine(now_ns, 0.0)
        self._movers.hwp.turn(now_ns, None, self._station.hwp)
        while self._heard:
            self._node.destroy_subscription(self._heard.pop())

    def step(
        self,
        now_ns: int,
        mount: MountReading,
        guiding: Sequence[SpotMeasurement],
        tracking: Sequence[SpotMeasurement],
    ) -> Observed:
        """Go on with what has come since the last step."""
        if self._work is not None and self._work.result is not None:
            result, self._work = self._work.result, None
            if isinstance(result, StationError):
                self.observation.abort(str(result))
            else:
                self.observation.finish(now_ns, result)
        if self._focuses:
            self._focuser.read(now_ns)
        light, hwp = self._movers.light, self._movers.hwp
        if self._shines:
            light.read(now_ns)
        frames, bins = tuple(self._frames), tuple(self._bins)
        sensed = Sensed(
            mount,
            tuple(guiding),
            tuple(tracking),
            frames,
            bins,
            self._focuser.seen,
            self._dome,
            self._hwp,
            light.seen,
            self._beacon_lit,
            self._delays,
        )
        self._frames.clear()
        self._bins.clear()
        out = self.observation.step(now_ns, sensed)
        self._focuser.move(now_ns, out.focus_to)
        if self._shines:
            light.shine(now_ns, out.light)
            hwp.turn(now_ns, out.hwp_to, self._station.hwp)
        if out.work is not None and self._work is None and out.state is ObservationState.RUNNING:
            self._work = InThread('the identification of stars', out.work)
        return out

    def _take_image(self, message: Image) -> None:
        role = self.observation.images
        assert role is not None
        frame, camera = images.from_image(message, 1 / self.observation.requests[role].rate_hz), self._cameras[role]
        if frame.image.shape == (camera.height_px, camera.width_px):  # a part of the field came before
            self._frames.append(frame)

    def _take_safety(self, message: m.SafetyStatus) -> None:
        self._dome = next((code for code in message.reasons.split() if code.startswith(DOME)), '')

    def _take_hwp(self, message: m.HwpState) -> None:
        self._hwp = messages.from_hwp_state(message)

    def _take_beacon(self, message: m.BeaconState) -> None:
        self._beacon_lit = message.emitting

    def _take_delays(self, message: m.DetectorDelays) -> None:
        self._delays = delays.from_detector_delays(message)

    def _take_counts(self, message: m.Counts) -> None:
        self._bins.append(LightBin.of(messages.from_counts(message)))
