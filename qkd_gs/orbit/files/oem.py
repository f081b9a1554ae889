"""Orbit ephemeris messages (CCSDS 502.0-B, OEM) as KVN or XML text.

The package `oem` reads them too, but brings astropy and 0.7 s of import; one page does it here.
"""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.segments import Method, Segment
from qkd_gs.orbit.files.checks import read_float
from qkd_gs.orbit.files.frames import to_earth_fixed, to_tai
from qkd_gs.orbit.identity import parse_designator
from qkd_gs.orbit.propagate import source
from qkd_gs.orbit.timescale import utc_from_tai_ns

log = logging.getLogger(__name__)

_REQUIRED = ('OBJECT_NAME', 'OBJECT_ID', 'CENTER_NAME', 'REF_FRAME', 'TIME_SYSTEM')
_STATE = ('EPOCH', 'X', 'Y', 'Z', 'X_DOT', 'Y_DOT', 'Z_DOT')
_COLUMNS = (4, 7, 10)  # time and position; with velocity; with acceleration
_LARGEST_DEGREE = 25
_LARGEST_KM = 1e9


@dataclass
class _Block:
    """One segment as it is written."""

    line: int
    meta: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)  # line, and its columns
    error: StationError | None = None


def read_oem(path: Path, text: str) -> Iterator[Segment | StationError]:
    """The segments; frames and time systems are those of `qkd_gs.orbit.files.frames`.

    A segment is left out for an unknown frame or time system, missing metadata, or a broken line.
    """
    blocks = list(_blocks(path, text))
    if not any(block.rows or block.error for block in blocks):
        raise StationError('no positions in it', where=path)
    for block in blocks:
        yield _segment(path, block)


def read_oem_xml(path: Path, root: ET.Element) -> Iterator[Segment | StationError]:
    """The same from the root of a parsed XML document; messages name the file, and the state vector by number."""
    for segment in root.iterfind('.//{*}segment'):
        block = _Block(1, {_tag(leaf): (leaf.text or '').strip() for leaf in segment.iterfind('{*}metadata/*')})
        for number, vector in enumerate(segment.iterfind('.//{*}stateVector'), 1):
            leaves = {_tag(leaf): (leaf.text or '').strip() for leaf in vector}
            missing = [key for key in _STATE if key not in leaves]
            if missing:
                block.error = StationError(f'state vector {number} has no {missing[0]}', where=path)
                break
            block.rows.append((1, [leaves[key] for key in _STATE]))
        if not block.rows and block.error is None:
            block.error = StationError('a segment has no state vectors', where=path)
        yield _segment(path, block)


def _tag(leaf: ET.Element) -> str:
    return leaf.tag.rpartition('}')[2] if isinstance(leaf.tag, str) else ''


def _blocks(path: Path, text: str) -> Iterator[_Block]:
    block, place = _Block(1), 'header'
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.upper().startswith(('COMMENT', '#')):
            continue
        match line:
            case 'META_START':
                if place != 'header':
                    yield block
                block, place = _Block(number), 'meta'
            case 'META_STOP' | 'COVARIANCE_STOP':
                place = 'data'
            case 'COVARIANCE_START':
                place = 'covariance'
            case _ if place == 'meta':
                key, equals, value = line.partition('=')
                if not equals and block.error is None:
                    block.error = StationError(f'{line[:40]!r} is not KEYWORD = value', where=source(path, number))
                block.meta[key.strip()] = value.strip()
            case _ if place == 'data':
                block.rows.append((number, line.split()))
    if place != 'header':
        yield block


def _segment(path: Path, block: _Block) -> Segment | StationError:
    try:
        if block.error is not None:
            raise block.error
        return _read(path, block)
    except StationError as error:
        return error


def _read(path: Path, block: _Block) -> Segment:
    where, meta = source(path, block.line), block.meta
    for key in _REQUIRED:
        if not meta.get(key):
            raise StationError(f'{key} is missing from the metadata', where=where)
    if meta['CENTER_NAME'].upper() != 'EARTH':
        raise StationError(f'CENTER_NAME is {meta["CENTER_NAME"][:20]}, not EARTH', where=where)
    system = meta['TIME_SYSTEM'].upper()
    to_tai('2000-01-01', system, where)  # its name is checked once, at the metadata
    if not block.rows:
        raise StationError('the segment has no positions', where=where)
    tai_ns = np.array([to_tai(fields[0], system, source(path, number)) for number, fields in block.rows], np.int64)
    values = _values(path, block)
    epoch = meta.get('REF_FRAME_EPOCH')
    position, velocity, spin = to_earth_fixed(
        meta['REF_FRAME'],
        values[:, :3] * 1e3,
        values[:, 3:6] * 1e3 if values.shape[1] >= 6 else None,
        tai_ns,
        to_tai(epoch, system, where) if epoch else None,
        where,
    )
    method, degree = _interpolation(meta, where)
    return Segment(
        name=meta['OBJECT_NAME'],
        satellite_id=meta['OBJECT_ID'],
        where=where,
        tai_ns=tai_ns,
        position_m=position,
        velocity_m_s=velocity,
        spin_rad_s=spin,
        method=method,
        degree=degree,
        usable_ns=_usable(meta, system, where, tai_ns),
        designator=parse_designator(meta['OBJECT_ID']),
    )


def _values(path: Path, block: _Block) -> FloatArray:
    """Numbers (n, 3, 6 or 9) of the rows, km and km/s."""
    width = len(block.rows[0][1])
    values = []
    for number, fields in block.rows:
        if len(fields) not in _COLUMNS or len(fields) != width:
            raise StationError(
                f'{len(fields)} columns, not a time, position, velocity (and acceleration)', where=source(path, number)
            )
        try:
            values.append([read_float(value) for value in fields[1:]])
        except ValueError as error:
            raise StationError(f'not a number: {error}', where=source(path, number)) from error
        if not np.isfinite(values[-1]).all() or max(map(abs, values[-1])) > _LARGEST_KM:
            raise StationError('a value is not a number of an orbit', where=source(path, number))
    return np.array(values)


def _interpolation(meta: dict[str, str], where: str) -> tuple[Method | None, int | None]:
    """Method and degree as the metadata state them."""
    written = meta.get('INTERPOLATION', '').upper()
    if not written:
        return None, None
    if written not in Method.__members__:
        log.warning('%s: INTERPOLATION %s is not known and is not followed', where, written[:20])
        return None, None
    degree = meta.get('INTERPOLATION_DEGREE', '')
    if not degree:
        return Method(written), None
    if not (degree.isascii() and degree.isdigit() and 1 <= int(degree[:9]) <= _LARGEST_DEGREE):
        raise StationError(f'INTERPOLATION_DEGREE {degree[:20]} is not from 1 to {_LARGEST_DEGREE}', where=where)
    return Method(written), int(degree)


def _usable(meta: dict[str, str], system: str, where: str, tai_ns: IntArray) -> tuple[int, int]:
    edges = [int(tai_ns[0]), int(tai_ns[-1])]
    for k, key in enumerate(('USEABLE_START_TIME', 'USEABLE_STOP_TIME')):
        if meta.get(key):
            edges[k] = to_tai(meta[key], system, where)
    if edges[0] >= edges[1]:
        raise StationError('the useable span is empty', where=where)
    first, last = (int(utc_from_tai_ns(edge)) for edge in edges)
    return first, last
