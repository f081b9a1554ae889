"""Read an MCAP file record by record, tolerating any damage: the reading ends without an exception.

The readers of the package `mcap` stop at the first damage, so only the content of single records is read by it.
Format: https://mcap.dev/spec.  A file that its writer has finished ends with an index, in which types and topics are
repeated, and a footer; a truncated one ends anywhere.  There are checksums for every chunk (a damaged one is skipped),
for all data and for the index.  The complete messages of a truncated last chunk are kept.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import Channel, Message, Metadata, Schema

MAGIC = b'\x89MCAP0\r\n'
_HEAD = struct.Struct('<BQ')  # opcode, length of the body
_CHUNK_HEAD = struct.Struct('<QQQI')  # first and last log time, size and checksum of the records
_MOST_IN_A_CHUNK = 1 << 28  # ours have 1 MiB and a message; a damaged size must not exhaust the memory

Record: TypeAlias = Schema | Channel | Message | Metadata


class Damaged(Exception):
    """The bytes violate the format."""


class Scan:
    """One pass through a file.

    Attributes
    ----------
    complete : bool
        The end written by the recorder was reached, and nothing was damaged.
    damage : str
        First damage that was found; empty if none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete = False
        self.damage = ''

    def __iter__(self) -> Iterator[Record]:
        self.complete, self.damage = False, ''
        try:
            with open(self.path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield from self._records(data)
        except ValueError:  # mmap of an empty file
            self._note('is empty')
        except OSError as error:
            self._note(f'cannot be read: {error.strerror}')

    def _note(self, what: str) -> None:
        self.damage = self.damage or what

    def _records(self, data: mmap.mmap) -> Iterator[Record]:
        if data[:8] != MAGIC:
            self._note('is not an MCAP file')
            return
        place, end, checked = 8, len(data), False
        while place + _HEAD.size <= end:
            opcode, length = _HEAD.unpack_from(data, place)
            start = place + _HEAD.size
            if opcode == Opcode.FOOTER:
                self.complete = checked and not self.damage
                if not checked:
                    self._note('its end is damaged')
                return
            cut = length > end - start
            body = data[start : end if cut else start + length]
            if cut:
                self._note('was cut off')
            if opcode == Opcode.DATA_END:
                if not _is_checked(body, data[:place]):
                    self._note('its data are damaged')
                if not _has_right_index(data):  # nothing in it can be trusted
                    self._note('its index is damaged')
                    return
                checked = True
            elif opcode == Opcode.CHUNK:
                yield from self._chunk(body, cut)
            elif not cut:
                yield from self._one(opcode, body)
            place = start + length
        self._note('was cut off')

    def _chunk(self, body: bytes, cut: bool) -> Iterator[Record]:
        try:
            records = _records_of(body, cut)
        except Damaged as error:
            self._note(str(error))
            return
        place, end = 0, len(records)
        while place + _HEAD.size <= end:
            opcode, length = _HEAD.unpack_from(records, place)
            place += _HEAD.size
            if length > end - place:
                break
            yield from self._one(opcode, records[place : place + length])
            place += length
        if place != end and not cut:
            self._note('a chunk of it is damaged')

    def _one(self, opcode: int, body: bytes) -> Iterator[Record]:
        try:
            record = _parse(opcode, body)
        except (EndOfFile, struct.error, UnicodeDecodeError, Damaged):
            self._note('a record of it is damaged')
            return
        if record is not None:
            yield record


def _is_checked(checksum: bytes, data: bytes) -> bool:
    """Whether a checksum (4 bytes; 0: none) is that of the data."""
    return len(checksum) == 4 and checksum in (bytes(4), zlib.crc32(data).to_bytes(4, 'little'))


def _has_right_index(data: mmap.mmap) -> bool:
    """Whether there is a footer, and the index matches its checksum."""
    footer = len(data) - len(MAGIC) - 20 - _HEAD.size
    if footer < 0 or _HEAD.unpack_from(data, footer) != (Opcode.FOOTER, 20) or data[-8:] != MAGIC:
        return False
    begin = int.from_bytes(data[footer + 9 : footer + 17], 'little')
    return _is_checked(data[-12:-8], data[begin:-12])


def _records_of(chunk: bytes, cut: bool) -> bytes:
    """Records of a chunk; of a truncated one as far as they are there."""
    if len(chunk) < _CHUNK_HEAD.size + 4:
        raise Damaged('was cut off')
    _, _, size, checksum = _CHUNK_HEAD.unpack_from(chunk)
    name_size = struct.unpack_from('<I', chunk, _CHUNK_HEAD.size)[0]
    start = _CHUNK_HEAD.size + 4 + name_size + 8
    name, packed = chunk[_CHUNK_HEAD.size + 4 : start - 8], chunk[start:]
    if name not in (b'', b'zstd'):
        raise Damaged('a chunk of it is damaged or compressed in an unsupported way')
    records = packed if name == b'' else _unpacked(packed)
    records = records[:size] if cut else records  # a damaged length reaches beyond the chunk
    if not cut and (len(records) != size or (checksum and zlib.crc32(records) != checksum)):
        raise Damaged('a chunk of it is damaged')
    return records


def _unpacked(packed: bytes) -> bytes:
    parts, left = [], _MOST_IN_A_CHUNK
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        try:
            while left and (part := stream.read(min(left, 1 << 17))):
                parts.append(part)
                left -= len(part)
        except zstandard.ZstdError:
            pass  # found by size or checksum, unless the file is truncated here
    return b''.join(parts)


def _parse(opcode: int, body: bytes) -> Record | None:
    """A record by the package `mcap`; None for an opcode that is not used here."""
    if opcode == Opcode.MESSAGE:
        message: Message = Message.read(_Fields(BytesIO(body)), len(body))
        return message
    return _READ[opcode](_Fields(BytesIO(body))) if opcode in _READ else None


_READ: dict[int, Callable[[ReadDataStream], Record]] = {
    Opcode.SCHEMA: Schema.read,
    Opcode.CHANNEL: Channel.read,
    Opcode.METADATA: Metadata.read,
}


class _Fields(ReadDataStream):
    """Stream of the fields of a record that refuses a field beyond the end of the record."""

    def read(self, length: int) -> bytes:
        data: bytes = super().read(length)
        if len(data) != length:
            raise Damaged
        return data
