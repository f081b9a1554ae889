"""Light on a camera during an exposure: beacon, stars and sky, from the history of the true state."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, log10, sin

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.devices.camera import Roi
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.settings.station import CameraModel
from qkd_gs.settings.twin_plant import CameraPlantSettings, SkySettings
from qkd_gs.sim.imaging.render import Background, Points
from qkd_gs.sim.imaging.starfield import Stars
from qkd_gs.sim.physics.photometry import electrons_a_watt, faintest, sky_electrons, sky_gradient, star_electrons
from qkd_gs.sim.physics.state_history import Column, History
from qkd_gs.sim.physics.true_camera import TrueCameraGeometry, turned

BEACON_M = 532e-9
_MOST_INSTANTS = 64
_FEWEST_INSTANTS = 4
_STAR_ELECTRONS = 5.0  # of a whole exposure, before the air: fainter stars drown in the read noise


@dataclass(frozen=True)
class Exposed:
    """Light of one exposure."""

    points: Points
    background: Background
    tilt_rad: tuple[float, float]  # mean over the exposure: an ideal mount's spot moves by this


class View:
    """View of the twin through one camera.

    Parameters
    ----------
    scintillation : Column
        Column of the camera's aperture.
    """

    def __init__(
        self,
        model: CameraModel,
        plant: CameraPlantSettings,
        sky: SkySettings,
        geometry: TrueCameraGeometry,
        history: History,
        stars: tuple[Stars, ...],
        scintillation: Column,
    ) -> None:
        self._plant, self._sky, self._geometry, self._history, self._stars = plant, sky, geometry, history, stars
        self._scale_urad_px = model.scale_urad_px
        self._sigma_rad = model.spot_sigma_px * geometry.scale_rad_px
        self._scintillation = scintillation
        self._faintest_in_1_s = faintest(plant, sky, _STAR_ELECTRONS)
        self._responsivity = electrons_a_watt(plant, BEACON_M)

    def expose(self, start_ns: int, exposure_ns: int, roi: Roi) -> Exposed:
        """Light of one exposure that has ended."""
        state = self._history.at(_instants(start_ns, exposure_ns, self._count(start_ns, exposure_ns)))
        seconds = exposure_ns * 1e-9
        tilt = turned(state[Column.TILT_X], state[Column.TILT_Y], state[Column.ROLL])
        mid_ns = start_ns + exposure_ns // 2
        lights = [self._beacon(state, seconds)]
        lights += [self._star_points(group, state, mid_ns, exposure_ns, roi) for group in self._stars]
        lit = [light for light in lights if len(light[0])]
        x, y, electrons = lit[0] if len(lit) == 1 else map(np.concatenate, zip(*lights, strict=True))
        x_px, y_px = self._geometry.pixel(x + tilt[0], y + tilt[1])
        return Exposed(
            Points(x_px, y_px, electrons),
            self._background(state, seconds, roi),
            (float(state[Column.TILT_X].mean()), float(state[Column.TILT_Y].mean())),
        )

    def _count(self, start_ns: int, exposure_ns: int) -> int:
        """Number of instants that samples the fastest trail without gaps: one per sigma, and one per ms up to 16."""
        ends = self._history.at(np.array([start_ns, start_ns + exposure_ns]))
        (az, az_end), (el, el_end) = ends[Column.AZ].tolist(), ends[Column.EL].tolist()
        trail = int(hypot((az_end - az) * cos(el), el_end - el) / self._sigma_rad)
        return min(max(trail, min(exposure_ns // 1_000_000, 16), _FEWEST_INSTANTS), _MOST_INSTANTS)

    def _beacon(self, state: FloatArray, seconds: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        irradiance = state[Column.IRRADIANCE]
        x, y = state[Column.X], state[Column.Y]
        if not irradiance.any() or np.isnan(x).any():
            return _nothing(state.shape[1])
        electrons = irradiance * state[self._scintillation] * self._responsivity * seconds / len(irradiance)
        return x[None], y[None], electrons[None]

    def _star_points(
        self, group: Stars, state: FloatArray, mid_ns: int, exposure_ns: int, roi: Roi
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Trails of the stars that cross the region."""
        count = state.shape[1]
        middle = count // 2
        az, el = state[Column.AZ], state[Column.EL]
        middle_az, middle_el = az.item(middle), el.item(middle)
        trail = hypot((az.item(-1) - az.item(0)) * cos(middle_el), el.item(-1) - el.item(0))
        corner = self._corner_rad(roi) + trail
        faintest_mag = self._faintest_in_1_s + 2.5 * log10(exposure_ns * 1e-9)
        stars = group.near(mid_ns, middle_az, middle_el, corner, faintest_mag)
        if not len(stars.az_rad):
            return _nothing(count)
        since_s = ((np.arange(count) + 0.5) / count - 0.5) * exposure_ns * 1e-9
        star_az = stars.az_rad[:, None] + stars.az_rate_rad_s[:, None] * since_s
        star_el = stars.el_rad[:, None] + stars.el_rate_rad_s[:, None] * since_s
        x, y = offset_between(az, el, star_az, star_el)
        x, y = turned(x, y, state[Column.ROLL])
        electrons = star_electrons(self._plant, self._sky, stars.magnitude) * exposure_ns * 1e-9
        clear = state[Column.CLEAR] * state[self._scintillation]
        return x, y, electrons[:, None] * clear / count

    def _corner_rad(self, roi: Roi) -> float:
        """Largest angle between the line of sight and the region."""
        geometry = self._geometry
        x_px = max(abs(x - geometry.x0_px) for x in (roi.x0_px, roi.x0_px + roi.width_px))
        y_px = max(abs(y - geometry.y0_px) for y in (roi.y0_px, roi.y0_px + roi.height_px))
        return hypot(x_px, y_px) * geometry.scale_rad_px

    def _background(self, state: FloatArray, seconds: float, roi: Roi) -> Background:
        middle = state.shape[1] // 2
        el = float(state[Column.EL, middle])
        level = sky_electrons(self._plant, self._sky, self._scale_urad_px, el) * seconds
        slope = level * sky_gradient(self._sky, el) * self._geometry.scale_rad_px  # a pixel upwards on the sky
        roll = self._geometry.roll_rad - float(state[Column.ROLL, middle])
        slope_x, slope_y = slope * sin(roll), -slope * cos(roll)
        corner = level + slope_x * (roi.x0_px - self._geometry.x0_px) + slope_y * (roi.y0_px - self._geometry.y0_px)
        return Background(max(corner, 0.0), slope_x, slope_y)


def _instants(start_ns: int, exposure_ns: int, count: int) -> IntArray:
    result: IntArray = start_ns + np.rint((np.arange(count) + 0.5) * (exposure_ns / count)).astype(np.int64)
    return result


def _nothing(count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    return np.empty((0, count)), np.empty((0, count)), np.empty((0, count))
