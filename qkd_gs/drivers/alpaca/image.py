"""Images as cameras of Alpaca send them: ImageBytes, or an ImageArray in JSON.

ImageBytes (ASCOM, "Alpaca ImageBytes", metadata version 1): eleven little-endian 32-bit integers (version, error, two
transaction numbers, begin of the data, type of the image's elements and of those transmitted, rank, three dimensions),
then the elements, little-endian.  In both forms the first index counts the columns of the image and the second one its
rows, and the second one changes fastest.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from qkd_gs.arrays import ImageArray

IMAGE_BYTES = 'application/imagebytes'
_HEADER = struct.Struct('<iiIIiiiiiii')
_VERSION = 1
_TYPES = {1: '<i2', 2: '<i4', 3: '<f8', 4: '<f4', 5: '<u8', 6: 'u1', 7: '<i8', 8: '<u2', 9: '<u4'}
_MOST = 65535


def image_of(content_type: str, body: bytes) -> ImageArray:
    """Image (height, width), counts.

    Raises
    ------
    ValueError
        An error of the camera, no image, or not one plane of counts from 0 to 65535.
    """
    values = _of_bytes(body) if content_type.startswith(IMAGE_BYTES) else _of_json(body)
    if values.dtype.kind == 'f' and not np.array_equal(values, np.rint(values)):
        raise ValueError('an image whose values are no counts')
    if values.min() < 0 or values.max() > _MOST:
        raise ValueError(f'an image with counts from {values.min():g} to {values.max():g}')
    return np.ascontiguousarray(values.T, np.uint16)


def _of_bytes(body: bytes) -> np.ndarray[Any, Any]:
    """Elements by column and row."""
    if len(body) < _HEADER.size:
        raise ValueError(f'an image of {len(body)} bytes has no header')
    version, error, _, _, start, _, kind, rank, columns, rows, _ = _HEADER.unpack_from(body)
    if version != _VERSION:
        raise ValueError(f'an image with a header of version {version}')
    if not _HEADER.size <= start <= len(body):
        raise ValueError(f'an image whose data begin at {start}')
    if error:
        raise ValueError(f'the camera tells an error {error:#x}: {body[start:][:200].decode("utf-8", "replace")}')
    if kind not in _TYPES or rank != 2 or columns < 1 or rows < 1:
        raise ValueError(f'an image of type {kind} and {rank} dimensions, {columns} x {rows}')
    elements = np.dtype(_TYPES[kind])
    if len(body) - start < columns * rows * elements.itemsize:
        raise ValueError(f'an image of {columns} x {rows} pixels ends early')
    return np.frombuffer(body, elements, columns * rows, start).reshape(columns, rows)


def _of_json(body: bytes) -> np.ndarray[Any, Any]:
    """Elements by column and row."""
    try:
        told = json.loads(body)
        error, message = int(told.get('ErrorNumber') or 0), told.get('ErrorMessage')
    except (ValueError, AttributeError, TypeError) as broken:
        raise ValueError('an image that is neither ImageBytes nor JSON of Alpaca') from broken
    if error:
        raise ValueError(f'the camera tells an error {error:#x}: {message}')
    try:
        values = np.asarray(told.get('Value'))
    except ValueError as ragged:
        raise ValueError('an image in JSON with columns of different lengths') from ragged
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in 'iuf':
        raise ValueError(f'an image in JSON of {values.ndim} dimensions')
    return values
