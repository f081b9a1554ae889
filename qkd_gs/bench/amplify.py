"""Privacy amplification: Toeplitz hashing of 1e6 bits to 5e5, beside plain FFTs of scipy."""

from __future__ import annotations

from time import process_time
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.amplification.amplify import toeplitz

KEY_BITS = 1_000_000
OUT_BITS = 500_000
REPEATS = 7


def run(key_bits: int = KEY_BITS, out_bits: int = OUT_BITS) -> dict[str, Any]:
    """Best processor times of several runs (one thread), and whether both agree bit by bit."""
    rng = np.random.default_rng(20200807)
    bits = rng.integers(0, 2, key_bits, dtype=np.uint8)
    seed_bits = rng.integers(0, 2, key_bits + out_bits - 1, dtype=np.uint8)
    first = process_time()
    ours = toeplitz(bits, seed_bits, out_bits)
    first = process_time() - first
    ours_s, plain_s = [], []
    for _ in range(REPEATS):
        begin = process_time()
        ours = toeplitz(bits, seed_bits, out_bits)
        middle = process_time()
        plain = _plain_fft(bits, seed_bits, out_bits)
        ours_s.append(middle - begin)
        plain_s.append(process_time() - middle)
    return {
        'key_bits': key_bits,
        'out_bits': out_bits,
        'seconds': min(ours_s),
        'seconds_first_call': first,
        'seconds_scipy_fft': min(plain_s),
        'bit_exact': bool(np.array_equal(ours, plain)),
    }


def _plain_fft(bits: ByteArray, seed_bits: ByteArray, out_len: int) -> ByteArray:
    length = next_fast_len(len(seed_bits), real=True)
    product = rfft(seed_bits.astype(np.float64), length) * rfft(bits.astype(np.float64), length)
    counts = irfft(product, length)[len(bits) - 1 : len(bits) - 1 + out_len]
    parities: ByteArray = (np.rint(counts).astype(np.int64) & 1).astype(np.uint8)
    return parities
