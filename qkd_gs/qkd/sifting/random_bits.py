"""Random bits that decide what several clicks of a pulse count as."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qkd_gs.arrays import ByteArray

RandomBits = Callable[[int], ByteArray]
"""Number of bits to as many bits, (n,) uint8 of 0 and 1; each call continues where the last one ended."""


def seeded_bits(generator: np.random.Generator) -> RandomBits:
    """Bits of a numpy generator, for simulated sessions."""
    return lambda count: generator.integers(0, 2, count, np.uint8)
