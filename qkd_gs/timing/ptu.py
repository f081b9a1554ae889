"""PicoQuant PTU files of T2 mode, in and out, in pieces of any size.

Only the vendors' own TDCs and other people's analysis need this format; it is not sealed.  Exporting the
photon channels of a real pass gives its raw key away.

Format: PicoQuant, "Unified TTTR file format", record type rtGenericT2 (0x00010207) and rtTimeHarp260PT2,
rtMultiHarpT2 alike.  A record is 32 bits: special | channel (6) | time (25).  Special with channel 63 adds
time x 2^25 ticks; special with channel 0 is the sync input; special 1 to 15 are markers.  Readers number the
sync input and the first input alike, so a channel c of ours is written to input c + 1 and the sync is left free.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.jit import njit
from qkd_gs.timing.tags import TagBlock

MAGIC = b'PQTTTR\0\0'
T2_RECORDS = (0x00010207, 0x00010206, 0x00010205)  # generic / MultiHarp, TimeHarp 260 P, TimeHarp 260 N
_WRAP_BITS = 25
_WRAP = 1 << _WRAP_BITS
_MAX_OVERFLOWS = 127  # in one record: ptufile keeps seven bits of the count
_OVERFLOW = np.uint32((1 << 31) | (63 << _WRAP_BITS))
_TAG = struct.Struct('<32siI8s')
_MAX_HEADER_TAGS = 10_000
_CHUNK = 1 << 20
_UNIX_EPOCH_DAYS = 25_569.0  # the format counts days from 1899-12-30


class TagType(IntEnum):
    """Types of the header's entries."""

    EMPTY = 0xFFFF0008
    BOOL = 0x00000008
    INT = 0x10000008
    BITSET = 0x11000008
    COLOR = 0x12000008
    FLOAT = 0x20000008
    DATETIME = 0x21000008
    FLOAT_ARRAY = 0x2001FFFF
    ANSI_STRING = 0x4001FFFF
    WIDE_STRING = 0x4002FFFF
    BLOB = 0xFFFFFFFF


_KINDS = frozenset(int(kind) for kind in TagType)
_WITH_DATA = (TagType.FLOAT_ARRAY, TagType.ANSI_STRING, TagType.WIDE_STRING, TagType.BLOB)


def write_ptu(path: Path, blocks: Iterable[TagBlock], started_utc_ns: int) -> int:
    """Write tags in order; return how many.

    Raises
    ------
    StationError
        The file exists already or cannot be written.
    """
    total, wraps = 0, 0
    try:
        with open(path, 'xb') as file:
            count_at = _write_header(file, started_utc_ns)
            records = 0
            for block in blocks:
                encoded, wraps = _encode(block.time_ps, block.channel, wraps)
                file.write(encoded.tobytes())
                records += len(encoded)
                total += len(block)
            file.seek(count_at)
            file.write(struct.pack('<q', records))
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=path) from error
    return total


def read_ptu(path: Path) -> Iterator[TagBlock]:
    """Tags of a T2 file, block by block; times in picoseconds, channels as `write_ptu` numbers them.

    Raises
    ------
    StationError
        Not a PTU file, not T2, a damaged header, or records missing.
    """
    try:
        with open(path, 'rb') as file:
            header = read_header(file, path)
            tick_ps = float(header['MeasDesc_GlobalResolution']) * 1e12
            left, wraps, done = int(header['TTResult_NumberOfRecords']), 0, 0
            while left:
                raw = file.read(4 * min(left, _CHUNK))
                if len(raw) < 4 * min(left, _CHUNK):
                    raise StationError(f'is cut short: {left} records are missing', where=path)
                records = np.frombuffer(raw, '<u4')
                ticks, channel, wraps, bad = _decode(records, wraps)
                if bad >= 0:
                    raise StationError(f'record {done + bad} has an unknown special code', where=path)
                left -= len(records)
                done += len(records)
                yield TagBlock(_to_ps(ticks, tick_ps), channel)
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error


def read_header(file: BinaryIO, path: Path) -> dict[str, Any]:
    """Entries of the header; the file is left at the first record.

    Raises
    ------
    StationError
        Damaged, or not T2.
    """
    if file.read(8) != MAGIC:
        raise StationError('is not a PTU file', where=path)
    file.read(8)  # version of the format
    header: dict[str, Any] = {}
    for _ in range(_MAX_HEADER_TAGS):
        name, value = _read_entry(file, path)
        if name == 'Header_End':
            break
        header[name] = value
    else:
        raise StationError('its header does not end', where=path)
    for key in ('TTResultFormat_TTTRRecType', 'MeasDesc_GlobalResolution', 'TTResult_NumberOfRecords'):
        if key not in header:
            raise StationError(f'its header lacks {key}', where=path)
    kind = header['TTResultFormat_TTTRRecType']
    if kind not in T2_RECORDS:
        raise StationError(f'record type {kind:#010x} is not a T2 type this reader knows', where=path)
    resolution, records = header['MeasDesc_GlobalResolution'], header['TTResult_NumberOfRecords']
    if not isinstance(resolution, float) or not 1e-13 < resolution < 1e-6:
        raise StationError(f'its resolution of {resolution} s is impossible', where=path)
    if not isinstance(records, int) or records < 0:
        raise StationError(f'its number of records {records} is impossible', where=path)
    return header


def _read_entry(file: BinaryIO, path: Path) -> tuple[str, Any]:
    raw = file.read(_TAG.size)
    if len(raw) < _TAG.size:
        raise StationError('is cut short in its header', where=path)
    name, _, kind, payload = _TAG.unpack(raw)
    key = name.split(b'\0')[0].decode('ascii', 'replace')
    number = struct.unpack('<q', payload)[0]
    if kind in _WITH_DATA:
        data = file.read(number) if 0 <= number <= 1 << 24 else b''
        if len(data) != number:
            raise StationError(f'its header entry {key} is damaged', where=path)
        return key, data
    if kind in (TagType.FLOAT, TagType.DATETIME):
        return key, struct.unpack('<d', payload)[0]
    if kind not in _KINDS:
        raise StationError(f'its header entry {key} has unknown type {kind:#010x}', where=path)
    return key, number


def _write_header(file: BinaryIO, started_utc_ns: int) -> int:
    """Write the header; return where the number of records stands in the file."""
    days = started_utc_ns / 86_400e9 + _UNIX_EPOCH_DAYS
    entries: list[tuple[str, TagType, Any]] = [
        ('File_GUID', TagType.ANSI_STRING, f'{{{uuid.uuid4()}}}'),
        ('CreatorSW_Name', TagType.ANSI_STRING, 'qkd_gs'),
        ('File_CreatingTime', TagType.DATETIME, days),
        ('Measurement_Mode', TagType.INT, 2),
        ('Measurement_SubMode', TagType.INT, 0),
        ('TTResultFormat_TTTRRecType', TagType.INT, T2_RECORDS[0]),
        ('TTResultFormat_BitsPerRecord', TagType.INT, 32),
        ('HW_Type', TagType.ANSI_STRING, 'qkd_gs'),
        ('HW_InpChannels', TagType.INT, 8),
        ('MeasDesc_GlobalResolution', TagType.FLOAT, 1e-12),
        ('MeasDesc_Resolution', TagType.FLOAT, 1e-12),
        ('TTResult_SyncRate', TagType.INT, 0),
        ('TTResult_NumberOfRecords', TagType.INT, 0),
        ('Header_End', TagType.EMPTY, 0),
    ]
    file.write(MAGIC + b'1.0.00\0\0')
    count_at = 0
    for name, kind, value in entries:
        if name == 'TTResult_NumberOfRecords':
            count_at = file.tell() + _TAG.size - 8
        if kind is TagType.ANSI_STRING:
            text = value.encode() + b'\0'
            text += bytes(-len(text) % 8)
            file.write(_TAG.pack(name.encode(), -1, kind, struct.pack('<q', len(text))) + text)
        else:
            packed = struct.pack('<d' if kind in (TagType.FLOAT, TagType.DATETIME) else '<q', value)
            file.write(_TAG.pack(name.encode(), -1, kind, packed))
    return count_at


def _encode(time_ps: IntArray, channel: ByteArray, wraps: int) -> tuple[NDArray[np.uint32], int]:
    """Records of a block; `wraps` counts the overflows told so far."""
    turn = time_ps >> _WRAP_BITS
    jump = np.diff(turn, prepend=wraps)
    if len(jump) and jump.min() < 0:
        raise ValueError('tags are not in order')
    extra = -(-jump // _MAX_OVERFLOWS)  # overflow records in front of each tag
    place = np.arange(len(turn)) + np.cumsum(extra)
    records = np.full(len(turn) + int(extra.sum()), _OVERFLOW | np.uint32(_MAX_OVERFLOWS), np.uint32)
    records[place] = channel.astype(np.uint32) << _WRAP_BITS | (time_ps & (_WRAP - 1)).astype(np.uint32)
    late = jump > 0
    records[place[late] - 1] = _OVERFLOW | (jump - (extra - 1) * _MAX_OVERFLOWS)[late].astype(np.uint32)
    return records, int(turn[-1]) if len(turn) else wraps


def _to_ps(ticks: IntArray, tick_ps: float) -> IntArray:
    whole = round(tick_ps)
    if whole >= 1 and abs(tick_ps - whole) < 1e-6:
        return ticks * whole
    scaled: IntArray = np.rint(ticks * tick_ps).astype(np.int64)
    return scaled


@njit(cache=True)
def _decode(records, wraps):  # type: ignore[no-untyped-def]
    """Ticks and channels of the photons; wraps so far; index of the first unknown record, or -1."""
    ticks = np.empty(len(records), np.int64)
    channel = np.empty(len(records), np.uint8)
    n = 0
    for k in range(len(records)):
        record = records[k]
        code = (record >> 25) & 63
        time = np.int64(record & 0x1FFFFFF)
        if record >> 31 == 0:
            ticks[n] = (wraps << 25) + time
            channel[n] = code
            n += 1
        elif code == 63:
            wraps += max(time, 1)
        elif code > 15:
            return ticks[:n], channel[:n], wraps, k
    return ticks[:n], channel[:n], wraps, -1
