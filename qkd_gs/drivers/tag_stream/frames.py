"""Frames of the tag stream: a header of 32 bytes and a payload; integers are little-endian."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray

MAGIC = b'QTAG'
VERSION = 1
LONGEST = 1 << 22  # bytes of a payload
_HEADER = struct.Struct('<4sBBHIIQII')  # magic, version, kind, flags, run, sequence, end, length, CRC
HEADER_BYTES = _HEADER.size
_TIME_BITS = 56
MOST_TICKS = 1 << _TIME_BITS


class Kind(IntEnum):
    """Kinds of frames."""

    HELLO = 1  # TDC: once after the connection; payload: JSON
    START = 2  # station: begin the run of the header
    STARTED = 3  # TDC: the clock of the run begins
    TAGS = 4  # TDC: all tags from the end of the frame before to the end of this one
    ALIVE = 5  # TDC: nothing to send; at least every 0.2 s
    STOP = 6  # station: end the run


class Flag(IntFlag):
    """Flags of a frame of the TDC."""

    OVERFLOW = 1  # tags between the end of the frame before and this one are lost
    UNLOCKED = 2  # the external reference of the clock is missing


_NO_FLAGS = Flag(0)


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes
    ----------
    run : int
        Chosen by the station in START; a TDC repeats it. 0: none.
    sequence : int
        Of TAGS frames in their run: 0, 1, 2 ... modulo 2^32; of others: the one that the next TAGS frame will have.
    end_ticks : int
        Ticks since the run began, before which no further tag will come.
    """

    kind: Kind
    flags: Flag = _NO_FLAGS
    run: int = 0
    sequence: int = 0
    end_ticks: int = 0
    payload: bytes = b''


class BrokenStream(ValueError):
    """The bytes are no frames of this protocol; what follows cannot be told apart any more."""


def encode(frame: Frame) -> bytes:
    """Bytes of a frame."""

    def header(crc: int) -> bytes:
        numbers = frame.run, frame.sequence, frame.end_ticks, len(frame.payload), crc
        return _HEADER.pack(MAGIC, VERSION, frame.kind, frame.flags, *numbers)

    return header(zlib.crc32(frame.payload, zlib.crc32(header(0)))) + frame.payload


class FrameReader:
    """Frames out of a stream of bytes."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Frames that are complete with `data`.

        Raises
        ------
        BrokenStream
            Wrong magic, version, kind, length or CRC.
        """
        self._data += data
        frames, at = [], 0
        while len(self._data) - at >= HEADER_BYTES:
            magic, version, kind, flags, run, sequence, end, length, crc = _HEADER.unpack_from(self._data, at)
            if magic != MAGIC:
                raise BrokenStream(f'a frame begins with {bytes(magic)!r}')
            if version != VERSION:
                raise BrokenStream(f'version {version} of the stream, not {VERSION}')
            if length > LONGEST:
                raise BrokenStream(f'a payload of {length} bytes')
            end_at = at + HEADER_BYTES + length
            if len(self._data) < end_at:
                break
            head = bytearray(self._data[at : at + HEADER_BYTES])
            head[-4:] = bytes(4)
            payload = bytes(self._data[at + HEADER_BYTES : end_at])
            if zlib.crc32(payload, zlib.crc32(head)) != crc:
                raise BrokenStream('the CRC of a frame is wrong')
            if kind not in set(Kind):
                raise BrokenStream(f'unknown kind {kind} of a frame')
            frames.append(Frame(Kind(kind), Flag(flags), run, sequence, end, payload))
            at = end_at
        del self._data[:at]
        return frames


def pack_tags(ticks: IntArray, inputs: ByteArray) -> bytes:
    """Payload of a TAGS frame: 8 bytes a tag, ticks in the upper 56 bits, input (from 1) in the lower 8."""
    words: bytes = ((ticks.astype(np.uint64) << np.uint64(8)) | inputs.astype(np.uint64)).astype('<u8').tobytes()
    return words


def unpack_tags(payload: bytes) -> tuple[IntArray, ByteArray]:
    """Ticks and inputs of a TAGS frame.

    Raises
    ------
    BrokenStream
        The payload is no whole number of tags.
    """
    if len(payload) % 8:
        raise BrokenStream(f'{len(payload)} bytes of tags')
    words = np.frombuffer(payload, '<u8')
    return (words >> np.uint64(8)).astype(np.int64), (words & np.uint64(0xFF)).astype(np.uint8)
