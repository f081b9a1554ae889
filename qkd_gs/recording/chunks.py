"""Chunks of an MCAP file: packed records with a checksum."""

from __future__ import annotations

import struct
import zlib

import lz4.frame
import zstandard

CHUNK_HEAD = struct.Struct('<QQQI')  # first and last log time, size and checksum of the records
_NAME = struct.Struct('<I')  # its length, before the name of the compression
_LONGEST_NAME = 32
_MOST = 1 << 28  # bytes of records; ours have 1 MiB and a message. A damaged size must not exhaust the memory


class Damaged(Exception):
    """The bytes violate the format."""


class NotRead(Exception):
    """The bytes are packed in a way that is not read here; nothing is known of what they hold."""


def records_of(chunk: bytes, cut: bool) -> bytes:
    """Records of a chunk; of a truncated one as far as they are there.

    Raises
    ------
    Damaged, NotRead
    """
    if len(chunk) < CHUNK_HEAD.size + _NAME.size:
        raise Damaged('was cut off')
    _, _, size, checksum = CHUNK_HEAD.unpack_from(chunk)
    (length,) = _NAME.unpack_from(chunk, CHUNK_HEAD.size)
    start = CHUNK_HEAD.size + _NAME.size + length + 8
    if length > _LONGEST_NAME or start > len(chunk):
        raise Damaged('was cut off' if cut else 'a chunk of it is damaged')
    name, packed = chunk[CHUNK_HEAD.size + _NAME.size : start - 8], chunk[start:]
    records = _unpacked(name, packed)
    records = records[:size] if cut else records  # a damaged length reaches beyond the chunk
    if not cut and (len(records) != size or (checksum and zlib.crc32(records) != checksum)):
        raise Damaged('a chunk of it is damaged')
    return records


def _unpacked(name: bytes, packed: bytes) -> bytes:
    if name == b'':
        return packed
    if name == b'zstd':
        return _from_zstd(packed)
    if name == b'lz4':
        return _from_lz4(packed)
    if name.isalnum():
        raise NotRead(f'is packed with {name.decode("ascii", "replace")}, which is not read here')
    raise Damaged('a chunk of it is damaged')


def _from_zstd(packed: bytes) -> bytes:
    parts, left = [], _MOST
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        try:
            while left and (part := stream.read(min(left, 1 << 17))):
                parts.append(part)
                left -= len(part)
        except zstandard.ZstdError:
            pass  # found by size or checksum, unless the file is truncated here
    return b''.join(parts)


def _from_lz4(packed: bytes) -> bytes:
    """LZ4 frames; of damaged ones what comes before."""
    unpacker = lz4.frame.LZ4FrameDecompressor()
    parts, size = [], 0
    try:
        for start in range(0, len(packed), 1 << 16):
            part = unpacker.decompress(packed[start : start + (1 << 16)], max_length=_MOST - size)
            parts.append(part)
            size += len(part)
            if unpacker.eof or size >= _MOST:
                break
    except (RuntimeError, EOFError, ValueError):
        pass  # found by size or checksum, unless the file is truncated here
    return b''.join(parts)
