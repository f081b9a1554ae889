"""Stars in an image of smooth background, and images freed of what the camera itself adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from qkd_gs.arrays import BoolArray, Float32Array, FloatArray

_BLOCK_PX = 64  # of the background
_SIGMA_PX = 1.5  # of the matched filter: a spot of 1.2 px, and the drift during an exposure
_THRESHOLD = 5.0  # times the noise: 0.4 false stars in 1.3 million pixels
_BORDER_PX = 4
_HOT = 8.0  # times the noise: a pixel that is bright in the median of all images
_MOST = 120  # brightest stars of an image


@dataclass(frozen=True)
class Detections:
    """Stars of one image, brightest first; arrays (n,), pixels."""

    x_px: FloatArray
    y_px: FloatArray
    flux: FloatArray  # peak of the filtered image


def cleaned(images: Sequence[Float32Array]) -> list[Float32Array]:
    """Images of different parts of the sky without background, fixed pattern and hot pixels.

    What stays on its pixel while the telescope moves is not a star: the median of all images shows it.
    """
    flat = [image - _background(image) for image in images]
    pattern = np.median(np.stack(flat), axis=0).astype(np.float32)
    hot = pattern > _HOT * _noise(pattern)
    return [np.where(hot, np.float32(0), image - pattern) for image in flat]


def find_stars(image: Float32Array) -> Detections:
    """Stars of an image without background, whose noise is the same everywhere."""
    smooth: Float32Array = cv2.GaussianBlur(image, (0, 0), _SIGMA_PX).astype(np.float32)
    highest = cv2.dilate(smooth, np.ones((7, 7), np.uint8))
    peaks: BoolArray = (smooth == highest) & (smooth > _THRESHOLD * _noise(smooth))
    peaks[:_BORDER_PX] = peaks[-_BORDER_PX:] = False
    peaks[:, :_BORDER_PX] = peaks[:, -_BORDER_PX:] = False
    rows, columns = np.nonzero(peaks)
    order = np.argsort(smooth[rows, columns])[::-1][:_MOST]
    rows, columns = rows[order], columns[order]
    x = columns + _vertex(smooth[rows, columns - 1], smooth[rows, columns], smooth[rows, columns + 1])
    y = rows + _vertex(smooth[rows - 1, columns], smooth[rows, columns], smooth[rows + 1, columns])
    return Detections(x, y, smooth[rows, columns].astype(np.float64))


def _background(image: Float32Array) -> Float32Array:
    """Smooth background: medians of blocks, interpolated."""
    height, width = image.shape
    rows, columns = max(height // _BLOCK_PX, 1), max(width // _BLOCK_PX, 1)
    part = image[: rows * (height // rows), : columns * (width // columns)]
    blocks = part.reshape(rows, height // rows, columns, width // columns)[:, ::4, :, ::4]
    medians = np.median(blocks, axis=(1, 3)).astype(np.float32)
    smooth: Float32Array = cv2.resize(medians, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return smooth


def _noise(image: Float32Array) -> float:
    """Standard deviation of the pixels without a star."""
    sample = image[::7, ::3]
    sample = sample[sample != 0]
    if not sample.size:
        return 1.0
    return float(1.4826 * np.median(np.abs(sample - np.median(sample)))) or 1e-6


def _vertex(before: Float32Array, middle: Float32Array, after: Float32Array) -> FloatArray:
    """Position of a parabola's peak from its values at -1, 0 and 1."""
    bend = np.minimum((before - 2.0 * middle + after).astype(np.float64), -1e-9)
    return np.asarray(np.clip(0.5 * (before - after) / bend, -1, 1), dtype=np.float64)
