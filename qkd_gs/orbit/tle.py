"""Two-line element sets, with or without a name line, several epochs in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from sgp4.alpha5 import from_alpha5
from sgp4.api import SGP4_ERRORS, Satrec

from qkd_gs.errors import StationError
from qkd_gs.orbit.propagate import MeanElements, source
from qkd_gs.orbit.timescale import DAY_NS

_LENGTH = 69
_NUMBER = r'[A-HJ-NP-Z ][\d ]{3}\d|\d{5}'
# columns of the format (CelesTrak FAQ, "Two-Line Element Set Format"); blanks may stand for leading zeros
_LINE_1 = re.compile(
    rf'1 (?P<number>{_NUMBER})[A-Z ] (?P<designator>[\d ]{{5}}[A-Z ]{{3}}) (?P<year>\d\d)(?P<day>[\d ]{{3}}\.\d{{8}})'
    r' [+\- ]\.[\d ]{8} [+\- ][\d ]{5}[+\-]\d [+\- ][\d ]{5}[+\-]\d [\d ] [\d ]{4}(?P<sum>\d)',
    re.ASCII,
)
_LINE_2 = re.compile(
    rf'2 (?P<number>{_NUMBER}) (?P<inclination>[\d ]{{3}}\.\d{{4}}) [\d ]{{3}}\.\d{{4}} [\d ]{{7}} [\d ]{{3}}\.\d{{4}}'
    r' [\d ]{3}\.\d{4} [\d ]{2}\.\d{8}[\d ]{5}(?P<sum>\d)',
    re.ASCII,
)


def read_tle(path: Path, text: str) -> list[MeanElements]:
    """Every element set of a file; blank lines and lines that start with # are skipped.

    Raises
    ------
    StationError
        Naming file and line: wrong length, checksum, a field that is not what its columns ask for, a line 2
        without its line 1, two lines of different satellites, elements that SGP4 refuses.
    """
    lines = [(i, line.rstrip()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith('#')]
    return list(_sets(path, lines))


def _sets(path: Path, lines: list[tuple[int, str]]) -> Iterator[MeanElements]:
    name = ''
    k = 0
    while k < len(lines):
        number, line = lines[k]
        if line.startswith('1 '):
            if k + 1 == len(lines) or not lines[k + 1][1].startswith('2 '):
                raise StationError('line 1 of an element set has no line 2 behind it', where=source(path, number))
            yield _element_set(path, name, lines[k], lines[k + 1])
            name = ''
            k += 2
        elif line.startswith('2 ') and len(line) > 50:
            raise StationError('line 2 of an element set has no line 1 before it', where=source(path, number))
        elif name:
            raise StationError(f'{line[:30]!r} is neither line 1 of an element set nor its name',
                               where=source(path, number))  # fmt: skip
        else:
            name = line.removeprefix('0 ').strip()
            k += 1
    if name:
        raise StationError(f'{name[:30]!r} has no element set behind it', where=source(path, lines[-1][0]))


def _element_set(path: Path, name: str, first: tuple[int, str], second: tuple[int, str]) -> MeanElements:
    one = _match(path, *first, _LINE_1)
    two = _match(path, *second, _LINE_2)
    if one['number'] != two['number']:
        raise StationError(
            f'line 2 belongs to satellite {two["number"].strip()}, line 1 to {one["number"].strip()}',
            where=source(path, second[0]),
        )
    satrec = Satrec.twoline2rv(first[1], second[1])
    if satrec.error:
        raise StationError(f'SGP4 refuses the elements: {SGP4_ERRORS[satrec.error]}', where=source(path, second[0]))
    number = str(from_alpha5(one['number'].replace(' ', '0')))
    return MeanElements(
        name=name or number,
        satellite_id=number,
        epoch_ns=_epoch_ns(path, first[0], one),
        satrec=satrec,
        where=source(path, first[0]),
    )


def _match(path: Path, number: int, line: str, pattern: re.Pattern[str]) -> re.Match[str]:
    where = source(path, number)
    if len(line) != _LENGTH:
        raise StationError(f'a line of an element set has {len(line)} characters, not {_LENGTH}', where=where)
    total = sum(int(c) if c.isdecimal() and c.isascii() else c == '-' for c in line[:-1]) % 10
    if line[-1] != str(total):
        raise StationError(
            f'checksum is {line[-1]!r}, the line sums to {total}', where=where, hint='fetch the elements again'
        )
    match = pattern.fullmatch(line)
    if match is None:
        raise StationError('a field of the element set is not a number in its columns', where=where,
                           hint='fetch the elements again')  # fmt: skip
    return match


def _epoch_ns(path: Path, number: int, line: re.Match[str]) -> int:
    year = int(line['year'])
    day = Decimal(line['day'].replace(' ', '0'))
    if not 1 <= day < 367:
        raise StationError(f'day {day} of the epoch is not a day of a year', where=source(path, number))
    start = datetime(year + (2000 if year < 57 else 1900), 1, 1, tzinfo=UTC)
    return int(start.timestamp()) * 1_000_000_000 + int((day - 1) * DAY_NS)
