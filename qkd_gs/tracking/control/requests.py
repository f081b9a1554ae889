"""Camera requests of the tracker in each phase."""

from __future__ import annotations

from qkd_gs.devices.camera import Roi
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.settings.station import CameraModel
from qkd_gs.tracking.types import OVER, CameraRequest, Phase

FIELD_PX = 96  # side of the region read out while locked
FIELD_STEP_PX = 8  # regions lie on a grid, so that the camera is not reconfigured for every pixel
FULL_HZ, COARSE_HZ, SLOW_HZ = 10.0, 50.0, 2.0
FAST_HZ = 50.0  # turbulence is correlated over 80 ms: more images add no information

GUIDING_STARS, TRACKING_STARS = CameraRequest(5.0, stars=True), CameraRequest(10.0, stars=True)  # of a calibration


def requests(
    phase: Phase, guiding: CameraModel, tracking: CameraModel, field: Roi | None
) -> tuple[CameraRequest | None, CameraRequest | None]:
    """Requests to guiding and tracking camera in a phase; None where a camera may idle.

    `field`: region of the tracking camera in which the spot must be, None if it may be anywhere.
    """
    if phase in (Phase.IDLE, Phase.SLEW, *OVER):
        return None, None
    guiding_hz = SLOW_HZ if phase is Phase.FINE else FULL_HZ
    tracking_hz = {Phase.WAIT: SLOW_HZ, Phase.ACQUIRE: FULL_HZ}.get(phase, COARSE_HZ)
    if field is not None:
        tracking_hz = FAST_HZ
    return (
        CameraRequest(min(guiding_hz, guiding.max_rate_hz)),
        CameraRequest(min(tracking_hz, tracking.max_rate_hz), field),
    )


def field_around(camera: CameraModel, x_rad: float, y_rad: float) -> Roi:
    """Small region inside the sensor around the pixel of a direction in the tube."""
    x_px, y_px = CameraGeometry.of(camera).pixel(x_rad, y_rad)
    width, height = min(FIELD_PX, camera.width_px), min(FIELD_PX, camera.height_px)
    return Roi(_corner(x_px, width, camera.width_px), _corner(y_px, height, camera.height_px), width, height)


def _corner(centre_px: float, size: int, sensor: int) -> int:
    corner = round((centre_px - size / 2) / FIELD_STEP_PX) * FIELD_STEP_PX
    return min(max(corner, 0), sensor - size)
