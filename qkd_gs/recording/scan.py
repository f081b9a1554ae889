"""Read an MCAP file record by record, tolerating any damage: the reading ends without an exception.

The readers of the package `mcap` stop at the first damage, so only the content of single records is read by it.
Format: https://mcap.dev/spec.  A file that its writer has finished ends with an index, in which types and topics are
repeated, and a footer; a truncated one ends anywhere.  There are checksums for every chunk (a damaged one is skipped,
and its messages are counted by the index that follows it), for all data and for the index.  After a damaged length the
reading continues at the next whole chunk.  The complete messages of a truncated last chunk are kept.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeAlias

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import Channel, Message, Metadata, Schema

from qkd_gs.recording.chunks import CHUNK_HEAD, Damaged, NotRead, records_of

MAGIC = b'\x89MCAP0\r\n'
PACKED = '.zstd'  # suffix of a file that rosbag2 has compressed as a whole
_HEAD = struct.Struct('<BQ')  # opcode, length of the body
_INDEX_HEAD = struct.Struct('<HI')  # channel, size of the entries
_INDEX_ENTRY = 16
_LATEST_NS = 2**63  # rosbag2's times are signed
_OPCODES = frozenset(int(opcode) for opcode in Opcode)
_PACKINGS = (b'\x04\0\0\0zstd', b'\x03\0\0\0lz4')

Record: TypeAlias = Schema | Channel | Message | Metadata


class Scan:
    """One pass through a file.

    Attributes
    ----------
    complete : bool
        The end written by the recorder was reached, and nothing was damaged.
    damage : str
        First damage that was found; empty if none.
    only_cut : bool
        The file ends too early, and nothing else is wrong with what there is of it: its recorder was killed.
    not_read : bool
        Part of it is packed in a way that is not read here.
    lost : int
        Messages that are known to be in damaged parts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reset()

    def _reset(self) -> None:
        self.complete = self.not_read = False
        self.damage = ''
        self.lost = self._found = 0
        self._cut = self._within = self._checked = False
        self._awaiting_index = False  # of a damaged chunk

    @property
    def only_cut(self) -> bool:
        """See the class."""
        return self._cut and not self._within

    def __iter__(self) -> Iterator[Record]:
        self._reset()
        try:
            with _contents(self.path) as data:
                yield from self._records(data)
        except ValueError:  # mmap of an empty file
            self._note('is empty')
        except zstandard.ZstdError:
            self._note('is damaged: it cannot be unpacked')
        except OSError as error:
            self._note(f'cannot be read: {error.strerror}')

    def _note(self, what: str, cut: bool = False) -> None:
        self.damage = self.damage or what
        self._cut |= cut
        self._within |= not cut

    def _records(self, data: mmap.mmap) -> Iterator[Record]:
        if data[:8] != MAGIC:
            self._note('is not an MCAP file')
            return
        yield from self._from_index(data)
        place, end = 8, len(data)
        while place + _HEAD.size <= end:
            opcode, length = _HEAD.unpack_from(data, place)
            start = place + _HEAD.size
            if opcode == Opcode.FOOTER:
                self._finish()
                return
            cut = length > end - start
            if cut and (found := _next_chunk(data, place + 1)) is not None:  # it is the length that is wrong
                self._note('a record of it is damaged')
                place = found
                continue
            body = data[start : end if cut else start + length]
            if opcode == Opcode.DATA_END and not self._end_of_data(body, data, place):
                return
            yield from self._record(opcode, body, cut)
            place = start + length
        self._note('was cut off', cut=True)

    def _from_index(self, data: mmap.mmap) -> Iterator[Record]:
        """Types and topics as the index repeats them, since the chunk that has them may be damaged."""
        if not _has_right_index(data):
            return
        end = len(data) - len(MAGIC) - 20 - _HEAD.size
        place = int.from_bytes(data[end + 9 : end + 17], 'little') or end
        while place + _HEAD.size <= end:
            opcode, length = _HEAD.unpack_from(data, place)
            start = place + _HEAD.size
            if opcode in (Opcode.SCHEMA, Opcode.CHANNEL) and start + length <= end:
                yield from self._one(opcode, data[start : start + length])
            place = start + length

    def _finish(self) -> None:
        self.complete = self._checked and not self.damage
        if not self._checked:
            self._note('its end is damaged')

    def _end_of_data(self, body: bytes, data: mmap.mmap, place: int) -> bool:
        """Check all data and the index; False if nothing in the index can be trusted."""
        if not _is_checked(body, data[:place]):
            self._note('its data are damaged')
        if not _has_right_index(data):
            self._note('its index is damaged')
            return False
        self._checked = True
        return True

    def _record(self, opcode: int, body: bytes, cut: bool) -> Iterator[Record]:
        if opcode == Opcode.CHUNK:
            yield from self._chunk(body, cut)
        elif cut:
            self._note('was cut off', cut=True)
        elif opcode == Opcode.MESSAGE_INDEX:
            self._index(body)
        elif opcode == Opcode.STATISTICS and self._checked:
            self._compare(body)
        elif opcode not in _OPCODES:
            self._note('a record of it is damaged')
        else:
            yield from self._one(opcode, body)

    def _chunk(self, body: bytes, cut: bool) -> Iterator[Record]:
        self._awaiting_index = False
        if cut:
            self._note('was cut off', cut=True)
        try:
            records = records_of(body, cut)
        except (Damaged, NotRead) as error:
            self.not_read |= isinstance(error, NotRead)
            self._awaiting_index = True
            self._note(str(error), cut=cut)
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

    def _index(self, index: bytes) -> None:
        """Index of the messages of one channel in the chunk before: they are counted if that is damaged."""
        size = _INDEX_HEAD.unpack_from(index)[1] if len(index) >= _INDEX_HEAD.size else -1
        if size != len(index) - _INDEX_HEAD.size:
            self._note('a record of it is damaged')
        elif self._awaiting_index:
            self.lost += size // _INDEX_ENTRY

    def _compare(self, statistics: bytes) -> None:
        """The number of messages that the recorder has counted."""
        counted = int.from_bytes(statistics[:8], 'little')
        if counted > self._found:
            self._note('messages of it are missing')
            self.lost = counted - self._found

    def _one(self, opcode: int, body: bytes) -> Iterator[Record]:
        try:
            record = _parse(opcode, body)
        except (EndOfFile, struct.error, UnicodeDecodeError, Damaged):
            self._note('a record of it is damaged')
            return
        if isinstance(record, Message) and record.log_time >= _LATEST_NS:
            self._note('a message of it has an impossible time')
            self.lost += 1
        elif record is not None:
            self._found += isinstance(record, Message)
            yield record


@contextmanager
def _contents(path: Path) -> Iterator[mmap.mmap]:
    """Bytes of a file, unpacked into a temporary one if need be."""
    with open(path, 'rb') as file:
        if path.suffix != PACKED:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data
            return
        with TemporaryFile() as unpacked:
            zstandard.ZstdDecompressor().copy_stream(file, unpacked)
            unpacked.flush()
            with mmap.mmap(unpacked.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data


def _next_chunk(data: mmap.mmap, place: int) -> int | None:
    """Start of the next packed chunk at or after a place whose records have the right checksum; None: there is none."""
    while True:
        hits = [hit for hit in (data.find(packing, place) for packing in _PACKINGS) if hit >= 0]
        if not hits:
            return None
        start = min(hits) - CHUNK_HEAD.size - _HEAD.size
        if start >= place - 1 and _is_chunk(data, start):
            return start
        place = min(hits) + 1


def _is_chunk(data: mmap.mmap, start: int) -> bool:
    opcode, length = _HEAD.unpack_from(data, start)
    begin = start + _HEAD.size
    if opcode != Opcode.CHUNK or length > len(data) - begin:
        return False
    try:
        records_of(data[begin : begin + length], cut=False)
    except (Damaged, NotRead):
        return False
    return True


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
