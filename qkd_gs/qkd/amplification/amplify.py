"""Privacy amplification: a random Toeplitz matrix compresses the corrected key.

Toeplitz matrices are a universal family (Krawczyk, CRYPTO '94), so the leftover hash lemma holds for them.  The
product over GF(2) is a window of a convolution, which FFTs compute in floating point as counts of coinciding ones;
only the parity of a count is kept.  The result is exact: for 0/1 sequences the error of an FFT convolution of length L
stays below |x| |s| 13 log2(L) 1.2e-16 (after Percival, Math. Comp. 72, 387 (2003), with twiddle factors accurate to
two units in the last place), where |x| <= sqrt(n) and |s| <= sqrt(L) are Euclidean norms.  With blocks of 2^20 bits,
accumulated over a key of 1e7 bits, this is 3e-7, far below the 0.5 that would flip a bit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, irfft, next_fast_len, rfft

from qkd_gs.arrays import ByteArray, FloatArray, IntArray
from qkd_gs.qkd.link.codes import unpacked
from qkd_gs.qkd.sifting.packed_bits import PackedBits

Spectrum = NDArray[np.complex128]

_BLOCK_BITS = 1 << 20  # larger matrices are divided into blocks of this side, for memory and cache
_AT_ONCE = 2  # blocks of rows; two spectra of 17 MB each are held per block
_STEP = 64
_MAX_ROUNDING = 0.25  # never reached, by the bound above; guards against a faulty FFT library


def toeplitz(bits: ByteArray, seed_bits: ByteArray, out_len: int) -> ByteArray:
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
        Lengths do not match, or a value is not 0 or 1.

    Examples
    --------
    >>> import numpy as np, qkd_gs
    >>> key, seed = np.array([1, 0, 1, 1], np.uint8), np.array([1, 1, 0, 1, 0], np.uint8)
    >>> qkd_gs.toeplitz(key, seed, 2)
    array([1, 1], dtype=uint8)
    """
    seed = _checked(seed_bits, 'seed_bits')
    if out_len > 0 and len(bits) and len(seed) != out_len + len(bits) - 1:
        raise ValueError(
            f'{len(seed)} seed bits, but {out_len} rows and {len(bits)} columns need {out_len + len(bits) - 1}'
        )
    return toeplitz_packed(PackedBits.of(_checked(bits, 'bits')), np.packbits(seed), out_len)[:]


def toeplitz_packed(key: PackedBits, seed: ByteArray, out_len: int) -> PackedBits:
    """`toeplitz` with packed bits, so that a long key is never unpacked as a whole."""
    n = len(key)
    if out_len < 0:
        raise ValueError(f'out_len {out_len} is negative')
    if out_len == 0 or n == 0:
        return PackedBits.zeros(out_len)
    if len(seed) != -(-(out_len + n - 1) // 8):
        raise ValueError(f'{len(seed)} bytes of seed bits do not match {out_len} rows and {n} columns')
    if n + out_len - 1 <= 2 * _BLOCK_BITS:
        return _by_blocks(key, seed, out_len, rows=out_len, columns=n)
    return _by_blocks(key, seed, out_len, rows=min(out_len, _BLOCK_BITS), columns=min(n, _BLOCK_BITS))


def compress(key: PackedBits, secret_bits: int, seed: bytes) -> PackedBits:
    """Secret key of `secret_bits` bits from a corrected key and a seed of `key_request.matrix_bytes` bytes."""
    if not secret_bits:
        return PackedBits.zeros(0)
    return toeplitz_packed(key, np.frombuffer(seed, np.uint8), secret_bits)


def _by_blocks(key: PackedBits, seed: ByteArray, out_len: int, rows: int, columns: int) -> PackedBits:
    """Product by blocks: each block of rows is a sum over blocks of columns, computed in the frequency domain."""
    transform = _Transform(rows + columns - 1)
    out = PackedBits.zeros(out_len)
    for down in range(0, out_len, _AT_ONCE * rows):
        tops = range(down, min(down + _AT_ONCE * rows, out_len), rows)
        totals = _totals(transform, key, seed, len(key) + out_len - 1, tops, columns)
        for top in tops:
            counts = transform.backward(totals.pop(top))[columns - 1 : columns - 1 + rows]
            out[top : top + rows] = _parity(counts[: out_len - top])
    return out


def _totals(
    transform: _Transform, key: PackedBits, seed: ByteArray, seed_bits: int, tops: range, columns: int
) -> dict[int, Spectrum]:
    """Spectra of the blocks of rows that start at `tops`."""
    totals = {top: transform.nothing() for top in tops}
    windows: dict[int, Spectrum] = {}
    for left in range(0, len(key), columns):
        # T[i, j] = seed[first + (i - top) - (j - left) + columns - 1]: blocks on a diagonal share their seed bits
        for passed in windows.keys() - {top - left for top in tops}:
            del windows[passed]
        for diagonal in [top - left for top in tops if top - left not in windows]:
            first = diagonal + len(key) - columns
            stop = min(first + tops.step + columns - 1, seed_bits)
            windows[diagonal] = transform.forward(unpacked(seed, max(first, 0), stop), lead=max(-first, 0))
        with key.plain(slice(left, left + columns)) as part:
            spectrum = transform.forward(part)
        for top in tops:
            _add_product(totals[top], windows[top - left], spectrum)
        del spectrum  # frees its memory before the next one is made
    return totals


def _add_product(total: Spectrum, one: Spectrum, other: Spectrum) -> None:
    for row in range(len(total)):  # row by row: the intermediate product stays in the cache
        total[row] += one[row] * other[row]


class _Transform:
    """Cyclic convolutions of at least `length`: a long FFT as two passes of short ones (Bailey's four-step FFT).

    The short transforms stay in the cache and are vectorized, which is twice as fast as one long transform.
    The spectrum is permuted; convolutions do not depend on its order.
    """

    def __init__(self, length: int):
        self.rows = 1 << max(1, min(8, length.bit_length() // 2))
        self.columns = int(next_fast_len(-(-length // self.rows)))
        self._twiddle = _twiddle(self.rows, self.columns)

    def nothing(self) -> Spectrum:
        """Spectrum of zeros."""
        return np.zeros_like(self._twiddle)

    def forward(self, bits: ByteArray, lead: int = 0) -> Spectrum:
        """Spectrum of bits, padded with `lead` zeros before them and with zeros behind."""
        padded = np.zeros(self.rows * self.columns)
        padded[lead : lead + len(bits)] = bits
        spectrum = rfft(padded.reshape(self.rows, self.columns), axis=0)
        del padded  # as large as a spectrum
        spectrum *= self._twiddle
        return np.asarray(fft(spectrum, axis=1, overwrite_x=True))

    def backward(self, spectrum: Spectrum) -> FloatArray:
        """Sequence of a spectrum; the spectrum is overwritten."""
        half = ifft(spectrum, axis=1, overwrite_x=True)
        for row in range(len(half)):  # a second table would be as large as a spectrum
            half[row] *= self._twiddle[row].conj()
        return np.asarray(irfft(half, n=self.rows, axis=0, overwrite_x=True)).ravel()


@lru_cache(maxsize=1)
def _twiddle(rows: int, columns: int) -> Spectrum:
    # a product of two short tables: one exponential for each entry would take longer than the transforms
    row = np.arange(rows // 2 + 1)
    coarse = _roots_of_unity(np.outer(row, _STEP * np.arange(-(-columns // _STEP))), rows * columns)
    fine = _roots_of_unity(np.outer(row, np.arange(_STEP)), rows * columns)
    return (coarse[:, :, None] * fine[:, None, :]).reshape(len(row), -1)[:, :columns].copy()


def _roots_of_unity(numerator: IntArray, denominator: int) -> Spectrum:
    return np.asarray(np.exp(-2j * np.pi / denominator * (numerator % denominator)))


def _parity(counts: FloatArray) -> ByteArray:
    whole = np.rint(counts)
    counts = counts - whole
    if np.abs(counts).max() > _MAX_ROUNDING:
        raise ArithmeticError('the rounding errors of the FFT exceed their theoretical bound')
    return (whole.astype(np.int64) & 1).astype(np.uint8)


def _checked(bits: ByteArray, name: str) -> ByteArray:
    array = np.asarray(bits)
    if array.ndim != 1 or array.dtype != np.uint8:
        raise ValueError(f'{name} must be one-dimensional uint8, not {array.dtype} of shape {array.shape}')
    if array.size and array.max() > 1:
        raise ValueError(f'{name} must be 0 or 1')
    return array
