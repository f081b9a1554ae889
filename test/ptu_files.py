"""PTU files written by hand, record by record, after the maker's description of the format."""

import struct
from pathlib import Path

INT, FLOAT, EMPTY, TEXT, BLOB = 0x10000008, 0x20000008, 0xFFFF0008, 0x4001FFFF, 0xFFFFFFFF
OVERFLOW = 1 << 31 | 63 << 25


def entry(name: str, kind: int, value: object = 0, data: bytes = b'') -> bytes:
    packed = struct.pack('<d', value) if kind == FLOAT else struct.pack('<q', len(data) if data else value)
    return name.encode().ljust(32, b'\0') + struct.pack('<iI', -1, kind) + packed + data


def header(kind: int, count: int, resolution_s: float = 1e-12, mode: int = 2, extra: bytes = b'') -> bytes:
    return (
        b'PQTTTR\0\x001.0.00\0\0'
        + entry('CreatorSW_Name', TEXT, data=b'by hand\0')
        + extra
        + entry('Measurement_Mode', INT, mode)
        + entry('TTResultFormat_TTTRRecType', INT, kind)
        + entry('TTResultFormat_BitsPerRecord', INT, 32)
        + entry('MeasDesc_GlobalResolution', FLOAT, resolution_s)
        + entry('TTResult_NumberOfRecords', INT, count)
        + entry('Header_End', EMPTY)
    )


def photon(code: int, time: int) -> int:
    return code << 25 | time


def special(code: int, time: int) -> int:
    return 1 << 31 | code << 25 | time


def write(path: Path, kind: int, records: list[int], count: int | None = None, **options: object) -> Path:
    body = struct.pack(f'<{len(records)}I', *records)
    path.write_bytes(header(kind, len(records) if count is None else count, **options) + body)
    return path
