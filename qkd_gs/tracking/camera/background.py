"""Peaks above the background of an image: statistics of tiles and a threshold that follows gradients."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import Float32Array, ImageArray
from qkd_gs.jit import njit

TILE_PX = 64  # large against a spot (sigma 3 px), small against vignetting and twilight gradients
_STEP_PX = 4  # samples of the 3x3 median farther apart than its kernel are independent
_ROW_STEP_PX = 8  # 128 samples a tile: level good to a tenth of the noise, noise to 8 %
_FLOOR_STEPS = 0.35  # quantization noise alone is 0.29 steps; avoids false peaks in a noiseless image


@njit(cache=True)  # type: ignore[misc]
def _clipped(values, n):  # type: ignore[no-untyped-def]
    """Mean and standard deviation of the first `n` values, clipped at three sigma in several rounds."""
    low, high = -1e30, 1e30
    mean, std = 0.0, 0.0
    kept = -1
    for _ in range(5):
        count, total, square = 0, 0.0, 0.0
        for i in range(n):
            v = values[i]
            if low <= v <= high:
                count += 1
                total += v
                square += v * v
        if count in (0, kept):
            break
        kept = count
        mean = total / count
        std = np.sqrt(max(square / count - mean * mean, 0.0))
        low, high = mean - 3.0 * std - 0.5, mean + 3.0 * std + 0.5
    return mean, std


@njit(cache=True)  # type: ignore[misc]
def _tiles(smooth, rows, columns):  # type: ignore[no-untyped-def]
    """Level and noise of each tile of a smoothed image.

    The noise comes from differences of neighbouring samples, which a gradient does not inflate.
    """
    height, width = smooth.shape
    level = np.empty((rows, columns), np.float32)
    noise = np.empty((rows, columns), np.float32)
    size = ((height // rows + 2) // _ROW_STEP_PX + 2) * ((width // columns + 2) // _STEP_PX + 2)
    values, differences = np.empty(size, np.float32), np.empty(size, np.float32)
    for j in range(rows):
        for i in range(columns):
            n, k = 0, 0
            x_end = (i + 1) * width // columns
            for y in range(j * height // rows, (j + 1) * height // rows, _ROW_STEP_PX):
                for x in range(i * width // columns, x_end, _STEP_PX):
                    values[n] = smooth[y, x]
                    n += 1
                    if x + _STEP_PX < x_end:
                        differences[k] = np.float32(smooth[y, x + _STEP_PX]) - np.float32(smooth[y, x])
                        k += 1
            level[j, i] = _clipped(values, n)[0]
            noise[j, i] = _clipped(differences, k)[1] / np.sqrt(2.0)
    return level, noise


@njit(cache=True)  # type: ignore[misc]
def _lerp(position, n):  # type: ignore[no-untyped-def]
    """Index and weight for linear interpolation among `n` tile centres, extrapolated beyond the outer ones."""
    if n == 1:
        return 0, 0, 0.0
    index = min(max(int(np.floor(position)), 0), n - 2)
    return index, index + 1, position - index


@njit(cache=True)  # type: ignore[misc]
def _peaks(smooth, threshold, out):  # type: ignore[no-untyped-def]
    """Local maxima above the interpolated threshold: rows of (x, y, excess); returns their number."""
    height, width = smooth.shape
    rows, columns = threshold.shape
    fine = np.empty((rows, width), np.float32)
    for x in range(width):
        i0, i1, u = _lerp((x + 0.5) * columns / width - 0.5, columns)
        for j in range(rows):
            fine[j, x] = (1.0 - u) * threshold[j, i0] + u * threshold[j, i1]
    limit = np.empty(width, np.float32)
    found = 0
    for y in range(height):
        j0, j1, v = _lerp((y + 0.5) * rows / height - 0.5, rows)
        v = np.float32(v)
        row, top, bottom = smooth[y], fine[j0], fine[j1]
        above = 0
        for x in range(width):  # no branch inside, so that the compiler vectorizes it
            limit[x] = top[x] + v * (bottom[x] - top[x])
            above += np.float32(row[x]) > limit[x]
        if above == 0:
            continue
        for x in range(width):
            value = row[x]
            if np.float32(value) <= limit[x]:
                continue
            up, down, left, right = max(y - 1, 0), min(y + 1, height - 1), max(x - 1, 0), min(x + 1, width - 1)
            top_is_higher = smooth[up, left : right + 1].max() > value or row[left] > value
            earlier_is_equal = (y > 0 and smooth[up, left : right + 1].max() == value) or (x > 0 and row[left] == value)
            later_is_higher = smooth[down, left : right + 1].max() > value or row[right] > value
            # of equal neighbours the first in reading order counts
            if not (top_is_higher or earlier_is_equal or later_is_higher):
                out[found, 0] = x
                out[found, 1] = y
                out[found, 2] = np.float32(value) - limit[x]
                found += 1
                if found == len(out):
                    return found
    return found


def adc_step(values: NDArray[Any]) -> int:
    """Smallest step in counts among the values: 16 for a 12-bit ADC that fills the upper bits."""
    bits = int(np.bitwise_or.reduce(values ^ values.flat[0], axis=None))
    return bits & -bits if bits else 1


def find_peaks(image: ImageArray, sigmas: float, most: int = 4096) -> Float32Array:
    """Peaks of an image above its background, strongest first.

    A 3x3 median removes hot pixels (up to four in a cluster) and tracks one pixel wide, and lowers the noise
    2.4 times.  Background level and noise come from clipped statistics of 64-px tiles and are interpolated
    between them, so that gradients neither hide a spot nor create one.

    Parameters
    ----------
    image : (height, width) uint16
    sigmas : float
        Threshold in standard deviations of the median-filtered noise.
    most : int
        Stop after this many peaks (an image of clouds has very many).

    Returns
    -------
    (n, 3) float32
        x_px, y_px, excess over the threshold in counts.
    """
    smooth = cv2.medianBlur(image, 3)
    height, width = smooth.shape
    rows, columns = max(height // TILE_PX, 1), max(width // TILE_PX, 1)
    level, noise = _tiles(smooth, rows, columns)
    floor = _FLOOR_STEPS * adc_step(smooth[::8, ::8])
    if min(rows, columns) >= 3:  # a tile filled by a saturated beacon uses its neighbours
        usual_level, usual_noise = cv2.medianBlur(level, 3), cv2.medianBlur(noise, 3)
        full = noise > 2 * usual_noise + floor
        level, noise = np.where(full, usual_level, level), np.where(full, usual_noise, noise)
    threshold = (level + sigmas * np.maximum(noise, floor)).astype(np.float32)
    out = np.empty((most, 3), np.float32)
    peaks = out[: _peaks(smooth, threshold, out)]
    return np.asarray(peaks[np.argsort(-peaks[:, 2], kind='stable')])
