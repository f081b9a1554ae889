"""Simulated camera: a stream of rendered images with rate, latency, stamps and losses.  Camera Protocol."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from qkd_gs.arrays import Float32Array, ImageArray
from qkd_gs.devices.camera import CameraSettings, Frame, Roi
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.station import CameraModel
from qkd_gs.settings.twin_plant import CameraPlantSettings
from qkd_gs.sim.imaging.exposure import Exposed
from qkd_gs.sim.imaging.render import Sensor, render

_PIXEL_VARIANCE = 1 / 12  # that averaging over a pixel adds to a Gaussian image, px^2
_FALL_TO_CORNER = 2  # power of the distance from the centre in the vignetting


class Scene(Protocol):
    """Scene in front of a camera."""

    def expose(self, start_ns: int, exposure_ns: int, roi: Roi) -> Exposed:
        """Light of one exposure that has ended."""


class SimCamera:
    """Exposes images as simulated time advances.

    Parameters
    ----------
    noise : (n,) array
        Standard normal numbers shared by the cameras; more than the sensor has pixels.

    Attributes
    ----------
    tilt_residuals : list of (stamp_ns, tilt_x_rad, tilt_y_rad)
        Turbulence tilt averaged over each exposure: the residual of an ideal mount.  Truth, for sim/ only.
    """

    def __init__(
        self,
        model: CameraModel,
        plant: CameraPlantSettings,
        scene: Scene,
        noise: Float32Array,
        rng: np.random.Generator,
    ) -> None:
        self._model, self._plant, self._scene, self._noise, self._rng = model, plant, scene, noise, rng
        self._sensor = build_sensor(model, plant, rng)
        self._whole = Roi(0, 0, model.width_px, model.height_px)
        self._settings: CameraSettings | None = None
        self._next_ns = 0
        self._transfer: deque[tuple[int, Frame]] = deque()
        self.blur_px: Callable[[int], float] | None = None  # Gaussian width that a defocus adds, at a time
        self.tilt_residuals: list[tuple[int, float, float]] = []

    def open(self) -> None: ...

    def configure(self, now_ns: int, settings: CameraSettings) -> None:
        """Take effect with the next exposure; starts the stream.

        Raises
        ------
        DeviceFault
            ``camera.settings``: exposure, gain, rate or region out of range.
        """
        self._check(settings)
        if self._settings is None:
            self._next_ns = now_ns
        self._settings = settings

    def poll(self, now_ns: int) -> list[Frame]:
        """Frames that have arrived since the last call, oldest first."""
        frames = []
        while self._transfer and self._transfer[0][0] <= now_ns:
            frames.append(self._transfer.popleft()[1])
        return frames

    def stop(self, now_ns: int) -> None:
        """Stop the stream; images in transfer still arrive."""
        self._settings = None

    def close(self) -> None:
        """Stop the stream and drop images that were not fetched."""
        self._settings = None
        self._transfer.clear()

    # ---- simulation side ----

    def advance(self, now_ns: int) -> None:
        """Finish the exposures that end until `now_ns`; the twin's state must be known up to then."""
        while self._settings is not None:
            settings = self._settings
            exposure_ns = round(settings.exposure_s * 1e9)
            end_ns = self._next_ns + exposure_ns
            if end_ns > now_ns:
                return
            roi = settings.roi or self._whole
            exposed = self._scene.expose(self._next_ns, exposure_ns, roi)
            mid_ns = self._next_ns + exposure_ns // 2
            self.tilt_residuals.append((mid_ns, *exposed.tilt_rad))
            if self._rng.random() >= self._plant.drop_probability:
                stamp_ns = mid_ns + round(self._rng.standard_normal() * self._plant.stamp_jitter_s * 1e9)
                image = self._image(exposed, roi, settings, mid_ns)
                latency_ns = round(self._plant.latency_s * 1e9 * roi.height_px / self._model.height_px)
                frame = Frame(stamp_ns, settings.exposure_s, settings.gain, image, roi)
                self._transfer.append((end_ns + latency_ns, frame))
            self._next_ns += max(round(1e9 / settings.rate_hz), exposure_ns)

    def _image(self, exposed: Exposed, roi: Roi, settings: CameraSettings, mid_ns: int) -> ImageArray:
        pixels = roi.width_px * roi.height_px
        first = int(self._rng.integers(0, len(self._noise) - pixels + 1))
        region = (roi.x0_px, roi.y0_px, roi.width_px, roi.height_px)
        noise = self._noise[first : first + pixels]
        blur_px = self.blur_px(mid_ns) if self.blur_px is not None else 0.0
        exposure_s, gain = settings.exposure_s, settings.gain
        return render(self._sensor, region, exposed.points, exposed.background, exposure_s, gain, noise, blur_px)

    def _check(self, settings: CameraSettings) -> None:
        model, roi = self._model, settings.roi or self._whole
        fastest_hz = model.max_rate_hz * min(model.height_px / max(roi.height_px, 1), self._plant.roi_rate_factor)
        limits = (
            ('exposure_s', settings.exposure_s, model.min_exposure_s, model.max_exposure_s),
            ('gain', settings.gain, 1.0, model.max_gain),
            ('rate_hz', settings.rate_hz, 1e-3, fastest_hz),
            ('roi.x0_px', roi.x0_px, 0, model.width_px - roi.width_px),
            ('roi.y0_px', roi.y0_px, 0, model.height_px - roi.height_px),
            ('roi.width_px', roi.width_px, 1, model.width_px),
            ('roi.height_px', roi.height_px, 1, model.height_px),
        )
        for name, value, least, most in limits:
            if not least <= value <= most:
                raise DeviceFault('camera.settings', f'{name} = {value:g} is not within {least:g} to {most:g}')


def build_sensor(model: CameraModel, plant: CameraPlantSettings, rng: np.random.Generator) -> Sensor:
    """Fixed pattern of a camera: response of the pixels, vignetting, hot pixels."""
    y, x = np.mgrid[0 : model.height_px, 0 : model.width_px]
    x0, y0 = (model.width_px - 1) / 2, (model.height_px - 1) / 2
    from_middle = np.hypot(x - x0, y - y0) / np.hypot(x0, y0)
    response = 1 - plant.vignetting * from_middle**_FALL_TO_CORNER
    response *= 1 + plant.flat_error * rng.standard_normal(response.shape)
    hot = rng.choice(model.width_px * model.height_px, min(plant.hot_pixels, model.width_px * model.height_px), False)
    return Sensor(
        response=response.astype(np.float32),
        dark_e_s=plant.dark_e_s,
        hot_x=hot % model.width_px,
        hot_y=hot // model.width_px,
        hot_e_s=rng.exponential(plant.hot_e_s, len(hot)) if len(hot) else np.empty(0),
        sigma_px=float(np.sqrt(model.spot_sigma_px**2 - _PIXEL_VARIANCE)),
        read_noise_e=model.read_noise_e,
        full_well_e=plant.full_well_e,
        electrons_per_count=model.electrons_per_count,
        pedestal_counts=plant.pedestal_counts,
        adc_mask=0xFFFF & ~((1 << (16 - plant.adc_bits)) - 1),
    )
