"""Heartbeats on `/diagnostics`, serialized and read by hand.

Every node sends one a second, with dozens of texts, and several nodes hear all of them.  `rclpy` makes an object of
each text and checks each of its characters.  (Serialized form: plain CDR, little-endian, as in `cdr`.)
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import deserialize_message

from qkd_gs.nodes.conversions.cdr import HEAD

_STAMP, _NUMBER = struct.Struct('<iI'), struct.Struct('<I')
_S = 10**9


class Status(NamedTuple):
    """A `DiagnosticStatus`."""

    level: int
    name: str
    message: str
    hardware_id: str
    values: dict[str, str]


def written(t_ns: int, status: Status) -> bytes:
    """Serialized `DiagnosticArray` of one status, with a stamp (UTC, ns)."""
    data = bytearray(HEAD + _STAMP.pack(t_ns // _S, t_ns % _S))
    _put(data, '')  # frame
    data += bytes(-len(data) % _NUMBER.size) + _NUMBER.pack(1)
    data.append(status.level)
    for text in (status.name, status.message, status.hardware_id):
        _put(data, text)
    data += bytes(-len(data) % _NUMBER.size) + _NUMBER.pack(len(status.values))
    for key, value in status.values.items():
        _put(data, key)
        _put(data, value)
    return bytes(data)


def read(data: bytes) -> list[Status]:
    """Every status of a serialized `DiagnosticArray`; of values with one key the last.

    Raises
    ------
    Exception
        Of `rclpy`, which reads what is not understood here.
    """
    try:
        return _read(data)
    except (ValueError, struct.error):
        message = deserialize_message(data, DiagnosticArray)
    return [
        Status(one.level[0], one.name, one.message, one.hardware_id, {pair.key: pair.value for pair in one.values})
        for one in message.status
    ]


def _read(data: bytes) -> list[Status]:
    if data[:2] != HEAD[:2]:
        raise ValueError('not little-endian plain CDR')
    _, at = _text(data, len(HEAD) + _STAMP.size)
    count, at = _count(data, at)
    found = []
    for _ in range(count):
        level, at = data[at : at + 1], at + 1
        name, at = _text(data, at)
        message, at = _text(data, at)
        hardware_id, at = _text(data, at)
        pairs, at = _count(data, at)
        values = {}
        for _ in range(pairs):
            key, at = _text(data, at)
            values[key], at = _text(data, at)
        found.append(Status(level[0], name, message, hardware_id, values))
    return found


def _put(data: bytearray, text: str) -> None:
    encoded = text.encode(errors='replace') + b'\0'
    data += bytes(-len(data) % _NUMBER.size) + _NUMBER.pack(len(encoded)) + encoded


def _count(data: bytes, at: int) -> tuple[int, int]:
    """Number at a place, and the place behind it."""
    at += -at % _NUMBER.size
    return _NUMBER.unpack_from(data, at)[0], at + _NUMBER.size


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Text at a place, and the place behind it."""
    length, at = _count(data, at)
    end = at + length
    if not length or end > len(data):
        raise ValueError('a text without its end')
    return data[at : end - 1].decode(), end
