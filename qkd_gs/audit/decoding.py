"""Contents of the messages, decoded as doc/protocol.md describes them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray


class Undecodable(Exception):
    """A payload that is not what its kind of message must hold."""


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Undecodable(otherwise)


def head(layout: str, payload: bytes) -> tuple[tuple[int, ...], bytes]:
    """Numbers at the beginning of a payload, and the rest of it."""
    size = struct.calcsize(layout)
    _must(len(payload) >= size, 'has no header')
    return struct.unpack(layout, payload[:size]), payload[size:]


def fields(payload: bytes) -> dict[str, Any]:
    """A small message with named fields."""
    try:
        found = json.loads(payload)
    except ValueError as error:
        raise Undecodable('is not JSON') from error
    _must(isinstance(found, dict), 'has no fields')
    return dict(found)


def bits(data: bytes, count: int) -> ByteArray:
    """`count` bits, eight to a byte, the first one highest."""
    _must(len(data) == -(-count // 8), f'has {len(data)} bytes for {count} bits')
    return np.unpackbits(np.frombuffer(data, np.uint8))[:count]


def inflated(data: bytes, size: int) -> ByteArray:
    """Plain bytes of a raw deflate stream; neither more nor fewer than `size`."""
    stream = zlib.decompressobj(wbits=-15)
    try:
        plain = stream.decompress(data, size + 1)
        plain += stream.decompress(stream.unconsumed_tail, 1) if len(plain) <= size else b''
    except zlib.error as error:
        raise Undecodable('does not inflate') from error
    _must(len(plain) == size, f'inflates to another size than {size}')
    return np.frombuffer(plain, np.uint8)


def integers(data: bytes) -> IntArray:
    """Signed numbers in eight planes of bytes, zigzag."""
    (count, *sizes), rest = head('>9I', data)
    _must(sum(sizes) == len(rest), 'has a list of numbers of another length than it says')
    total = np.zeros(count, np.uint64)
    for plane, size in enumerate(sizes):
        total |= inflated(rest[:size], count).astype(np.uint64) << np.uint64(8 * plane)
        rest = rest[size:]
    half = (total >> np.uint64(1)).astype(np.int64)
    return np.where(total & np.uint64(1), -half - 1, half)


def detections(payload: bytes) -> tuple[IntArray, ByteArray]:
    """Pulse numbers and bases of a block."""
    (first, count, size), rest = head('>QII', payload)
    gaps = integers(rest[:size])
    _must(len(gaps) == count - 1 and not (gaps < 1).any(), 'has pulse numbers that do not ascend, or too many or few')
    return first + np.concatenate([np.zeros(1, np.int64), np.cumsum(gaps)]), bits(rest[size:], count)


def intensities(payload: bytes, count: int) -> ByteArray:
    """Intensities of pulses."""
    found = inflated(payload, count)
    _must(not (found > 2).any(), 'has intensities that are none')
    return found


def sift_answer(payload: bytes, count: int) -> tuple[ByteArray, ByteArray]:
    """Matches of `count` detections, and intensities of the matching ones."""
    (match_size, symbol_size, kept, opened), rest = head('>4I', payload)
    match = bits(rest[:match_size], count)
    found = intensities(rest[match_size : match_size + symbol_size], kept)
    fits = len(rest) - match_size - symbol_size == -(-opened // 8)
    _must(kept == int(match.sum()) and fits, 'contradicts its own header')
    _must(opened == int((found > 0).sum()), 'opens other bits than those of decoy and vacuum')
    return match, found
