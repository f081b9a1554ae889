"""All stars of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import FloatArray, ImageArray

_Light: TypeAlias = NDArray[np.float32]

_TILE = 64  # px: the background is the median of a tile
_SIGMAS = 5.0  # of the smoothed image above the background
_HALF = 3  # px: stars are measured in a square of 7 x 7
_MOST = 60  # brightest stars of an image
_SHARP = 0.75  # a hot pixel has more of its light in one pixel than any star


@dataclass(frozen=True)
class StarsSeen:
    """Stars of an image, brightest first; arrays (n,).

    Attributes
    ----------
    x_px, y_px : ndarray
        Centroids, (0, 0) is the centre of the first pixel.
    counts : ndarray
        Sum above the background.
    """

    x_px: FloatArray
    y_px: FloatArray
    counts: FloatArray


def stars_seen(image: ImageArray, sigma_px: float) -> StarsSeen:
    """Find stars by a matched filter and measure their centroids.

    Parameters
    ----------
    image : ndarray, (height, width)
        In counts.
    sigma_px : float
        Of the image of a star.
    """
    light = image.astype(np.float32)
    light -= _background(light)
    smooth = cv2.GaussianBlur(light, (0, 0), sigma_px)
    noise = 1.4826 * float(np.median(np.abs(smooth)))
    peaks = (smooth > _SIGMAS * noise) & (smooth == cv2.dilate(smooth, np.ones((2 * _HALF + 1,) * 2, np.uint8)))
    peaks[:_HALF], peaks[-_HALF:], peaks[:, :_HALF], peaks[:, -_HALF:] = False, False, False, False
    y, x = np.nonzero(peaks)
    order = np.argsort(-smooth[y, x])[:_MOST]
    found = [star for star in (_measured(light, int(x[k]), int(y[k])) for k in order) if star is not None]
    columns = np.array(found, dtype=np.float64).reshape(-1, 3)
    columns = columns[np.argsort(-columns[:, 2])]
    return StarsSeen(columns[:, 0], columns[:, 1], columns[:, 2])


def _background(light: _Light) -> _Light:
    """Median of tiles, joined smoothly."""
    height, width = light.shape
    rows, columns = max(height // _TILE, 1), max(width // _TILE, 1)
    cut = light[: rows * (height // rows), : columns * (width // columns)]
    tiles = cut.reshape(rows, height // rows, columns, width // columns)
    medians = np.median(tiles, axis=(1, 3)).astype(np.float32)
    return cv2.resize(medians, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _measured(light: _Light, x: int, y: int) -> tuple[float, float, float] | None:
    """Centroid and sum of a star about its peak; None: it is a hot pixel."""
    box = light[y - _HALF : y + _HALF + 1, x - _HALF : x + _HALF + 1]
    positive = np.maximum(box, 0.0)
    total = float(box.sum())
    if total <= 0 or float(box.max()) > _SHARP * float(positive.sum()):
        return None
    weight = positive / positive.sum()
    offsets = np.arange(-_HALF, _HALF + 1)
    return x + float(weight.sum(axis=0) @ offsets), y + float(weight.sum(axis=1) @ offsets), total
