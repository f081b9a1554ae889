"""Header of PicoQuant's PTU files: typed entries of 48 bytes, some with data behind them.

Format: PicoQuant, "Unified TTTR file format".
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

from qkd_gs.errors import StationError
from qkd_gs.tag_formats.scale import check_resolution

MAGIC = b'PQTTTR\0\0'
ENTRY = struct.Struct('<32siI8s')
_MAX_ENTRIES = 10_000
_T2_MODE = 2
_RECORD_BITS = 32


class EntryType(IntEnum):
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


_KINDS = frozenset(int(kind) for kind in EntryType)
_WITH_DATA = (EntryType.FLOAT_ARRAY, EntryType.ANSI_STRING, EntryType.WIDE_STRING, EntryType.BLOB)


class RecordLayout(IntEnum):
    """Layout of the 32 bits of a record."""

    PICOHARP = 0  # channel (4) | time (28); channel 15 is special, and its overflow adds 210,698,240 counts
    HYDRAHARP_1 = 1  # special | channel (6) | time (25); an overflow adds 33,552,000 counts
    HYDRAHARP_2 = 2  # the same; an overflow adds time x 2^25 counts


@dataclass(frozen=True)
class RecordKind:
    """A type of T2 records."""

    make: str
    layout: RecordLayout


T2_RECORDS: Mapping[int, RecordKind] = {
    0x00010203: RecordKind('PicoHarp 300', RecordLayout.PICOHARP),
    0x00010204: RecordKind('HydraHarp V1', RecordLayout.HYDRAHARP_1),
    0x01010204: RecordKind('HydraHarp V2', RecordLayout.HYDRAHARP_2),
    0x00010205: RecordKind('TimeHarp 260 N', RecordLayout.HYDRAHARP_2),
    0x00010206: RecordKind('TimeHarp 260 P', RecordLayout.HYDRAHARP_2),
    0x00010207: RecordKind('MultiHarp or Generic', RecordLayout.HYDRAHARP_2),
}
GENERIC_T2 = 0x00010207
_T3_RECORDS = (0x00010303, 0x00010304, 0x01010304, 0x00010305, 0x00010306, 0x00010307)


@dataclass(frozen=True)
class PtuHeader:
    """Fields of the header that the reader needs.

    Attributes
    ----------
    kind : RecordKind
    resolution_ps : float
    records : int
        Number of records that the header announces; 0 if the recording was broken off.
    start : int
        Byte at which the records begin.
    """

    kind: RecordKind
    resolution_ps: float
    records: int
    start: int


def read_header(file: BinaryIO, path: Path) -> PtuHeader:
    """Read the header; the file is left at the first record.

    Raises
    ------
    StationError
        Not a PTU file, damaged, not T2.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise StationError('is not a PTU file', where=path)
    file.read(8)  # version of the format
    size = os.fstat(file.fileno()).st_size
    entries: dict[str, Any] = {}
    for _ in range(_MAX_ENTRIES):
        name, value = _read_entry(file, size, path)
        if name == 'Header_End':
            return _checked(entries, file.tell(), path)
        entries[name] = value
    raise StationError('its header does not end', where=path)


def _checked(entries: Mapping[str, Any], start: int, path: Path) -> PtuHeader:
    code = _integer(entries, 'TTResultFormat_TTTRRecType', path)
    if code in _T3_RECORDS or _integer(entries, 'Measurement_Mode', path, _T2_MODE) != _T2_MODE:
        raise StationError(
            'is not a recording in T2 mode: its tags are not times', where=path, hint='record in T2 mode, not in T3'
        )
    if code not in T2_RECORDS:
        raise StationError(f'record type {code:#010x} is not a T2 type this reader knows', where=path)
    bits = _integer(entries, 'TTResultFormat_BitsPerRecord', path, _RECORD_BITS)
    if bits not in (0, _RECORD_BITS):  # some writers leave it 0
        raise StationError(f'its records have {bits} bits, not {_RECORD_BITS}', where=path)
    resolution_s = entries.get('MeasDesc_GlobalResolution')
    if not isinstance(resolution_s, float) or not isfinite(resolution_s):
        raise StationError('its header lacks MeasDesc_GlobalResolution', where=path)
    records = _integer(entries, 'TTResult_NumberOfRecords', path)
    if records < 0:
        raise StationError(f'its number of records {records} is impossible', where=path)
    return PtuHeader(T2_RECORDS[code], check_resolution(resolution_s * 1e12, path), records, start)


def _integer(entries: Mapping[str, Any], key: str, path: Path, otherwise: int | None = None) -> int:
    value = entries.get(key, otherwise)
    if not isinstance(value, int):
        raise StationError(f'its header lacks {key}', where=path)
    return value


def _read_entry(file: BinaryIO, size: int, path: Path) -> tuple[str, Any]:
    raw = file.read(ENTRY.size)
    if len(raw) < ENTRY.size:
        raise StationError('is cut short in its header', where=path)
    name, _, kind, payload = ENTRY.unpack(raw)
    key = name.split(b'\0')[0].decode('ascii', 'backslashreplace')
    number = struct.unpack('<q', payload)[0]
    if kind in _WITH_DATA:  # passed over: a preview image may have any size
        if not 0 <= number <= size - file.tell():
            raise StationError(f'its header entry {key} is longer than the file', where=path)
        file.seek(number, os.SEEK_CUR)
        return key, None
    if kind in (EntryType.FLOAT, EntryType.DATETIME):
        return key, struct.unpack('<d', payload)[0]
    if kind not in _KINDS:
        raise StationError(f'its header entry {key} has unknown type {kind:#010x}', where=path)
    return key, number
