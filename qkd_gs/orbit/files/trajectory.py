"""Trajectory file of a planning centre: time, azimuth and elevation of one pass over one site; ``doc/orbits.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.segments import Segment
from qkd_gs.orbit.files.checks import read_float
from qkd_gs.orbit.identity import parse_designator, parse_number
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S
from qkd_gs.orbit.propagate import Orbit, source
from qkd_gs.orbit.search.arc_fit import fit_arc
from qkd_gs.orbit.timescale import format_utc, parse_utc_as_tai
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel, enu_rotation, site_itrs_m
from qkd_gs.settings.site import Site

MAGIC = '# qkd_gs trajectory'
VERSION = 1
_COLUMNS = ('utc', 'az_deg', 'el_deg')
_RANGE = 'range_km'
_KEYS = ('satellite', 'number', 'designator', 'site', 'latitude_deg', 'longitude_deg', 'altitude_m', 'directions')
_CHECKSUM = re.compile(r'^# sha256: ([0-9a-f]{64})\n*\Z', re.MULTILINE)
_FEWEST_ROWS = 10
_SHORTEST_S = 60.0  # with less the range does not follow from the directions
_MARGIN_S = 240.0  # before and after the rows: what a prediction of the pass needs around it
_STEP_S = 10.0
_WRONG_RAD = 1e-3  # worst difference to the fitted orbit


def write_trajectory(
    orbit: Orbit, site: Site, start_ns: int, end_ns: int, step_s: float = 1.0, ranges: bool = True
) -> str:
    """Text of a trajectory file.

    Parameters
    ----------
    start_ns, end_ns : int
        UTC of the first row, and the end of the last.
    step_s : float
        Between rows.
    ranges : bool
        Write the column of ranges.

    Raises
    ------
    StationError
        The orbit does not reach, or the span has fewer than ten rows.
    """
    t_ns = np.arange(start_ns, end_ns + 1, round(step_s * 1e9), dtype=np.int64)
    if len(t_ns) < _FEWEST_ROWS:
        raise StationError(f'{len(t_ns)} rows are too few for a trajectory', hint=f'at least {_FEWEST_ROWS}')
    enu = (orbit.itrs_m(t_ns) - site_itrs_m(site)) @ enu_rotation(site).T
    az, el = (np.degrees(angle) for angle in azel_from_enu(enu))
    range_km = np.linalg.norm(enu, axis=1) / 1e3
    number = parse_number(orbit.satellite_id)
    values = (
        orbit.name, number or '', orbit.designator, site.name, site.latitude_deg, site.longitude_deg, site.altitude_m,
        'geometric',
    )  # fmt: skip
    lines = [f'{MAGIC} {VERSION}', *(f'# {key}: {value}' for key, value in zip(_KEYS, values, strict=True))]
    lines.append(','.join((*_COLUMNS, _RANGE) if ranges else _COLUMNS))
    for t, a, e, r in zip(t_ns.tolist(), az, el, range_km, strict=True):
        lines.append(f'{format_utc(t, 6)},{a:.6f},{e:.6f}' + (f',{r:.6f}' if ranges else ''))
    body = '\n'.join(lines) + '\n'
    return f'{body}# sha256: {sha256(body.encode()).hexdigest()}\n'


def read_trajectory(path: Path, text: str) -> Iterator[Segment]:
    """The orbit that shows at the file's directions: an ephemeris that reaches four minutes beyond its rows.

    Raises
    ------
    StationError
        Naming file and line: another version, a wrong or missing checksum, a missing key, a broken row, or directions
        that are not those of an orbit.
    """
    body = _checked(path, text)
    lines = body.splitlines()
    version = lines[0].removeprefix(MAGIC).strip()
    if version != str(VERSION):
        raise StationError(f'version {version[:10]} of trajectory files is not known', where=source(path, 1), hint='1')
    head = next((k for k, line in enumerate(lines) if not line.startswith('#')), len(lines))
    keys: dict[str, str] = {}
    for line in lines[1:head]:
        key, _, value = line[1:].partition(':')
        keys[key.strip()] = value.strip()
    site = _site(path, keys)
    if keys.get('directions') != 'geometric':
        raise StationError(
            f'directions: {keys.get("directions", "")[:20]!r} is not supported', where=path,
            hint='geometric: without refraction, light-time and aberration',
        )  # fmt: skip
    tai_ns, az_rad, el_rad, range_m = _rows(path, lines, head)
    yield _segment(path, keys, site, tai_ns, enu_from_azel(az_rad, el_rad), range_m)


def _segment(
    path: Path, keys: dict[str, str], site: Site, tai_ns: IntArray, enu: FloatArray, range_m: FloatArray | None
) -> Segment:
    t_s = (tai_ns - tai_ns[0]) * 1e-9
    try:
        arc = fit_arc(t_s, enu @ enu_rotation(site), site_itrs_m(site), range_m, _MARGIN_S)
    except StationError as error:
        raise StationError(error.what, where=path) from error
    if not arc.worst_rad < _WRONG_RAD:
        raise StationError(
            f'the directions are not those of an orbit, the nearest one is up to {arc.worst_rad * 1e3:.1f} mrad off',
            where=path,
        )
    count = int((t_s[-1] + 2 * _MARGIN_S) / _STEP_S)
    rows_s = np.linspace(-_MARGIN_S, t_s[-1] + _MARGIN_S, count + 1)
    position, velocity = arc.states(rows_s)
    rows_ns = tai_ns[0] + np.rint(rows_s * 1e9).astype(np.int64)
    turn = -EARTH_RATE_RAD_S * rows_s[0]  # `Segment` counts the turn from its first row
    c, s = np.cos(turn), np.sin(turn)
    back = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    number = parse_number(keys.get('number', ''))
    designator = parse_designator(keys.get('designator', ''))
    name = keys.get('satellite', '')
    identifier = str(number or '') or designator or name or 'unnamed'
    return Segment(
        name=name or identifier,
        satellite_id=identifier,
        where=str(path),
        tai_ns=rows_ns,
        position_m=position @ back,
        velocity_m_s=velocity @ back,
        spin_rad_s=EARTH_RATE_RAD_S,
        designator=designator,
    )


def _checked(path: Path, text: str) -> str:
    """The text without its last line, which holds the checksum of all before."""
    match = _CHECKSUM.search(text)
    if match is None:
        raise StationError('the last line is not "# sha256: ..."', where=path, hint='the file is cut, or was changed')
    body = text[: match.start()]
    if sha256(body.encode()).hexdigest() != match[1]:
        raise StationError('the checksum is wrong', where=path, hint='get the file again; it was changed on its way')
    return body


def _site(path: Path, keys: dict[str, str]) -> Site:
    values = {}
    for key in ('latitude_deg', 'longitude_deg', 'altitude_m'):
        try:
            values[key] = read_float(keys[key])
        except KeyError as error:
            raise StationError(f'{key} is missing', where=path) from error
        except ValueError as error:
            raise StationError(f'{key}: {error}', where=path) from error
    try:
        return Site(name=keys.get('site') or 'unnamed', **values)
    except ValueError as error:
        raise StationError(
            'latitude_deg, longitude_deg and altitude_m are not a place on the Earth', where=path
        ) from error


def _rows(path: Path, lines: list[str], head: int) -> tuple[IntArray, FloatArray, FloatArray, FloatArray | None]:
    """TAI (ns), azimuth, elevation (rad) and range (m), if there is one, of the rows below the line of columns."""
    columns = [name.strip() for name in lines[head].split(',')] if head < len(lines) else []
    if columns not in ([*_COLUMNS], [*_COLUMNS, _RANGE]):
        known = f'{",".join(_COLUMNS)}[,{_RANGE}]'
        raise StationError('the columns are not known', where=source(path, head + 1), hint=known)
    tai_ns, values = [], []
    for number, line in enumerate(lines[head + 1 :], head + 2):
        where = source(path, number)
        cells = line.split(',')
        if len(cells) != len(columns):
            raise StationError(f'{len(cells)} values where there are {len(columns)} columns', where=where)
        tai_ns.append(parse_utc_as_tai(cells[0], where))
        try:
            row = [read_float(cell) for cell in cells[1:]]
        except ValueError as error:
            raise StationError(str(error), where=where) from error
        if not (-360 <= row[0] <= 720 and -10 <= row[1] <= 90 and (len(row) < 3 or 50 < row[2] < 1e6)):
            raise StationError('azimuth, elevation or range is out of its limits', where=where)
        values.append(row)
    times = np.array(tai_ns, dtype=np.int64)
    if len(times) < _FEWEST_ROWS or times[-1] - times[0] < _SHORTEST_S * 1e9:
        raise StationError(
            f'{len(times)} rows are too few', where=path, hint=f'at least {_FEWEST_ROWS}, over {_SHORTEST_S:.0f} s'
        )
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        raise StationError('the row is not later than the one before it', where=source(path, head + 3 + int(late[0])))
    table = np.array(values)
    range_m = table[:, 2] * 1e3 if table.shape[1] == 3 else None
    return times, np.radians(table[:, 0]), np.radians(table[:, 1]), range_m
