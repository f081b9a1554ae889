"""Consolidated prediction format of the laser-ranging service (ILRS CPF, versions 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.segments import Segment
from qkd_gs.orbit.files.checks import read_float, read_int
from qkd_gs.orbit.identity import parse_designator
from qkd_gs.orbit.propagate import source
from qkd_gs.orbit.timescale import DAY_NS, tai_minus_utc_ns

_MJD_OF_UNIX_EPOCH = 40587
_MJD_RANGE = range(36000, 100000)  # 1957 to 2132
_NAME_FIELD = {'1': 9, '2': 10}  # of record H1, by version
_BODY_FIXED = '0'
_COMMON_EPOCH = '0'  # direction flag: geometric positions of one instant; 1 and 2 hold light-time already
_SECOND_NS = 1_000_000_000
_LARGEST_M = 1e12


@dataclass
class _Block:
    """One prediction: everything from an H1 to the next."""

    line: int
    name: str = ''
    number: str = ''
    designator: str = ''
    tai_ns: list[int] = field(default_factory=list)
    position_m: list[list[float]] = field(default_factory=list)
    directed: int = 0  # rows for the direction of transmission or reception
    error: StationError | None = None


def read_cpf(path: Path, text: str) -> Iterator[Segment | StationError]:
    """The predictions of a file, mostly one: ITRF, metres.

    A prediction is left out for an unknown version, another frame than the body-fixed one, a broken record, no
    positions, or positions for the direction of transmission or reception alone.
    """
    block = _Block(0)
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        record = fields[0].upper() if fields else ''
        where = source(path, number)
        if record == 'H1':
            if block.line:
                yield _segment(path, block)
            block = _Block(number)
        if block.error is not None:
            continue
        try:
            _read_record(block, record, fields, where)
        except StationError as error:
            block.error = error
        except (IndexError, ValueError) as error:
            block.error = StationError(f'record {fields[0][:10]} is broken: {error}', where=where)
    yield _segment(path, block)


def _read_record(block: _Block, record: str, fields: list[str], where: str) -> None:
    match record:
        case 'H1':
            block.name = fields[_name_field(fields[2], where)]
        case 'H2':
            block.number = str(read_int(fields[3]) or '')
            block.designator = _designator(fields[1])
            if fields[19] != _BODY_FIXED:
                raise StationError(
                    f'reference frame {fields[19]} of CPF is not supported', where=where, hint='0, body-fixed ITRF'
                )
        case '10' if fields[1] != _COMMON_EPOCH:
            block.directed += 1
        case '10':
            block.tai_ns.append(_tai_ns(fields))
            position_m = [read_float(value) for value in fields[5:8]]
            if len(position_m) != 3:
                raise StationError('a position has not three coordinates', where=where)
            if not max(map(abs, position_m)) < _LARGEST_M:
                raise StationError('a position is not a number', where=where)
            block.position_m.append(position_m)


def _segment(path: Path, block: _Block) -> Segment | StationError:
    if block.error is not None:
        return block.error
    where = source(path, max(block.line, 1))
    if not block.tai_ns and block.directed:
        return StationError(
            f'its direction flag is 1 or 2 in all {block.directed} positions', where=where,
            hint='only instantaneous positions (0) are supported',
        )  # fmt: skip
    identifier = block.number or block.designator or block.name
    if not block.tai_ns or not identifier:
        return StationError('no positions (records H1, H2 and 10) in it', where=where)
    try:
        return Segment(
            name=block.name,
            satellite_id=identifier,
            where=where,
            tai_ns=np.array(block.tai_ns, dtype=np.int64),
            position_m=np.array(block.position_m),
            designator=block.designator,
        )
    except StationError as error:
        return error


def _name_field(version: str, where: str) -> int:
    if version not in _NAME_FIELD:
        raise StationError(f'version {version[:10]} of CPF is not known', where=where, hint='1 or 2')
    return _NAME_FIELD[version]


def _designator(cospar: str) -> str:
    """International designator of the format's number: YYXXXAA, the letter as a number."""
    digits = cospar.rjust(7, '0')
    if not (digits.isascii() and digits.isdigit() and len(digits) == 7 and 1 <= int(digits[5:]) <= 26):
        return ''
    return parse_designator(f'{digits[:5]}{chr(ord("A") + int(digits[5:]) - 1)}')


def _tai_ns(fields: list[str]) -> int:
    """Time of a position record; beyond a leap second that its flag tells of, the old count of seconds goes on."""
    day, leap_s = read_int(fields[2]), read_int(fields[4])
    if day not in _MJD_RANGE or abs(leap_s) > 1:
        raise ValueError(f'day {day} or leap second flag {leap_s}'[:80])
    seconds, _, fraction = fields[3].partition('.')
    second_ns = read_int(seconds) * _SECOND_NS + read_int(fraction.ljust(9, '0')[:9])
    if not 0 <= second_ns <= DAY_NS + _SECOND_NS:
        raise ValueError(f'{fields[3][:20]} is not a second of a day')
    utc_ns = (day - _MJD_OF_UNIX_EPOCH) * DAY_NS + second_ns
    return utc_ns + int(tai_minus_utc_ns(utc_ns)) - leap_s * _SECOND_NS
