"""Imbalances of the four detectors: between the two of a basis, and between the bases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray

PAIRS = (('H', 'V'), ('D', 'A'), ('HV', 'DA'))


def imbalances(clicks: IntArray | AnyFloatArray | Sequence[float]) -> AnyFloatArray:
    """Difference over sum of H and V, of D and A, and of both bases, (3,)."""
    h, v, d, a = (float(count) for count in clicks)
    pairs = np.array([(h, v), (d, a), (h + v, d + a)])
    balance: AnyFloatArray = (pairs[:, 0] - pairs[:, 1]) / np.maximum(pairs.sum(axis=1), 1e-9)
    return balance
