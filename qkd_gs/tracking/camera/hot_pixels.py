"""Learn a camera's hot pixels from a few frames of a moving or dark sky."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from qkd_gs.arrays import BoolArray, ImageArray
from qkd_gs.errors import StationError

_FEWEST_FRAMES = 5


def learn_hot_pixels(frames: Sequence[ImageArray], sigmas: float = 8.0) -> BoolArray:
    """Pixels that stand out of their neighbours in most frames.

    The median over the frames removes what moves (stars, the beacon, cosmics); what stays and is one or two
    pixels wide is the camera's own.

    Parameters
    ----------
    frames : sequence of (height, width) uint8 or uint16
        At least five, with the telescope moving between them or the shutter closed.
    sigmas : float
        Threshold over the spatial noise of the median frame.

    Returns
    -------
    (height, width) bool
        For `SpotDetector(hot_pixels=...)`.

    Raises
    ------
    StationError
        Too few frames, or frames of different shapes.
    """
    if len(frames) < _FEWEST_FRAMES:
        raise StationError(f'{len(frames)} frames are too few to learn hot pixels', hint=f'take {_FEWEST_FRAMES}')
    if len({(frame.shape, frame.dtype) for frame in frames}) != 1:
        raise StationError('the frames to learn hot pixels from differ in shape or type')
    steady = np.median(np.stack(frames), axis=0).astype(np.float32)
    excess = steady - cv2.medianBlur(steady, 5)
    noise = 1.4826 * float(np.median(np.abs(excess)))
    return np.asarray(excess > sigmas * max(noise, 0.5))
