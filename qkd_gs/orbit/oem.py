"""Orbit ephemeris messages (CCSDS 502.0-B, OEM) as KVN or XML text.

The package `oem` reads them too, but brings astropy and 0.7 s of import; one page does it here.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from skyfield.framelib import itrs, true_equator_and_equinox_of_date
from skyfield.sgp4lib import TEME

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.propagate import Ephemeris, source
from qkd_gs.orbit.timescale import parse_utc, tai_minus_utc_ns, to_time, utc_from_tai_ns

# message time -> TAI, ns: added to the number of ns since 1970 that the written time makes
_TAI_MINUS: dict[str, Callable[[IntArray], IntArray]] = {
    'UTC': tai_minus_utc_ns,
    'TAI': np.zeros_like,
    'GPS': lambda t_ns: np.full_like(t_ns, 19_000_000_000),
    'TT': lambda t_ns: np.full_like(t_ns, -32_184_000_000),
}
_REQUIRED = ('OBJECT_NAME', 'OBJECT_ID', 'CENTER_NAME', 'REF_FRAME', 'TIME_SYSTEM')


_Rows = list[tuple[int, list[str]]]  # line, and the columns: time, position, velocity, perhaps acceleration
_STATE = ('EPOCH', 'X', 'Y', 'Z', 'X_DOT', 'Y_DOT', 'Z_DOT')


def read_oem(path: Path, text: str) -> list[Ephemeris]:
    """One ephemeris a segment.

    Frames: ITRF (any year), TEME, TOD, EME2000 (J2000), GCRF, ICRF.  Times: UTC, TAI, TT, GPS.

    Raises
    ------
    StationError
        Naming file and line: unknown frame or time system, missing metadata, a broken line.
    """
    return [_ephemeris(path, line, meta, rows) for line, meta, rows in _segments(path, text)]


def read_oem_xml(path: Path, root: ET.Element) -> list[Ephemeris]:
    """The same from the root of a parsed XML document; messages name the file, and the state vector by number."""
    found = []
    for segment in root.iterfind('.//{*}segment'):
        meta = {leaf.tag.rpartition('}')[2]: (leaf.text or '').strip() for leaf in segment.iterfind('{*}metadata/*')}
        rows = []
        for number, vector in enumerate(segment.iterfind('.//{*}stateVector'), 1):
            leaves = {leaf.tag.rpartition('}')[2]: (leaf.text or '').strip() for leaf in vector}
            missing = [key for key in _STATE if key not in leaves]
            if missing:
                raise StationError(f'state vector {number} has no {missing[0]}', where=path)
            rows.append((1, [leaves[key] for key in _STATE]))
        if not rows:
            raise StationError('a segment has no state vectors', where=path)
        found.append(_ephemeris(path, 1, meta, rows))
    return found


def _segments(path: Path, text: str) -> Iterator[tuple[int, dict[str, str], _Rows]]:
    start, meta, rows = 0, dict[str, str](), _Rows()
    place = 'header'
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith('COMMENT'):
            continue
        if line == 'META_START':
            if rows:
                yield start, meta, rows
            start, meta, rows, place = number, {}, [], 'meta'
        elif line == 'META_STOP':
            place = 'data'
        elif line == 'COVARIANCE_START':
            place = 'covariance'
        elif line == 'COVARIANCE_STOP':
            place = 'data'
        elif place == 'meta':
            key, equals, value = line.partition('=')
            if not equals:
                raise StationError(f'{line[:40]!r} is not KEYWORD = value', where=source(path, number))
            meta[key.strip()] = value.strip()
        elif place == 'data':
            rows.append((number, line.split()))
    if not rows:
        raise StationError('no positions in it', where=path)
    yield start, meta, rows


def _ephemeris(path: Path, line: int, meta: dict[str, str], rows: _Rows) -> Ephemeris:
    where = source(path, line)
    for key in _REQUIRED:
        if key not in meta:
            raise StationError(f'{key} is missing from the metadata', where=where)
    if meta['CENTER_NAME'].upper() != 'EARTH':
        raise StationError(f'CENTER_NAME is {meta["CENTER_NAME"]}, not EARTH', where=where)
    system = meta['TIME_SYSTEM'].upper()
    if system not in _TAI_MINUS:
        raise StationError(f'TIME_SYSTEM {system} is not supported', where=where, hint=', '.join(_TAI_MINUS))
    written = np.array([_time(path, number, fields) for number, fields in rows], dtype=np.int64)
    usable = [meta.get(key) for key in ('USEABLE_START_TIME', 'USEABLE_STOP_TIME')]
    t_ns = utc_from_tai_ns(written + _TAI_MINUS[system](written))
    limits = _usable(usable, where, system, t_ns)
    km = np.array([_position(path, number, fields) for number, fields in rows])
    itrs_m = 1e3 * _to_itrs(meta['REF_FRAME'], km, t_ns, where)
    return Ephemeris(meta['OBJECT_NAME'], meta['OBJECT_ID'], where, t_ns, itrs_m, limits)


def _usable(texts: list[str | None], where: str, system: str, t_ns: IntArray) -> tuple[int, int]:
    limits = [int(t_ns[0]), int(t_ns[-1])]
    for k, text in enumerate(texts):
        if text is not None:
            written = np.array([_parse(text, where)], dtype=np.int64)
            limits[k] = int(utc_from_tai_ns(written + _TAI_MINUS[system](written))[0])
    return max(limits[0], int(t_ns[0])), min(limits[1], int(t_ns[-1]))


def _time(path: Path, number: int, fields: list[str]) -> int:
    if len(fields) not in (7, 10):
        raise StationError(
            f'{len(fields)} columns, not a time, position, velocity (and acceleration)', where=source(path, number)
        )
    return _parse(fields[0], source(path, number))


def _parse(text: str, where: str) -> int:
    ordinal = re.fullmatch(r'(\d{4})-(\d{3})(T.*)', text)  # year and day of year, as CCSDS allows
    if ordinal is None:
        return parse_utc(text, where)
    start = parse_utc(f'{ordinal[1]}-01-01{ordinal[3]}', where)
    return start + (int(ordinal[2]) - 1) * 86_400_000_000_000


def _position(path: Path, number: int, fields: list[str]) -> list[float]:
    try:
        values = [float(value) for value in fields[1:]]
    except ValueError as error:
        raise StationError(f'not a number: {error}', where=source(path, number)) from error
    if not np.isfinite(values).all():
        raise StationError('a value is not a number', where=source(path, number))
    return values[:3]


def _to_itrs(frame: str, vectors: FloatArray, t_ns: IntArray, where: str) -> FloatArray:
    """Vectors (n, 3) from a named frame into ITRS."""
    name = re.sub(r'[\s_\-]', '', frame.upper())
    if re.fullmatch(r'ITRF(\d{2}|\d{4})?', name):
        return vectors
    time = to_time(t_ns)
    to_gcrs: dict[str, Callable[[], FloatArray]] = {
        'TEME': lambda: np.swapaxes(TEME.rotation_at(time), 0, 1),
        'TOD': lambda: np.swapaxes(true_equator_and_equinox_of_date.rotation_at(time), 0, 1),
        'EME2000': _j2000_to_gcrs,
        'J2000': _j2000_to_gcrs,
        'GCRF': _unchanged,
        'ICRF': _unchanged,
    }
    if name not in to_gcrs:
        raise StationError(f'REF_FRAME {frame} is not supported', where=where, hint=f'ITRF, {", ".join(to_gcrs)}')
    gcrs = _turned(to_gcrs[name](), vectors)
    return _turned(itrs.rotation_at(time), gcrs)


def _unchanged() -> FloatArray:
    return np.eye(3)


def _j2000_to_gcrs() -> FloatArray:
    from skyfield.framelib import ICRS_to_J2000

    return np.asarray(ICRS_to_J2000).T


def _turned(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    """Apply one matrix (3, 3), or one for each vector (3, 3, n), to vectors (n, 3)."""
    subscripts = 'ijn,nj->ni' if matrix.ndim == 3 else 'ij,nj->ni'
    turned: FloatArray = np.einsum(subscripts, matrix, vectors)
    return turned
