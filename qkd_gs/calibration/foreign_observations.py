"""Observed stars in the files of other programs: TPOINT and MountWizzard4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import asin, atan2, cos, degrees, pi, radians, sin
from pathlib import Path
from typing import Any

from qkd_gs.calibration.observations import COLUMNS, Observations, load_observations
from qkd_gs.errors import StationError
from qkd_gs.settings.numbers import read_number

_ALTAZ, _EQUATORIAL = 4, 14  # numbers in a line of TPOINT: degrees, or sexagesimal with the sidereal time
_WIZARD = ('raJNowS', 'decJNowS', 'raJNowM', 'decJNowM', 'siderealTime')  # hours, degrees, hours, degrees, hours
_LATITUDE = 'of the site is needed'


def load_any(path: str | Path, latitude_deg: float | None = None) -> Observations:
    """Read observations of our own (CSV), of TPOINT, or of MountWizzard4 (a `.model` file); their content tells which.

    Parameters
    ----------
    latitude_deg : float, optional
        Of the site, where right ascensions have to be turned into azimuths; a TPOINT file has it itself.

    Raises
    ------
    StationError
        As `load_observations`; also observations of an equatorial mount, or a latitude that is not known.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    lines = text.splitlines()
    if text.lstrip().startswith('['):
        return _wizard(path, text, latitude_deg)
    if any(line.startswith(':') for line in lines):
        return _tpoint(path, lines)
    return load_observations(path)


def azel_of(hour_angle_rad: float, dec_rad: float, latitude_rad: float) -> tuple[float, float]:
    """Azimuth from north through east in [0, 2 pi), and elevation, of an hour angle (west positive) and declination."""
    east = -cos(dec_rad) * sin(hour_angle_rad)
    north = sin(dec_rad) * cos(latitude_rad) - cos(dec_rad) * cos(hour_angle_rad) * sin(latitude_rad)
    up = sin(dec_rad) * sin(latitude_rad) + cos(dec_rad) * cos(hour_angle_rad) * cos(latitude_rad)
    return atan2(east, north) % (2 * pi), asin(min(max(up, -1.0), 1.0))


def _tpoint(path: Path, lines: list[str]) -> Observations:
    """A caption, options with a colon, a line that begins with the latitude, observations, END."""
    options = [line[1:].split()[0].upper() for line in lines if line.startswith(':') and line[1:].split()]
    if 'EQUAT' in options:
        raise StationError(
            'holds observations of an equatorial mount',
            where=path,
            hint='the model is that of azimuth and elevation axes',
        )
    last = max(i for i, line in enumerate(lines) if line.startswith(':'))
    rows: list[tuple[float, float, float, float]] = []
    labels: list[str] = []
    site_deg: float | None = None
    for number, line in enumerate(lines[last + 1 :], last + 2):
        words = line.split('!')[0].split()
        if not words or line.startswith('#'):
            continue
        if words[0].upper() == 'END':
            break
        where = f'{path}:{number}'
        if site_deg is None:  # the first line, with the date of the run
            site_deg = _sexagesimal(words[0], [read_number('latitude', word, where, (-90, 90)) for word in words[:3]])
            continue
        rows.append(_tpoint_row(words, where, site_deg))
        labels.append(f'line {number}')
    return _observations(path, rows, labels)


def _tpoint_row(words: list[str], where: str, latitude_deg: float) -> tuple[float, float, float, float]:
    """One line: observed direction, then what the encoders said."""
    if len(words) == _ALTAZ:
        az, el, enc_az, enc_el = (
            radians(read_number(name, word, where, limits, ' deg'))
            for word, (name, limits) in zip(words, COLUMNS.items(), strict=True)
        )
        return az, el, enc_az, enc_el
    if len(words) != _EQUATORIAL:
        raise StationError(
            f'{len(words)} numbers where there should be {_ALTAZ} or {_EQUATORIAL}',
            where=where,
            hint='azimuth and elevation in degrees, or right ascension, declination and sidereal time',
        )
    values = [read_number('column', word, where, (-360, 360)) for word in words]
    sidereal = radians(15 * (values[12] + values[13] / 60))
    found: list[float] = []
    for k in (0, 6):
        ra = radians(15 * _sexagesimal(words[k], values[k : k + 3]))
        dec = radians(_sexagesimal(words[k + 3], values[k + 3 : k + 6]))
        found += azel_of(sidereal - ra, dec, radians(latitude_deg))
    return found[0], found[1], found[2], found[3]


def _sexagesimal(word: str, values: list[float]) -> float:
    size = sum(abs(value) / 60**k for k, value in enumerate(values))
    return float(-size if word.startswith('-') else size)


def _wizard(path: Path, text: str, latitude_deg: float | None) -> Observations:
    """A list of points: where the plate solver found the telescope (S), and what the mount said (M), of date."""
    try:
        points = json.loads(text)
    except json.JSONDecodeError as error:
        raise StationError(f'is not JSON: {error.msg}', where=f'{path}:{error.lineno}') from error
    rows, labels = [], []
    for number, point in enumerate(points, 1):
        where = f'{path}: point {number}'
        if not isinstance(point, Mapping):
            raise StationError('is not a point of a model', where=where)
        if point.get('success') is False:
            continue
        latitude = point.get('latitude', latitude_deg)
        if latitude is None:
            raise StationError(f'the latitude {_LATITUDE}', where=where, hint='name the site: --site')
        latitude_rad = radians(_number(point, 'latitude', where) if 'latitude' in point else float(latitude))
        ra_s, dec_s, ra_m, dec_m, sidereal = (_number(point, name, where) for name in _WIZARD)
        seen = azel_of(radians(15 * (sidereal - ra_s)), radians(dec_s), latitude_rad)
        said = azel_of(radians(15 * (sidereal - ra_m)), radians(dec_m), latitude_rad)
        rows.append((*seen, *said))
        labels.append(f'point {number}')
    return _observations(path, rows, labels)


def _number(point: Mapping[str, Any], name: str, where: str) -> float:
    if name not in point:
        raise StationError(f'{name} is missing', where=where)
    return read_number(name, str(point[name]), where, (-360, 360))


def _observations(path: Path, rows: list[tuple[float, float, float, float]], labels: list[str]) -> Observations:
    if not rows:
        raise StationError('has no observations', where=path)
    low = [label for row, label in zip(rows, labels, strict=True) if degrees(row[1]) < COLUMNS['el_deg'][0]]
    if low:
        raise StationError(
            f'{low[0]} is below the horizon', where=path, hint='is the latitude, or the sidereal time, the right one?'
        )
    return Observations.from_rows(rows, labels)
