"""A strip of sky from overlapping images, added up where they overlap.

Only the elevation axis moves from image to image, so that the strip is a true image of the sky whatever the zero
points are; and since the stars themselves tell by how much two images are displaced, neither the turn of the sky nor
the camera's scale and roll need be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from qkd_gs.arrays import Float32Array, FloatArray
from qkd_gs.calibration.finding.detection import Detections, cleaned, find_stars

_WINDOW_PX = 40.0  # largest difference of a displacement from the commanded one
_DRIFT_PX = 15.0  # largest drift between the first and the last part of an image
_SAME_PX = 2.5  # of two displacements


@dataclass(frozen=True)
class Tile:
    """Images at one position of the telescope, which follows the sky roughly."""

    t_ns: int  # middle
    enc_az_rad: float
    enc_el_rad: float
    parts: tuple[Float32Array, ...]  # mean counts (height, width) of equal parts of the time, in order
    place: tuple[float, float]  # azimuth and elevation (rad) that were asked for
    sense: tuple[int, int]  # in which the axes followed the sky


@dataclass(frozen=True)
class Strip:
    """Stars of all images in the pixels of one image, brightest first."""

    x_px: FloatArray
    y_px: FloatArray
    flux: FloatArray
    width_px: int
    height_px: int
    origins_px: FloatArray  # (tiles, 2) x and y of the first pixel of each in the strip
    joined: int  # pairs of neighbours joined by stars


def make_strip(tiles: Sequence[Tile], scale_rad_px: float) -> Strip:
    """Join images whose elevations grow by equal steps."""
    count = len(tiles[0].parts)
    parts = [cleaned([tile.parts[k] for tile in tiles]) for k in range(count)]
    drift = _drift([find_stars(image) for image in parts[0]], [find_stars(image) for image in parts[-1]])
    images: list[Float32Array] = []
    for k in range(len(tiles)):
        late = [(i / max(count - 1, 1) - 0.5) * drift for i in range(count)]
        moved = [_moved(parts[i][k], -late[i]) for i in range(count)]
        images.append(np.mean(np.stack(moved), axis=0).astype(np.float32))
    step_px = (tiles[1].enc_el_rad - tiles[0].enc_el_rad) / scale_rad_px
    found = [find_stars(image) for image in images]
    # looking higher moves the stars down in the image, if the encoder counts upwards
    options = [_displacements(found, sign * step_px) for sign in (1, -1)]
    shifts, votes = max(options, key=lambda option: option[1].sum())
    known = votes > 0
    shifts[~known] = np.average(shifts[known], axis=0, weights=votes[known]) if known.any() else (0.0, step_px)
    origins = -np.concatenate([np.zeros((1, 2)), np.cumsum(shifts, axis=0)])
    origins -= origins.min(axis=0)
    stars, (height, width) = _together(images, origins)
    return Strip(stars.x_px, stars.y_px, stars.flux, width, height, origins, int(known.sum()))


def _drift(first: Sequence[Detections], last: Sequence[Detections]) -> FloatArray:
    """Displacement from the first to the last part, the same in all images; zero if no star shows it."""
    pairs = [_differences(one, two) for one, two in zip(first, last, strict=True)]
    shift, votes = _commonest(np.concatenate([pair[np.hypot(*pair.T) < _DRIFT_PX] for pair in pairs]))
    return shift if votes else np.zeros(2)


def _displacements(found: Sequence[Detections], step_px: float) -> tuple[FloatArray, FloatArray]:
    """Displacement of the stars (n - 1, 2) from each image to the next, and the number of stars that show it."""
    results = []
    for lower, upper in pairwise(found):
        pairs = _differences(lower, upper)
        results.append(_commonest(pairs[np.hypot(pairs[:, 0], pairs[:, 1] - step_px) < _WINDOW_PX]))
    return np.array([shift for shift, _ in results]), np.array([votes for _, votes in results])


def _differences(one: Detections, two: Detections) -> FloatArray:
    """Displacements (n, 2) between all stars of two images."""
    dx = two.x_px[None, :] - one.x_px[:, None]
    dy = two.y_px[None, :] - one.y_px[:, None]
    return np.stack([dx.ravel(), dy.ravel()], axis=1)


def _commonest(shifts: FloatArray) -> tuple[FloatArray, int]:
    """Displacement that most pairs of stars show, and their number."""
    if not len(shifts):
        return np.zeros(2), 0
    same = np.hypot(*(shifts[:, None] - shifts[None, :]).transpose(2, 0, 1)) < _SAME_PX
    best = same[int(np.argmax(same.sum(axis=1)))]
    mean: FloatArray = shifts[best].mean(axis=0)
    return mean, int(best.sum())


def _moved(image: Float32Array, shift: FloatArray) -> Float32Array:
    height, width = image.shape
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved: Float32Array = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32)
    return moved


def _together(images: Sequence[Float32Array], origins: FloatArray) -> tuple[Detections, tuple[int, int]]:
    """Stars of all images added up, and height and width of the strip."""
    height, width = images[0].shape
    size = np.ceil(origins.max(axis=0)).astype(int) + 1
    total = np.zeros((height + size[1], width + size[0]), np.float32)
    layers = np.zeros_like(total)
    for image, origin in zip(images, origins, strict=True):
        x, y = np.floor(origin).astype(int)
        part = _moved(image, origin - np.floor(origin))
        total[y : y + height, x : x + width] += part
        layers[y : y + height, x : x + width] += 1
    depth: Float32Array = np.sqrt(np.maximum(layers, 1)).astype(np.float32)
    stars = find_stars((total / depth).astype(np.float32))  # the same noise everywhere
    depth_there = depth[np.rint(stars.y_px).astype(int), np.rint(stars.x_px).astype(int)]
    flux = stars.flux / depth_there
    order = np.argsort(flux)[::-1]
    return Detections(stars.x_px[order], stars.y_px[order], flux[order]), (total.shape[0], total.shape[1])
