"""Consolidated prediction format of the laser-ranging service (ILRS CPF, versions 1 and 2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.propagate import Ephemeris, source
from qkd_gs.orbit.timescale import DAY_NS

_MJD_OF_UNIX_EPOCH = 40587
_NAME_FIELD = {'1': 9, '2': 10}  # of record H1, by version
_BODY_FIXED = '0'


def read_cpf(path: Path, text: str) -> list[Ephemeris]:
    """The positions of one file: ITRF, metres, UTC, as they are (direction flag 0, geometric at one instant).

    Raises
    ------
    StationError
        Naming file and line: unknown version, another frame than the body-fixed one, a broken record, records
        for transmit or receive directions (they hold light-time already), no positions.
    """
    name = number = ''
    times: list[int] = []
    positions: list[list[float]] = []
    for line_number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        where = source(path, line_number)
        try:
            match fields[0].upper() if fields else '':
                case 'H1':
                    name = fields[_name_field(fields[2], where)]
                case 'H2':
                    number = fields[3] if int(fields[3]) else fields[1]
                    _require_body_fixed(fields[19], where)
                case '10':
                    times.append(_time_ns(fields, where))
                    positions.append([float(value) for value in fields[5:8]])
                    if len(positions[-1]) != 3:
                        raise StationError('a position has not three coordinates', where=where)
                case '99':
                    break
        except (IndexError, ValueError) as error:
            if isinstance(error, StationError):
                raise
            raise StationError(f'record {fields[0]} is broken: {error}', where=where) from error
    if not times or not number:
        raise StationError('no positions (records H1, H2 and 10) in it', where=path)
    array = np.array(positions)
    if not np.isfinite(array).all():
        raise StationError('a position is not a number', where=path)
    return [Ephemeris(name, str(number), str(path), np.array(times, dtype=np.int64), array)]


def _name_field(version: str, where: str) -> int:
    if version not in _NAME_FIELD:
        raise StationError(f'version {version} of CPF is not known', where=where, hint='1 or 2')
    return _NAME_FIELD[version]


def _require_body_fixed(frame: str, where: str) -> None:
    if frame != _BODY_FIXED:
        raise StationError(f'reference frame {frame} of CPF is not supported', where=where, hint='0, body-fixed ITRF')


def _time_ns(fields: list[str], where: str) -> int:
    if fields[1] != '0':
        raise StationError(
            f'direction flag is {fields[1]}', where=where, hint='only instantaneous positions (0) are supported'
        )
    seconds, _, fraction = fields[3].partition('.')
    fraction_ns = int(fraction.ljust(9, '0')[:9])
    return (int(fields[2]) - _MJD_OF_UNIX_EPOCH) * DAY_NS + int(seconds) * 1_000_000_000 + fraction_ns
