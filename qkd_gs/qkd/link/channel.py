"""Messages between ground and satellite as packets over a stream of bytes, with version, number and checksum.

A packet is a header of 16 bytes (network byte order) and its payload::

    magic 'QG' | version u8 | kind u8 | sequence u32 | length u32 | CRC-32 u32 of all before it and the payload

Checksum and sequence number detect transmission errors.  They do not protect against an attacker; the tags on the
transcript do (`qkd_gs.qkd.link.auth`).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from qkd_gs.qkd.link.faults import ProtocolError

VERSION = 2
MAX_PAYLOAD = 16 * 2**20  # bytes; a larger matrix of privacy amplification is sent in several messages
MAGIC = b'QG'
_HEAD = struct.Struct('>2sBBII')
_CRC = struct.Struct('>I')
HEADER_BYTES = _HEAD.size + _CRC.size


class Kind(IntEnum):
    """Kinds of messages."""

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
    CONFIRMED = 22
    JOIN = 23
    JOINED = 24
    REPEATED = 25
    CORRECT = 26


@dataclass(frozen=True)
class Message:
    """One message; its repr shows only kind and length."""

    kind: Kind
    payload: bytes = b''

    def __repr__(self) -> str:
        return f'<{self.kind.name} of {len(self.payload)} bytes>'


class Stream(Protocol):
    """A bidirectional stream of bytes with its own time-outs."""

    def write(self, data: bytes) -> None:
        """Send all bytes, or raise ProtocolError."""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; ProtocolError 'silent' or 'truncated' if they do not arrive."""

    def close(self) -> None:
        """Close the stream; may be called repeatedly."""


class Channel(Protocol):
    """Transport of messages between the two sides."""

    def send(self, message: Message) -> None:
        """Send one message."""

    def receive(self) -> Message:
        """Wait for the next message; ProtocolError if it is not complete and in order."""

    def close(self) -> None:
        """Close the channel; may be called repeatedly."""


class PacketChannel:
    """Channel of packets over a stream.

    Parameters
    ----------
    stream : Stream
        Transport of the bytes; closed on the first fault, since its position is unknown after that.
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
            The stream failed, or the message is larger than the other side accepts.
        """
        self._stream.write(encode_packet(message, self._sent))
        self._sent += 1

    def receive(self) -> Message:
        """Wait for the next message.

        Raises
        ------
        ProtocolError
            Silence, truncation, damage, a sequence number out of order, another version, or an unknown kind.
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


def encode_packet(message: Message, sequence: int) -> bytes:
    """Packet of a message with sequence number `sequence` of its direction."""
    if len(message.payload) > MAX_PAYLOAD:
        raise ProtocolError('oversize', f'{message.kind.name} of {len(message.payload)} bytes is over {MAX_PAYLOAD}')
    head = _HEAD.pack(MAGIC, VERSION, message.kind, sequence, len(message.payload))
    return head + _CRC.pack(zlib.crc32(message.payload, zlib.crc32(head))) + message.payload


def _check_header(header: bytes, expected: int) -> tuple[Kind, int]:
    magic, version, kind, sequence, length = _HEAD.unpack(header[: _HEAD.size])
    if magic != MAGIC:
        raise ProtocolError('damaged', 'a packet does not start with the expected bytes')
    if version != VERSION:
        raise ProtocolError('version', f'the other side uses version {version}, this one {VERSION}')
    if length > MAX_PAYLOAD:
        raise ProtocolError('oversize', f'a message of {length} bytes is announced, over {MAX_PAYLOAD}')
    if sequence < expected:
        raise ProtocolError('replay', f'message {sequence} was received again instead of {expected}')
    if sequence > expected:
        raise ProtocolError('reordered', f'message {sequence} was received before {expected}')
    try:
        return Kind(kind), length
    except ValueError as error:
        raise ProtocolError('malformed', f'version {VERSION} has no message kind {kind}') from error


def expect(channel: Channel, *kinds: Kind) -> Message:
    """Next message, which must be of one of these kinds.

    Raises
    ------
    ProtocolError
        The other side refused (with its reason), or sent another kind.
    """
    message = channel.receive()
    if message.kind in kinds:
        return message
    channel.close()
    if message.kind is Kind.REFUSE:
        reason = message.payload[:200].decode('ascii', 'replace')
        raise ProtocolError('refused', f'the other side ended the run: {reason}')
    expected = ' or '.join(kind.name for kind in kinds)
    raise ProtocolError('unexpected', f'received {message.kind.name} instead of {expected}')
