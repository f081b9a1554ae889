"""True geometry of a camera: scale, roll and axis as built, unknown to the station."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numba.extending import register_jitable

from qkd_gs.arrays import FloatArray
from qkd_gs.settings.station import CameraModel
from qkd_gs.settings.twin_plant import CameraPlantSettings
from qkd_gs.sim.physics.true_errors import within_disc


@dataclass(frozen=True)
class TrueCameraGeometry:
    """Tangent-plane angles in the tube (x right along the elevation axis, y up) to pixels, and back.

    Pixel y grows downwards; the image is rotated counter-clockwise by `roll_rad`; the tube's line of sight (the
    850 nm field centre) falls on (`x0_px`, `y0_px`).
    """

    x0_px: float
    y0_px: float
    scale_rad_px: float
    roll_rad: float

    @classmethod
    def as_built(cls, model: CameraModel, plant: CameraPlantSettings, rng: np.random.Generator) -> TrueCameraGeometry:
        """The station's model with drawn errors of scale, roll and axis."""
        scale, roll = rng.uniform(-1, 1, 2) * (plant.scale_error, radians(plant.roll_error_deg))
        x_rad, y_rad = within_disc(plant.axis_error_mrad * 1e-3, rng)
        scale_rad_px = model.scale_urad_px * 1e-6 * (1 + scale)
        return cls(
            x0_px=model.reference_x_px + x_rad / scale_rad_px,
            y0_px=model.reference_y_px - y_rad / scale_rad_px,
            scale_rad_px=scale_rad_px,
            roll_rad=radians(model.roll_deg) + roll,
        )

    def pixel(self, x_rad: FloatArray, y_rad: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixel where light from a direction falls."""
        c, s = cos(self.roll_rad), sin(self.roll_rad)
        right, up = c * x_rad - s * y_rad, s * x_rad + c * y_rad
        return self.x0_px + right / self.scale_rad_px, self.y0_px - up / self.scale_rad_px

    def direction(self, x_px: FloatArray, y_px: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Direction that falls on a pixel: the inverse of `pixel`."""
        right, up = (x_px - self.x0_px) * self.scale_rad_px, (self.y0_px - y_px) * self.scale_rad_px
        c, s = cos(self.roll_rad), sin(self.roll_rad)
        return c * right + s * up, c * up - s * right


@register_jitable  # type: ignore[misc]
def turned(x_rad: FloatArray, y_rad: FloatArray, roll_rad: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """Sky offsets (cross-elevation, elevation) in axes rotated counter-clockwise by `roll_rad`."""
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    return c * x_rad + s * y_rad, c * y_rad - s * x_rad
