"""Tags to a PicoQuant PTU file of the type rtGenericT2, for other people's analysis.

It is not sealed: exporting the photon channels of a real pass gives its raw key away.  A record is 32 bits:
special | channel (6) | time (25).  Special with channel 63 adds time x 2^25 counts.  Some readers number the sync input
and the first input alike, so a channel c of ours is written as code c (input c + 1 of the front panel), and neither
the sync nor input 1 is used.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.tag_formats.ptu_header import ENTRY, GENERIC_T2, MAGIC, EntryType
from qkd_gs.timing.tags import TagBlock

_WRAP_BITS = 25
_WRAP = 1 << _WRAP_BITS
_MAX_OVERFLOWS = 127  # in one record: ptufile keeps seven bits of the count
_OVERFLOW = np.uint32((1 << 31) | (63 << _WRAP_BITS))
_UNIX_EPOCH_DAYS = 25_569.0  # the format counts days from 1899-12-30


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


def _write_header(file: BinaryIO, started_utc_ns: int) -> int:
    """Write the header; return where the number of records stands in the file."""
    days = started_utc_ns / 86_400e9 + _UNIX_EPOCH_DAYS
    entries: list[tuple[str, EntryType, Any]] = [
        ('File_GUID', EntryType.ANSI_STRING, f'{{{uuid.uuid4()}}}'),
        ('CreatorSW_Name', EntryType.ANSI_STRING, 'qkd_gs'),
        ('File_CreatingTime', EntryType.DATETIME, days),
        ('Measurement_Mode', EntryType.INT, 2),
        ('Measurement_SubMode', EntryType.INT, 0),
        ('TTResultFormat_TTTRRecType', EntryType.INT, GENERIC_T2),
        ('TTResultFormat_BitsPerRecord', EntryType.INT, 32),
        ('HW_Type', EntryType.ANSI_STRING, 'qkd_gs'),
        ('HW_InpChannels', EntryType.INT, 8),
        ('MeasDesc_GlobalResolution', EntryType.FLOAT, 1e-12),
        ('MeasDesc_Resolution', EntryType.FLOAT, 1e-12),
        ('TTResult_SyncRate', EntryType.INT, 0),
        ('TTResult_NumberOfRecords', EntryType.INT, 0),
        ('Header_End', EntryType.EMPTY, 0),
    ]
    file.write(MAGIC + b'1.0.00\0\0')
    count_at = 0
    for name, kind, value in entries:
        if name == 'TTResult_NumberOfRecords':
            count_at = file.tell() + ENTRY.size - 8
        if kind is EntryType.ANSI_STRING:
            text = value.encode() + b'\0'
            text += bytes(-len(text) % 8)
            file.write(ENTRY.pack(name.encode(), -1, kind, struct.pack('<q', len(text))) + text)
        else:
            packed = struct.pack('<d' if kind in (EntryType.FLOAT, EntryType.DATETIME) else '<q', value)
            file.write(ENTRY.pack(name.encode(), -1, kind, packed))
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
