"""Type aliases of numpy arrays, one for each element type; shapes and units stand where they are used."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
"""Measured or computed quantities."""

Float32Array = NDArray[np.float32]
"""Quantities where speed or memory counts more than digits: images on their way, log-likelihood ratios."""

AnyFloatArray = NDArray[np.floating[Any]]
"""Quantities in either precision."""

IntArray = NDArray[np.int64]
"""Times in ns or ps, pulse numbers, counts, indices."""

ByteArray = NDArray[np.uint8]
"""Bits (one a byte, 0 or 1), bases, intensities, channels of a TDC."""

BoolArray = NDArray[np.bool_]
"""Masks."""

ImageArray = NDArray[np.uint16]
"""Images of a camera, (height, width), in ADU."""

FloatOrArray = TypeVar('FloatOrArray', float, FloatArray)
"""One number or an array of them: what goes in comes out."""
