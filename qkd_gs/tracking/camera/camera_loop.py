"""One camera's process: its spotter, its settings, and what the tracker asks of it."""

from __future__ import annotations

from dataclasses import replace

from qkd_gs.devices.camera import Camera, CameraSettings
from qkd_gs.settings.station import CameraModel
from qkd_gs.tracking.camera.exposure import ExposureControl, ExposureLimits
from qkd_gs.tracking.camera.spotter import Spotter
from qkd_gs.tracking.types import CameraRequest, CameraRole, SpotMeasurement

_LONGEST_SHARE = 0.9  # of a frame's period that may be exposure


class CameraLoop:
    """Keep a camera at what the tracker asks for and the exposure control wants; turn its frames into spots.

    Parameters
    ----------
    camera : Camera
        An open device.
    """

    def __init__(self, role: CameraRole, model: CameraModel, camera: Camera) -> None:
        self._role, self._model, self._camera = role, model, camera
        self._stars: float | None = None  # rate at which stars are beam at now
        self.spotter = Spotter(role, model)
        self._sent: CameraSettings | None = None
        self._joined: tuple[CameraSettings, CameraRequest] | None = None  # that `_sent` was made of

    def step(self, now_ns: int, request: CameraRequest | None) -> list[SpotMeasurement]:
        """Spots of the frames that have arrived; None as request lets the camera rest."""
        if request is None:
            if self._sent is not None:
                self._camera.stop(now_ns)
                self._sent = self._joined = None
            return []
        self._suit(request)
        own = self.spotter.settings
        if self._joined is None or self._joined[0] is not own or self._joined[1] != request:
            wanted = joined(own, request)
            if wanted != self._sent:
                self._camera.configure(now_ns, wanted)
            self._sent, self._joined = wanted, (own, request)
        return [self.spotter.step(now_ns, frame) for frame in self._camera.poll(now_ns)]

    def _suit(self, request: CameraRequest) -> None:
        """Another spotter where stars are beam at, which stand still and are faint, or no longer."""
        stars = request.rate_hz if request.stars else None
        if stars == self._stars:
            return
        self._stars = stars
        if stars is None:
            self.spotter = Spotter(self._role, self._model)
        else:
            exposure = ExposureControl(self._model, ExposureLimits(most_exposure_s=1 / stars))
            self.spotter = Spotter(self._role, self._model, exposure=exposure, rate_hz=stars)


def joined(own: CameraSettings, request: CameraRequest) -> CameraSettings:
    """Settings that meet a request with the exposure control's exposure and gain.

    An exposure is never longer than the request's rate allows; the rate is as asked.
    """
    exposure_s = min(own.exposure_s, _LONGEST_SHARE / request.rate_hz)
    return replace(own, exposure_s=exposure_s, rate_hz=request.rate_hz, roi=request.roi)
