"""Pixels to angles in the tube and back; signs as in `CameraModel`."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

from qkd_gs.arrays import FloatOrArray
from qkd_gs.settings.station import CameraModel


@dataclass(frozen=True)
class CameraGeometry:
    """Scale, roll and reference pixel of a camera; tube angles: x right, along the elevation axis; y up."""

    scale_rad_px: float
    roll_rad: float
    reference_x_px: float  # pixel of the line of sight
    reference_y_px: float

    @classmethod
    def of(cls, camera: CameraModel) -> CameraGeometry:
        """Geometry of a camera from its settings."""
        return cls(camera.scale_urad_px * 1e-6, radians(camera.roll_deg), camera.reference_x_px, camera.reference_y_px)

    def angles(self, x_px: FloatOrArray, y_px: FloatOrArray) -> tuple[FloatOrArray, FloatOrArray]:
        """Angles (rad) of a pixel from the line of sight; floats or arrays."""
        right = (x_px - self.reference_x_px) * self.scale_rad_px
        up = (self.reference_y_px - y_px) * self.scale_rad_px
        c, s = cos(self.roll_rad), sin(self.roll_rad)
        return right * c + up * s, up * c - right * s

    def pixel(self, x_rad: float, y_rad: float) -> tuple[float, float]:
        """Pixel at which a direction at these angles appears."""
        c, s = cos(self.roll_rad), sin(self.roll_rad)
        right, up = x_rad * c - y_rad * s, x_rad * s + y_rad * c
        return self.reference_x_px + right / self.scale_rad_px, self.reference_y_px - up / self.scale_rad_px
