"""Privacy amplification: a random Toeplitz matrix compresses the corrected key.

Toeplitz matrices are a universal family (Krawczyk, CRYPTO '94), so the leftover hash lemma holds for them.  The
product over GF(2) is a window of a convolution, which FFTs compute in floating point as counts of coinciding ones;
only their parity is kept.  Why that is exact: for 0/1 sequences the error of an FFT convolution of length L stays
below |x| |s| 13 log2(L) 1.2e-16 (after Percival, Math. Comp. 72, 387 (2003), with twiddle factors good to two units
in the last place), |x| <= sqrt(n) and |s| <= sqrt(L) being Euclidean norms.  With blocks of 2^20 bits, accumulated
over a key of 1e7 bits, that is 3e-7, far from the 0.5 that would turn a bit.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, irfft, next_fast_len, rfft

from qkd_gs.qkd.codes import unpacked

Bits = NDArray[np.uint8]

_BLOCK_BITS = 1 << 20  # larger matrices are cut into blocks of this side: bounds the memory, and fits the cache better
_AT_ONCE = 4  # blocks of rows and of columns whose spectra are held, 17 MB each
_STEP = 64
_MAX_ROUNDING = 0.25  # never reached, by the bound above; a broken FFT library must not make two different keys


def toeplitz(bits: Bits, seed_bits: Bits, out_len: int) -> Bits:
    """Product of a Toeplitz matrix and a key over GF(2).

    Parameters
    ----------
    bits : (n,) uint8
        The key, 0 or 1.
    seed_bits : (out_len + n - 1,) uint8
        The matrix: ``T[i, j] = seed_bits[i - j + n - 1]``.
    out_len : int
        Rows of the matrix, 0 or more.

    Returns
    -------
    (out_len,) uint8

    Raises
    ------
    ValueError
        If lengths do not match or a value is not 0 or 1.
    """
    seed = _checked(seed_bits, 'seed_bits')
    if out_len > 0 and len(bits) and len(seed) != out_len + len(bits) - 1:
        raise ValueError(
            f'{len(seed)} seed bits, but {out_len} rows and {len(bits)} columns need {out_len + len(bits) - 1}'
        )
    return toeplitz_packed(bits, np.packbits(seed), out_len)


def toeplitz_packed(bits: Bits, seed: Bits, out_len: int) -> Bits:
    """`toeplitz` with eight bits of the seed a byte: that of a long key is never unpacked as a whole."""
    key = _checked(bits, 'bits')
    n = len(key)
    if out_len < 0:
        raise ValueError(f'out_len {out_len} is negative')
    if out_len == 0 or n == 0:
        return np.zeros(out_len, np.uint8)
    if len(seed) != -(-(out_len + n - 1) // 8):
        raise ValueError(f'{len(seed)} bytes of seed bits do not go with {out_len} rows and {n} columns')
    if n + out_len - 1 <= 2 * _BLOCK_BITS:
        return _by_blocks(key, seed, out_len, rows=out_len, columns=n)
    return _by_blocks(key, seed, out_len, rows=min(out_len, _BLOCK_BITS), columns=min(n, _BLOCK_BITS))


def _by_blocks(key: Bits, seed: Bits, out_len: int, rows: int, columns: int) -> Bits:
    """Each block of rows is a sum over blocks of columns, taken in the frequency domain, some of each at a time."""
    transform = _Transform(rows + columns - 1)
    out = np.empty(out_len, np.uint8)
    for down in range(0, out_len, _AT_ONCE * rows):
        tops = range(down, min(down + _AT_ONCE * rows, out_len), rows)
        totals: dict[int, NDArray[np.complex128]] = {}
        for across in range(0, len(key), _AT_ONCE * columns):
            lefts = range(across, min(across + _AT_ONCE * columns, len(key)), columns)
            _add_blocks(transform, key, seed, len(key) + out_len - 1, tops, lefts, columns, totals)
        for top in tops:
            counts = transform.backward(totals.pop(top))[columns - 1 : columns - 1 + rows]
            out[top : top + rows] = _parity(counts[: out_len - top])
    return out


def _add_blocks(
    transform: _Transform,
    key: Bits,
    seed: Bits,
    total_bits: int,
    tops: range,
    lefts: range,
    columns: int,
    totals: dict[int, NDArray[np.complex128]],
) -> None:
    """Add what these columns contribute to these rows."""
    spectra = {left: transform.forward(key[left : left + columns]) for left in lefts}
    # T[i, j] = seed[first + (i - top) - (j - left) + columns - 1]: blocks along a diagonal share their seed bits
    corners = sorted((top - left, top, left) for top in tops for left in lefts)
    for diagonal, blocks in groupby(corners, key=itemgetter(0)):
        first = diagonal + len(key) - columns
        stop = min(first + tops.step + columns - 1, total_bits)
        window = transform.forward(unpacked(seed, max(first, 0), stop), lead=max(-first, 0))
        for _, top, left in blocks:
            part = window * spectra[left]
            totals[top] = np.add(totals[top], part, out=totals[top]) if top in totals else part


class _Transform:
    """Cyclic convolutions of at least `length`: a long FFT as two sweeps of short ones (Bailey's four steps).

    The short transforms stay in the cache and run on vectors, which makes the whole twice as fast as one long one.
    The spectrum comes out permuted; for convolutions its order does not matter.
    """

    def __init__(self, length: int):
        self.rows = 1 << max(1, min(8, length.bit_length() // 2))
        self.columns = int(next_fast_len(-(-length // self.rows)))
        self._twiddle, self._untwiddle = _twiddles(self.rows, self.columns)

    def forward(self, bits: Bits, lead: int = 0) -> NDArray[np.complex128]:
        """Spectrum of bits, `lead` zeros before them and zeros behind."""
        padded = np.zeros(self.rows * self.columns)
        padded[lead : lead + len(bits)] = bits
        spectrum = rfft(padded.reshape(self.rows, self.columns), axis=0)
        spectrum *= self._twiddle
        return np.asarray(fft(spectrum, axis=1, overwrite_x=True))

    def backward(self, spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
        """The sequence of a spectrum, which is overwritten."""
        half = ifft(spectrum, axis=1, overwrite_x=True)
        half *= self._untwiddle
        return np.asarray(irfft(half, n=self.rows, axis=0, overwrite_x=True)).ravel()


@lru_cache(maxsize=1)
def _twiddles(rows: int, columns: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    # a product of two short tables: an exponential for each entry would take longer than the transforms
    row = np.arange(rows // 2 + 1)
    coarse = _roots_of_unity(np.outer(row, _STEP * np.arange(-(-columns // _STEP))), rows * columns)
    fine = _roots_of_unity(np.outer(row, np.arange(_STEP)), rows * columns)
    twiddle = (coarse[:, :, None] * fine[:, None, :]).reshape(len(row), -1)[:, :columns].copy()
    return twiddle, twiddle.conj()


def _roots_of_unity(numerator: NDArray[np.int64], denominator: int) -> NDArray[np.complex128]:
    return np.asarray(np.exp(-2j * np.pi / denominator * (numerator % denominator)))


def _parity(counts: NDArray[np.float64]) -> Bits:
    whole = np.rint(counts)
    counts = counts - whole
    if np.abs(counts).max() > _MAX_ROUNDING:
        raise ArithmeticError('rounding errors of the FFT are larger than they can be')
    return (whole.astype(np.int64) & 1).astype(np.uint8)


def _checked(bits: Bits, name: str) -> Bits:
    array = np.asarray(bits)
    if array.ndim != 1 or array.dtype != np.uint8:
        raise ValueError(f'{name} must be one-dimensional uint8, not {array.dtype} of shape {array.shape}')
    if array.size and array.max() > 1:
        raise ValueError(f'{name} must be 0 or 1')
    return array
