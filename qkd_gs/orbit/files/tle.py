"""Two-line element sets, with or without a name line, several epochs in one file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from sgp4.api import Satrec

from qkd_gs.errors import StationError
from qkd_gs.orbit.files.checks import require_orbit, require_sgp4
from qkd_gs.orbit.identity import parse_designator, parse_number
from qkd_gs.orbit.propagate import MeanElements, source
from qkd_gs.orbit.timescale import DAY_NS

log = logging.getLogger(__name__)

_LENGTH = 69
_NUMBER = r'[A-HJ-NP-Z ][\d ]{3}\d|\d{5}'
# columns of the format (CelesTrak FAQ, "Two-Line Element Set Format"); blanks may stand for leading zeros
_LINE_1 = re.compile(
    rf'1 (?P<number>{_NUMBER})[A-Z ] (?P<designator>[\d ]{{5}}[A-Z ]{{3}}) (?P<year>\d\d)(?P<day>[\d ]{{3}}\.\d{{8}})'
    r' [+\- 0]\.[\d ]{8} [+\- ][\d ]{5}[+\-]\d [+\- ][\d ]{5}[+\-]\d (?P<theory>[\d ]) [\d ]{4}(?P<sum>[\d ])',
    re.ASCII,
)
_LINE_2 = re.compile(
    rf'2 (?P<number>{_NUMBER}) (?P<inclination>[\d ]{{3}}\.\d{{4}}) [\d ]{{3}}\.\d{{4}} [\d ]{{7}} [\d ]{{3}}\.\d{{4}}'
    r' [\d ]{3}\.\d{4} [\d ]{2}\.\d{8}[\d ]{5}(?P<sum>[\d ])',
    re.ASCII,
)
# how a line of a set begins, also one that is cut; a name may begin with the digit, too
_BEGINS = {digit: re.compile(rf'{digit} ({_NUMBER})[A-Z]?( |$)', re.ASCII) for digit in '12'}
_LONG = 60  # a line that begins with the digit and is so long is no name
_SIGN_COLUMN = 33  # of the mean motion's derivative


def read_tle(path: Path, text: str) -> Iterator[MeanElements | StationError]:
    """Every element set of a file.

    Lines may be indented, lack their checksum, or have more columns behind a blank.  The line before a set is its
    name; other lines (comments with #, the text of a bulletin) are skipped.  A set is left out for a wrong checksum,
    a field that is not what its columns ask for, a missing partner, another theory than SGP4, or elements that SGP4
    refuses.
    """
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith('#')]
    name = ''
    unchecked: list[str] = []
    k = 0
    while k < len(lines):
        number, line = lines[k]
        kind = _kind(line)
        if kind == '1' and k + 1 < len(lines) and _kind(lines[k + 1][1]) == '2':
            yield _read(path, name, lines[k], lines[k + 1], unchecked)
            name = ''
            k += 2
            continue
        if kind == '1':
            yield StationError('line 1 of an element set has no line 2 behind it', where=source(path, number))
        elif kind == '2':
            yield StationError('line 2 of an element set has no line 1 before it', where=source(path, number))
        name = '' if kind else line.removeprefix('0 ').strip()
        k += 1
    if unchecked:
        log.warning(
            '%s: %d lines of element sets have no checksum, so damage to their digits goes unnoticed',
            unchecked[0],
            len(unchecked),
        )


def element_set(
    path: Path, name: str, first: tuple[int, str], second: tuple[int, str], unchecked: list[str]
) -> MeanElements:
    """One set from its name and its two lines, each with the number of its line in the file.

    Raises
    ------
    StationError
        The set cannot be used; names file and line.
    """
    one = _match(path, *first, _LINE_1, unchecked)
    two = _match(path, *second, _LINE_2, unchecked)
    if one['number'] != two['number']:
        raise StationError(
            f'line 2 belongs to satellite {two["number"].strip()}, line 1 to {one["number"].strip()}',
            where=source(path, second[0]),
        )
    where = source(path, first[0])
    require_sgp4(one['theory'], where)
    satrec = Satrec.twoline2rv(one.string, two.string)
    require_orbit(satrec, source(path, second[0]))
    number = parse_number(one['number'].replace(' ', '0'))
    designator = parse_designator(one['designator'].strip().replace(' ', '0'))
    identifier = str(number) if number else designator or name or 'unnamed'
    return MeanElements(
        name=name or identifier,
        satellite_id=identifier,
        epoch_ns=_epoch_ns(path, first[0], one),
        satrec=satrec,
        where=where,
        designator=designator,
    )


def _read(
    path: Path, name: str, first: tuple[int, str], second: tuple[int, str], unchecked: list[str]
) -> MeanElements | StationError:
    try:
        return element_set(path, name, first, second, unchecked)
    except StationError as error:
        return error


def _kind(line: str) -> str:
    """'1' or '2' for a line of a set, whole or damaged; empty for any other."""
    digit = line[:1]
    if digit in _BEGINS and (_BEGINS[digit].match(line) or (line[1:2] == ' ' and len(line) >= _LONG)):
        return digit
    return ''


def _match(path: Path, number: int, line: str, pattern: re.Pattern[str], unchecked: list[str]) -> re.Match[str]:
    where = source(path, number)
    if len(line) < _LENGTH - 1 or (len(line) > _LENGTH and not line[_LENGTH].isspace()):
        raise StationError(f'a line of an element set has {len(line)} characters, not {_LENGTH}', where=where)
    line = line[:_LENGTH].ljust(_LENGTH)
    total = sum(int(c) if c.isdecimal() and c.isascii() else c == '-' for c in line[:-1]) % 10
    if line[-1] == ' ':
        unchecked.append(where)
    elif line[-1] != str(total):
        raise StationError(
            f'checksum is {line[-1]!r}, the line sums to {total}', where=where, hint='fetch the elements again'
        )
    if line[_SIGN_COLUMN] == '0' and pattern is _LINE_1:  # 0.00011450 where the format has a sign
        line = f'{line[:_SIGN_COLUMN]} {line[_SIGN_COLUMN + 1 :]}'
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
