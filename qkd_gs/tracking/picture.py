"""From pixels to angles beside the line of sight and back, and what the tracker asks of each camera."""

from __future__ import annotations

from math import cos, radians, sin

from qkd_gs.devices.camera import Roi
from qkd_gs.settings.station import CameraModel
from qkd_gs.tracking.types import CameraRequest, Phase

FIELD_PX = 96  # side of the region read out while locked
FIELD_STEP_PX = 8  # regions lie on a raster, so that the camera is not set anew for every pixel
FAST_HZ, FULL_HZ, COARSE_HZ, SLOW_HZ = 100.0, 10.0, 50.0, 2.0


class Picture:
    """How one camera's picture lies on the sky (see `CameraModel` for the signs)."""

    def __init__(self, camera: CameraModel):
        self._camera = camera
        self._scale = camera.scale_urad_px * 1e-6
        self._cos, self._sin = cos(radians(camera.roll_deg)), sin(radians(camera.roll_deg))

    def angles(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Tangent-plane angles (rad) of a pixel beside the line of sight: along the tube's right, and up."""
        right = (x_px - self._camera.reference_x_px) * self._scale
        up = (self._camera.reference_y_px - y_px) * self._scale
        return right * self._cos + up * self._sin, up * self._cos - right * self._sin

    def pixel(self, x_rad: float, y_rad: float) -> tuple[float, float]:
        """Pixel at which such angles appear: reverse of `angles`."""
        right = (x_rad * self._cos - y_rad * self._sin) / self._scale
        up = (x_rad * self._sin + y_rad * self._cos) / self._scale
        return self._camera.reference_x_px + right, self._camera.reference_y_px - up

    def field_around(self, x_rad: float, y_rad: float) -> Roi:
        """Small region around the pixel at which such angles appear, inside the sensor."""
        x_px, y_px = self.pixel(x_rad, y_rad)
        width, height = min(FIELD_PX, self._camera.width_px), min(FIELD_PX, self._camera.height_px)
        return Roi(
            _corner(x_px, width, self._camera.width_px), _corner(y_px, height, self._camera.height_px), width, height
        )


def requests(
    phase: Phase, guiding: CameraModel, tracking: CameraModel, field: Roi | None
) -> tuple[CameraRequest | None, CameraRequest | None]:
    """What guiding and tracking camera shall deliver in a phase; None where a camera may rest.

    `field`: region of the tracking camera in which the spot must be, None if it may be anywhere.
    """
    if phase in (Phase.IDLE, Phase.SLEW, Phase.END, Phase.PARK):
        return None, None
    guiding_hz = SLOW_HZ if phase is Phase.FINE else FULL_HZ
    tracking_hz = {Phase.WAIT: SLOW_HZ, Phase.ACQUIRE: FULL_HZ}.get(phase, COARSE_HZ)
    if field is not None:
        tracking_hz = FAST_HZ
    return (
        CameraRequest(min(guiding_hz, guiding.max_rate_hz)),
        CameraRequest(min(tracking_hz, tracking.max_rate_hz), field),
    )


def _corner(centre_px: float, size: int, sensor: int) -> int:
    corner = round((centre_px - size / 2) / FIELD_STEP_PX) * FIELD_STEP_PX
    return min(max(corner, 0), sensor - size)
