"""Control of one camera: spotter, camera settings and the requests of the tracker."""

from __future__ import annotations

from dataclasses import replace

from qkd_gs.devices.camera import Camera, CameraSettings
from qkd_gs.settings.station import CameraModel
from qkd_gs.tracking.camera.exposure import ExposureControl, ExposureLimits
from qkd_gs.tracking.camera.spotter import Spotter
from qkd_gs.tracking.types import CameraRequest, CameraRole, SpotMeasurement

_LONGEST_SHARE = 0.9  # of an image's period that may be exposure


class CameraLoop:
    """Configures a camera as requested by tracker and exposure control, and measures spots in its images.

    Parameters
    ----------
    camera : Camera
        An open device.
    """

    def __init__(self, role: CameraRole, model: CameraModel, camera: Camera) -> None:
        self._role, self._model, self._camera = role, model, camera
        self._stars: float | None = None  # rate at which stars are observed now
        self.spotter = Spotter(role, model)
        self._sent: CameraSettings | None = None
        self._joined: tuple[CameraSettings, CameraRequest] | None = None  # from which `_sent` was made

    def step(self, now_ns: int, request: CameraRequest | None) -> list[SpotMeasurement]:
        """Spots of the images that have arrived; with None as request the camera idles."""
        if request is None:
            if self._sent is not None:
                self._camera.stop(now_ns)
                self._sent = self._joined = None
            return []
        self._select_spotter(request)
        own = self.spotter.settings
        if self._joined is None or self._joined[0] is not own or self._joined[1] != request:
            settings = joined(own, request)
            if settings != self._sent:
                self._camera.configure(now_ns, settings)
            self._sent, self._joined = settings, (own, request)
        return [self.spotter.step(now_ns, frame) for frame in self._camera.poll(now_ns)]

    def _select_spotter(self, request: CameraRequest) -> None:
        """Use a spotter with long exposures while stars are observed."""
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
    """Settings for a request, with exposure and gain of the exposure control.

    An exposure is never longer than the requested rate allows.
    """
    exposure_s = min(own.exposure_s, _LONGEST_SHARE / request.rate_hz)
    return replace(own, exposure_s=exposure_s, rate_hz=request.rate_hz, roi=request.roi)
