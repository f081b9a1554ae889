"""Messages between ground and satellite: versioned, numbered, checked frames over any stream of bytes.

A frame is a header of 16 bytes (network byte order) and its payload::

    magic 'QG' | version u8 | kind u8 | sequence u32 | length u32 | CRC-32 u32 of all before it and the payload

The checksum and the numbers find accidents and clumsy meddling at once; what protects against an enemy is
the tag on each phase's transcript (`qkd_gs.qkd.transcript`), for which no number or checksum is a substitute.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from qkd_gs.qkd.link.faults import ProtocolError

VERSION = 1
MAX_PAYLOAD = 16 * 2**20  # bytes; a long matrix of privacy amplification comes in parts of that size
MAGIC = b'QG'
_HEAD = struct.Struct('>2sBBII')
_CRC = struct.Struct('>I')
HEADER_BYTES = _HEAD.size + _CRC.size


class Kind(IntEnum):
    """What a message is."""

    HELLO = 1
    WELCOME = 2
    LOG_REQUEST = 3
    LOG_HEAD = 4
    LOG_BLOCK = 5
    SIFT_HEAD = 6
    DETECTIONS = 7
    SIFT_ANSWER = 8
    ERROR_COUNTS = 9
    PARITY_REQUEST = 10
    PARITY_ANSWER = 11
    VERIFY_REQUEST = 12
    VERIFY_ANSWER = 13
    VERIFY_OUTCOME = 14
    AMPLIFY = 15
    AMPLIFIED = 16
    TAG = 17
    STORED = 18
    REFUSE = 19
    SYNDROMES = 20
    MATRIX = 21


@dataclass(frozen=True)
class Message:
    """One message; its payload may be public, its repr stays short all the same."""

    kind: Kind
    payload: bytes = b''

    def __repr__(self) -> str:
        return f'<{self.kind.name} of {len(self.payload)} bytes>'


class Stream(Protocol):
    """A two-way stream of bytes with time-outs of its own."""

    def write(self, data: bytes) -> None:
        """Send everything, or raise ProtocolError."""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; ProtocolError 'silent' or 'truncated' if they do not come."""

    def close(self) -> None:
        """Idempotent."""


class Channel(Protocol):
    """What the two sessions talk over."""

    def send(self, message: Message) -> None:
        """Send one message."""

    def receive(self) -> Message:
        """Wait for the next message; ProtocolError if it does not come whole and in order."""

    def close(self) -> None:
        """Idempotent."""


class FramedChannel:
    """Frames over a stream.

    Parameters
    ----------
    stream : Stream
        Where the bytes go; closed on the first fault, because a broken stream cannot be trusted again.
    """

    def __init__(self, stream: Stream):
        self._stream = stream
        self._sent = 0
        self._received = 0

    def send(self, message: Message) -> None:
        """Send one message.

        Raises
        ------
        ProtocolError
            The stream broke, or the message is larger than the other side accepts.
        """
        self._stream.write(encode_frame(message, self._sent))
        self._sent += 1

    def receive(self) -> Message:
        """Wait for the next message.

        Raises
        ------
        ProtocolError
            Silence, truncation, damage, a number out of order, another version, an unknown kind.
        """
        try:
            header = self._stream.read(HEADER_BYTES)
            kind, length = _check_header(header, self._received)
            payload = self._stream.read(length)
            if zlib.crc32(payload, zlib.crc32(header[: _HEAD.size])) != _CRC.unpack(header[_HEAD.size :])[0]:
                raise ProtocolError('damaged', f'checksum of message {self._received} is wrong')
        except ProtocolError:
            self.close()
            raise
        self._received += 1
        return Message(kind, payload)

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


def encode_frame(message: Message, sequence: int) -> bytes:
    """Bytes of a message as the `sequence`-th of its direction."""
    if len(message.payload) > MAX_PAYLOAD:
        raise ProtocolError('oversize', f'{message.kind.name} of {len(message.payload)} bytes is over {MAX_PAYLOAD}')
    head = _HEAD.pack(MAGIC, VERSION, message.kind, sequence, len(message.payload))
    return head + _CRC.pack(zlib.crc32(message.payload, zlib.crc32(head))) + message.payload


def _check_header(header: bytes, expected: int) -> tuple[Kind, int]:
    magic, version, kind, sequence, length = _HEAD.unpack(header[: _HEAD.size])
    if magic != MAGIC:
        raise ProtocolError('damaged', 'a message does not start where it should')
    if version != VERSION:
        raise ProtocolError('version', f'the other side speaks version {version}, this one {VERSION}')
    if length > MAX_PAYLOAD:
        raise ProtocolError('oversize', f'a message of {length} bytes is announced, over {MAX_PAYLOAD}')
    if sequence < expected:
        raise ProtocolError('replay', f'message {sequence} came again, {expected} was due')
    if sequence > expected:
        raise ProtocolError('reordered', f'message {sequence} came before {expected}')
    try:
        return Kind(kind), length
    except ValueError as error:
        raise ProtocolError('malformed', f'kind {kind} is not known to version {VERSION}') from error


def expect(channel: Channel, *kinds: Kind) -> Message:
    """Next message, which must be of one of these kinds.

    Raises
    ------
    ProtocolError
        The other side refused (with its reason), or sent something that has no place here.
    """
    message = channel.receive()
    if message.kind in kinds:
        return message
    channel.close()
    if message.kind is Kind.REFUSE:
        reason = message.payload[:200].decode('ascii', 'replace')
        raise ProtocolError('refused', f'the other side ended the run: {"".join(c for c in reason if c.isprintable())}')
    wanted = ' or '.join(kind.name for kind in kinds)
    raise ProtocolError('unexpected', f'{message.kind.name} came where {wanted} was due')
