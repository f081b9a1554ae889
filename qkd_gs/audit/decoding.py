"""Contents of the messages, decoded as doc/protocol.md describes them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Bits = NDArray[np.uint8]


class Undecodable(Exception):
    """A payload that is not what its kind of message must hold."""


def fields(payload: bytes) -> dict[str, Any]:
    """A small message with named fields."""
    try:
        found = json.loads(payload)
    except ValueError as error:
        raise Undecodable('is not JSON') from error
    if not isinstance(found, dict):
        raise Undecodable('has no fields')
    return found


def bits(data: bytes, count: int) -> Bits:
    """`count` bits, eight to a byte, the first one highest."""
    if len(data) != -(-count // 8):
        raise Undecodable(f'has {len(data)} bytes for {count} bits')
    return np.unpackbits(np.frombuffer(data, np.uint8))[:count]


def inflated(data: bytes, size: int) -> bytes:
    """Plain bytes of a raw deflate stream; neither more nor fewer than `size`."""
    stream = zlib.decompressobj(wbits=-15)
    try:
        plain = stream.decompress(data, size + 1)
        plain += stream.decompress(stream.unconsumed_tail, 1) if len(plain) <= size else b''
    except zlib.error as error:
        raise Undecodable('does not inflate') from error
    if len(plain) != size:
        raise Undecodable(f'inflates to another size than {size}')
    return plain


def integers(data: bytes) -> Integers:
    """Signed numbers in eight planes of bytes, zigzag."""
    if len(data) < 36:
        raise Undecodable('has no list of numbers')
    count, *sizes = struct.unpack('>9I', data[:36])
    if 36 + sum(sizes) != len(data):
        raise Undecodable('has a list of numbers of another length than it says')
    total, at = np.zeros(count, np.uint64), 36
    for plane, size in enumerate(sizes):
        column = np.frombuffer(inflated(data[at : at + size], count), np.uint8)
        total |= column.astype(np.uint64) << np.uint64(8 * plane)
        at += size
    half = (total >> np.uint64(1)).astype(np.int64)
    return np.where(total & np.uint64(1), -half - 1, half)


def detections(payload: bytes) -> tuple[Integers, Bits]:
    """Pulse numbers and bases of a block."""
    if len(payload) < 16:
        raise Undecodable('has no header')
    first, count, size = struct.unpack('>QII', payload[:16])
    gaps = integers(payload[16 : 16 + size])
    if len(gaps) != count - 1 or (gaps < 1).any():
        raise Undecodable('has pulse numbers that do not ascend, or another number of them than it says')
    pulses = first + np.concatenate([np.zeros(1, np.int64), np.cumsum(gaps)])
    return pulses, bits(payload[16 + size :], count)


def sift_answer(payload: bytes, count: int) -> tuple[Bits, Bits, int]:
    """Matches of `count` detections, intensities of the matching ones, and the number of opened bits."""
    if len(payload) < 16:
        raise Undecodable('has no header')
    match_size, symbol_size, kept, opened = struct.unpack('>4I', payload[:16])
    match = bits(payload[16 : 16 + match_size], count)
    rest = payload[16 + match_size + symbol_size :]
    intensity = np.frombuffer(inflated(payload[16 + match_size : 16 + match_size + symbol_size], kept), np.uint8)
    if kept != int(match.sum()) or len(rest) != -(-opened // 8):
        raise Undecodable('contradicts its own header')
    if (intensity > 2).any() or opened != int((intensity > 0).sum()):
        raise Undecodable('has intensities that are none, or opens other bits than those of decoy and vacuum')
    return match, intensity, opened


def train_length(payload: bytes) -> int:
    """Number of pulses in a block of the beacon log."""
    return len(integers(payload[24:]))


def intensities(payload: bytes, count: int) -> Bits:
    """Intensities of a block of disclosed pulses."""
    found = np.frombuffer(inflated(payload, count), np.uint8)
    if len(found) != count or (found > 2).any():
        raise Undecodable('has intensities that are none, or another number of them')
    return found


def queries(payload: bytes) -> int:
    """Number of parities that a query asks for."""
    return len(integers(payload[4:]))


def key_request(payload: bytes) -> tuple[int, int, int]:
    """Secret bits, disclosed bits, and bytes of the matrix so far."""
    if len(payload) < 16:
        raise Undecodable('has no header')
    secret, disclosed = struct.unpack('>QQ', payload[:16])
    return secret, disclosed, len(payload) - 16
