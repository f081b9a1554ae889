"""Random bits that decide what several clicks of a pulse count as."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from qkd_gs.arrays import ByteArray

RandomBits = Callable[[int], ByteArray]
"""Number of bits to as many bits, (n,) uint8 of 0 and 1; each call continues where the last one ended."""


def keyed_bits(key: bytes) -> RandomBits:
    """Bits expanded from a secret key of 32 bytes (AES-256 in counter mode): the same key gives the same bits.

    A repeated run of a session must draw what the first one drew, and nobody else may know it: the bit of a double
    click and the public error pattern together tell the satellite's bit.
    """
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def bits(count: int) -> ByteArray:
        drawn = stream.update(bytes(-(-count // 8)))
        return np.unpackbits(np.frombuffer(drawn, np.uint8), count=count)

    return bits


def seeded_bits(generator: np.random.Generator) -> RandomBits:
    """Bits of a numpy generator, for simulated sessions."""
    return lambda count: generator.integers(0, 2, count, np.uint8)
