"""Images in FITS as cameras of INDI send them: one plane of 8 or 16 bits.

FITS Standard 4.0, section 4: a header in records of 2880 bytes with cards of 80, then the data, big-endian.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qkd_gs.arrays import ImageArray

_RECORD, _CARD = 2880, 80
_TYPES: dict[int, np.dtype[Any]] = {8: np.dtype('u1'), 16: np.dtype('>i2')}


def image_of(data: bytes) -> ImageArray:
    """Image (height, width), counts.

    Raises
    ------
    ValueError
        No FITS, or not one plane of 8 or 16 bits.
    """
    cards, size = _header(data)
    try:
        bits, axes = int(cards['BITPIX']), int(cards['NAXIS'])
        width, height = int(cards['NAXIS1']), int(cards['NAXIS2'])
        zero, scale = float(cards.get('BZERO', '0')), float(cards.get('BSCALE', '1'))
    except KeyError as error:
        raise ValueError(f'an image in FITS without {error.args[0]}') from error
    kind = _TYPES.get(bits)
    if kind is None or axes != 2 or scale != 1 or zero not in (0, 32768) or width < 1 or height < 1:
        raise ValueError(f'an image in FITS of {axes} axes and {bits} bits, scaled by {scale:g} from {zero:g}')
    if len(data) - size < width * height * kind.itemsize:
        raise ValueError(f'an image in FITS of {width} x {height} pixels ends early')
    counts = np.frombuffer(data, kind, width * height, size).reshape(height, width)
    if kind.itemsize == 1:
        return np.asarray(counts, np.uint16)
    image: ImageArray = counts.astype(np.int16).view(np.uint16) + np.uint16(zero)  # it wraps, as two's complement does
    return image


def _header(data: bytes) -> tuple[dict[str, str], int]:
    """Values of the header by keyword, and where the data begin."""
    cards: dict[str, str] = {}
    if not data.startswith(b'SIMPLE  ='):
        raise ValueError('an image that is not in FITS')
    for at in range(0, len(data) - _CARD + 1, _CARD):
        card = data[at : at + _CARD].decode('latin-1')
        keyword = card[:8].rstrip()
        if keyword == 'END':
            return cards, (at // _RECORD + 1) * _RECORD
        if card[8:10] == '= ':
            cards.setdefault(keyword, card[10:].partition('/')[0].strip())
    raise ValueError('a header of FITS without an end')
