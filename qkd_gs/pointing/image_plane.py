"""From pixels to angles in the tube and back; the signs of `CameraModel`."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

from qkd_gs.arrays import FloatOrArray
from qkd_gs.settings.station import CameraModel


@dataclass(frozen=True)
class Picture:
    """How a camera's picture lies in the tube: x along the elevation axis (right), y up, tangent-plane angles."""

    scale_rad_px: float
    roll_rad: float
    reference_x_px: float  # pixel of the line of sight
    reference_y_px: float

    @classmethod
    def of(cls, camera: CameraModel) -> Picture:
        """The picture of a camera as the settings have it."""
        return cls(camera.scale_urad_px * 1e-6, radians(camera.roll_deg), camera.reference_x_px, camera.reference_y_px)

    def angles(self, x_px: FloatOrArray, y_px: FloatOrArray) -> tuple[FloatOrArray, FloatOrArray]:
        """Angles (rad) of a pixel beside the line of sight; floats or arrays."""
        right = (x_px - self.reference_x_px) * self.scale_rad_px
        up = (self.reference_y_px - y_px) * self.scale_rad_px
        c, s = cos(self.roll_rad), sin(self.roll_rad)
        return right * c + up * s, up * c - right * s

    def pixel(self, x_rad: float, y_rad: float) -> tuple[float, float]:
        """Pixel at which such angles appear."""
        c, s = cos(self.roll_rad), sin(self.roll_rad)
        right, up = x_rad * c - y_rad * s, x_rad * s + y_rad * c
        return self.reference_x_px + right / self.scale_rad_px, self.reference_y_px - up / self.scale_rad_px
