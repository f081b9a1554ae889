"""Compact codes for data on a slow link: integers, bits, and times of a regular train of pulses."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.qkd.link.faults import ProtocolError

MAX_COUNT = 1 << 22  # numbers in one message; longer lists are sent in several
_BYTES = 8
_HEAD = struct.Struct(f'>I{_BYTES}I')
_LINE = struct.Struct('>qqq')
_SLOPE_SHIFT = 16  # slopes are in 2^-16 ps per pulse


def pack_integers(values: IntArray) -> bytes:
    """Code of signed 64-bit numbers, near their entropy.

    Numbers are mapped to positive ones (zigzag: 0, -1, 1, -2, ...) and divided into planes: all lowest bytes, all
    second bytes, and so on.  A plane is coded by deflate with run lengths and Huffman only, so planes of noise take
    8 bits per number and planes of zeros nothing.
    """
    if len(values) > MAX_COUNT:
        raise ValueError(f'{len(values)} numbers are more than {MAX_COUNT}')
    folded = ((values << 1) ^ (values >> 63)).astype('<i8').view(np.uint8).reshape(-1, _BYTES)
    planes = [_deflate(np.ascontiguousarray(folded[:, plane]).tobytes()) for plane in range(_BYTES)]
    return _HEAD.pack(len(values), *map(len, planes)) + b''.join(planes)


def unpack_integers(data: bytes) -> IntArray:
    """Numbers from `pack_integers`.

    Raises
    ------
    ProtocolError
        Malformed, or too long.
    """
    if len(data) < _HEAD.size:
        raise ProtocolError('malformed', 'a list of numbers has no header')
    count, *sizes = _HEAD.unpack(data[: _HEAD.size])
    if count > MAX_COUNT or _HEAD.size + sum(sizes) != len(data):
        raise ProtocolError('malformed', 'a list of numbers has the wrong length')
    folded = np.empty((count, _BYTES), np.uint8)
    ends = np.cumsum([_HEAD.size, *sizes])
    for plane, (start, end) in enumerate(pairwise(ends)):
        folded[:, plane] = np.frombuffer(_inflate(data[start:end], count), np.uint8)
    numbers = folded.view('<i8').ravel().astype(np.int64)
    unfolded: IntArray = ((numbers >> 1) & np.int64(2**63 - 1)) ^ -(numbers & 1)
    return unfolded


def pack_train(times: IntArray) -> bytes:
    """Code of the times of a regular train of pulses: differences from a straight line through them."""
    if len(times) < 2:
        return _LINE.pack(0, 0, 0) + pack_integers(times)
    steps = np.arange(len(times), dtype=np.int64)
    first = int(times[0])
    slope = round(float(np.polyfit(steps, (times - first).astype(np.float64), 1)[0]) * (1 << _SLOPE_SHIFT))
    if abs(slope) >= 2**62 // len(times):
        raise ValueError('the times are too far apart for a train of pulses')
    rest = times - first - (steps * slope >> _SLOPE_SHIFT)
    offset = int(np.median(rest))
    return _LINE.pack(first, slope, offset) + pack_integers(rest - offset)


def unpack_train(data: bytes) -> IntArray:
    """Times from `pack_train`.

    Raises
    ------
    ProtocolError
        Malformed.
    """
    if len(data) < _LINE.size:
        raise ProtocolError('malformed', 'a train of pulses has no header')
    first, slope, offset = _LINE.unpack(data[: _LINE.size])
    rest = unpack_integers(data[_LINE.size :])
    if len(rest) and abs(slope) >= 2**62 // len(rest):
        raise ProtocolError('malformed', 'a train of pulses has an impossible slope')
    steps = np.arange(len(rest), dtype=np.int64)
    line = np.int64(first) + (steps * slope >> _SLOPE_SHIFT)
    with np.errstate(over='ignore'):  # invalid input gives invalid times, which the checks of the log refuse
        times: IntArray = line + np.int64(offset) + rest
    return times


def pack_bits(bits: ByteArray) -> bytes:
    """Code of bits, eight to a byte; the other side knows their number."""
    return np.packbits(bits).tobytes()


def unpack_bits(data: bytes, count: int) -> ByteArray:
    """`count` bits from `pack_bits`.

    Raises
    ------
    ProtocolError
        The data have another length.
    """
    if len(data) != (count + 7) // 8:
        raise ProtocolError('malformed', f'{len(data)} bytes were received for {count} bits')
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count)


def unpacked(packed: ByteArray, start: int, stop: int) -> ByteArray:
    """Bits from `start` to `stop` of an array with eight bits to a byte."""
    return np.unpackbits(packed[start >> 3 : (stop + 7) >> 3])[start & 7 : (start & 7) + stop - start]


def pack_symbols(symbols: ByteArray) -> bytes:
    """Huffman code of small numbers of unequal frequency."""
    return _deflate(symbols.tobytes())


def unpack_symbols(data: bytes, count: int) -> ByteArray:
    """`count` numbers from `pack_symbols`."""
    return np.frombuffer(_inflate(data, count), np.uint8)


def _deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    return coder.compress(data) + coder.flush()


def _inflate(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes, so that no message can exhaust the memory."""
    decoder = zlib.decompressobj(-15)
    try:
        plain = decoder.decompress(data, size + 1)
        if not decoder.eof and len(plain) <= size:
            plain += decoder.decompress(decoder.unconsumed_tail, 1)
    except zlib.error as error:
        raise ProtocolError('malformed', 'a coded list does not decode') from error
    if len(plain) != size or not decoder.eof or decoder.unused_data:
        raise ProtocolError('malformed', 'a coded list has the wrong length')
    return plain
