"""Rendering of images: point sources with trails, background, noise and conversion to counts; compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import erf, hypot, sqrt

import numpy as np

from qkd_gs.arrays import Float32Array, FloatArray, ImageArray, IntArray
from qkd_gs.jit import njit

_REACH = 5.0  # a spot is drawn out to so many sigma
_KEPT = 16  # regions of which the hot pixels are kept


@dataclass(frozen=True)
class Sensor:
    """Constant properties of a sensor."""

    response: Float32Array  # (height, width) flat field: vignetting and pixels' response, mean about 1
    dark_e_s: float
    hot_x: IntArray
    hot_y: IntArray
    hot_e_s: FloatArray
    sigma_px: float  # of the optical image, before the pixels average it
    read_noise_e: float
    full_well_e: float
    electrons_per_count: float
    pedestal_counts: float
    adc_mask: int  # of 16 bit; the lowest bits are 0 if the ADC has fewer

    @cached_property
    def light(self) -> Float32Array:
        """Buffer for the electrons of one image, reused: allocating new pages costs more than filling them."""
        return np.empty(self.response.size, np.float32)

    @cached_property
    def _hot(self) -> dict[tuple[int, int, int, int], tuple[IntArray, IntArray, FloatArray]]:
        return {}

    def hot_in(self, region: tuple[int, int, int, int]) -> tuple[IntArray, IntArray, FloatArray]:
        """Rows, columns and electrons a second of the hot pixels in a region, which is the same for many images."""
        found = self._hot.get(region)
        if found is None:
            x0, y0, width, height = region
            x, y = self.hot_x - x0, self.hot_y - y0
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            if len(self._hot) >= _KEPT:
                self._hot.clear()
            found = self._hot[region] = y[inside], x[inside], self.hot_e_s[inside]
        return found


@dataclass(frozen=True)
class Points:
    """Point sources during one exposure, full-sensor pixels; each is seen at k instants, evenly spaced."""

    x_px: FloatArray  # (n, k)
    y_px: FloatArray  # (n, k)
    electrons: FloatArray  # (n, k) contribution of each instant


@dataclass(frozen=True)
class Background:
    """Sky behind the points, electrons a pixel in one exposure: level at the region's first pixel, and its slopes."""

    level_e: float
    slope_x_e: float
    slope_y_e: float


def noise_bank(rng: np.random.Generator, count: int) -> Float32Array:
    """Standard normal numbers; an image takes a part from a random position."""
    return rng.standard_normal(count, dtype=np.float32)


def render(
    sensor: Sensor,
    region: tuple[int, int, int, int],
    points: Points,
    background: Background,
    exposure_s: float,
    gain: float,
    noise: Float32Array,
    blur_px: float = 0.0,
) -> ImageArray:
    """Render one image.

    Parameters
    ----------
    region : (x0, y0, width, height)
        Read-out window on the full sensor.
    noise : (height * width,) array
        Standard normal numbers: photon and read noise together, as a normal distribution.  At the few
        electrons where a Poisson distribution would be skewed, the read noise dominates.
    blur_px : float
        Gaussian width that a defocus adds.
    """
    x0, y0, width, height = region
    light = sensor.light[: width * height].reshape(height, width)
    response = sensor.response[y0 : y0 + height, x0 : x0 + width]
    fill(light, response, background.level_e, background.slope_x_e,
         background.slope_y_e, sensor.dark_e_s * exposure_s)  # fmt: skip
    if len(points.x_px):
        sigma_px = hypot(sensor.sigma_px, blur_px) if blur_px else sensor.sigma_px
        draw(light, response, points.x_px - x0, points.y_px - y0, points.electrons, sigma_px)
    rows, columns, hot_e_s = sensor.hot_in(region)
    light[rows, columns] += hot_e_s * exposure_s
    counts = np.empty((height, width), np.uint16)
    convert(light, noise, sensor.read_noise_e**2, sensor.full_well_e, gain / sensor.electrons_per_count,
            sensor.pedestal_counts, sensor.adc_mask, counts)  # fmt: skip
    return counts


@njit(cache=True)
def fill(light, response, level, slope_x, slope_y, dark):  # type: ignore[no-untyped-def]
    """Background and dark current."""
    height, width = light.shape
    sx, d = np.float32(slope_x), np.float32(dark)
    for j in range(height):
        row = np.float32(level + slope_y * j)
        for i in range(width):
            light[j, i] = (row + sx * np.float32(i)) * response[j, i] + d


@njit(cache=True)
def draw(light, response, x_px, y_px, electrons, sigma):  # type: ignore[no-untyped-def]
    """Add point sources, each the mean of Gaussian images integrated over the pixels."""
    height, width = light.shape
    reach = int(_REACH * sigma) + 2
    column = np.empty(2 * reach + 1)
    scale = 1.0 / (sqrt(2.0) * sigma)
    for n in range(x_px.shape[0]):
        for k in range(x_px.shape[1]):
            x, y, e = x_px[n, k], y_px[n, k], electrons[n, k]
            if not (-reach <= x <= width + reach and -reach <= y <= height + reach) or e <= 0.0:
                continue
            cx, cy = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
            left = erf((cx - reach - 0.5 - x) * scale)
            for i in range(2 * reach + 1):
                right = erf((cx - reach + i + 0.5 - x) * scale)
                column[i] = 0.5 * (right - left)
                left = right
            below = erf((cy - reach - 0.5 - y) * scale)
            for j in range(cy - reach, cy + reach + 1):
                above = erf((j + 0.5 - y) * scale)
                part = 0.5 * (above - below) * e
                below = above
                if 0 <= j < height:
                    for i in range(max(cx - reach, 0), min(cx + reach + 1, width)):
                        light[j, i] += np.float32(part * column[i - cx + reach]) * response[j, i]


@njit(cache=True, fastmath=True)
def convert(light, noise, read_variance, full_well, counts_per_electron, pedestal, mask, counts):  # type: ignore[no-untyped-def]
    """Photon and read noise, saturation, gain, conversion."""
    height, width = light.shape
    variance, well = np.float32(read_variance), np.float32(full_well)
    factor, zero = np.float32(counts_per_electron), np.float32(pedestal + 0.5)
    lowest, highest = np.float32(0), np.float32(65535)
    bits = np.int32(mask)
    for j in range(height):
        row = noise[j * width : (j + 1) * width]
        for i in range(width):
            e = light[j, i]
            e = min(e + np.sqrt(e + variance) * row[i], well)
            value = min(max(e * factor + zero, lowest), highest)
            counts[j, i] = np.uint16(np.int32(value) & bits)
