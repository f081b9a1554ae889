"""Files of orbit mean-elements messages: JSON, XML, KVN or CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.orbit.files.omm import read_message, require_unit
from qkd_gs.orbit.propagate import MeanElements, source

_Entries = Iterator[MeanElements | StationError]

_UNIT = re.compile(r'\s*\[([^\]]*)\]\s*$')
_ELEMENT_KEYS = {'EPOCH', 'MEAN_MOTION', 'LINE1', 'TLE1', 'TLE_LINE1', 'TLE'}
_DEEPEST = 10  # level of a JSON document at which entries are looked for
_TWICE = '__given_twice__'


def read_json(path: Path, text: str) -> _Entries:
    """Messages as CelesTrak and Space-Track write them: one object, or a list of them, also within other objects."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise StationError(f'not JSON: {error.msg}', where=source(path, error.lineno)) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits; too many brackets
        raise StationError(f'not JSON that can be read: {str(error)[:80]}', where=path) from error
    records = list(_records(document))
    lines = [
        _line_at(text, match.start()) for match in re.finditer(r'"(?:EPOCH|tle_?(?:line)?_?1|line_?1)"\s*:', text, re.I)
    ]
    exact = len(lines) == len(records)
    for k, record in enumerate(records):
        where = source(path, lines[k] if exact else 1)
        if not isinstance(record, dict):
            yield StationError(f'entry {k + 1} is not an orbit mean-elements message', where=path)
        elif _TWICE in record:
            yield StationError(f'{record[_TWICE]} is given twice', where=where)
        else:
            yield read_message(path, record, where)


def read_xml(path: Path, text: str, root: ET.Element) -> _Entries:
    """`<omm>` elements, alone or within `<ndm>`; `root` is the parsed `text`."""
    starts = [_line_at(text, match.start()) for match in re.finditer(r'<([\w.-]+:)?segment[\s>]', text)]
    for k, segment in enumerate(root.iterfind('.//{*}segment')):
        where = source(path, starts[k] if k < len(starts) else 1)
        try:
            yield read_message(path, _leaves(segment, where), where)
        except StationError as error:
            yield error


def parse_xml(path: Path, text: str) -> ET.Element:
    """Root of an XML document; StationError with the line if the text is not XML."""
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise StationError(f'not XML: {error.msg}', where=source(path, error.position[0])) from error
    except ValueError as error:  # an encoding named in its head that a text cannot have
        raise StationError(f'not XML: {error}', where=source(path, 1)) from error


def read_kvn(path: Path, text: str) -> _Entries:
    """`KEYWORD = value` lines; each CCSDS_OMM_VERS line begins a message."""
    for start, lines in _kvn_messages(text):
        where = source(path, start)
        try:
            yield read_message(path, _kvn_fields(path, lines), where)
        except StationError as error:
            yield error


def read_csv(path: Path, text: str) -> _Entries:
    """A line of keywords, then one message a line."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield StationError(f'not CSV: {error}', where=source(path, rows.line_num))
            return
        if row is None:
            return
        where = source(path, rows.line_num)
        if None in row or None in row.values():
            yield StationError('the line has not as many fields as the first one', where=where)
        else:
            yield read_message(path, row, where)


def _records(document: Any, depth: int = 0) -> Iterator[Any]:
    """The entries of a JSON document: a list's, or those of the lists and objects in an object without elements."""
    if isinstance(document, list):
        for one in document:
            yield from _records(one, depth + 1) if isinstance(one, dict) else [one]
    elif isinstance(document, dict) and depth < _DEEPEST:
        inner = [value for value in document.values() if isinstance(value, list | dict)]
        if inner and not _ELEMENT_KEYS & {str(key).upper() for key in document}:
            for value in inner:
                if not isinstance(value, list) or any(isinstance(one, dict) for one in value):
                    yield from _records(value, depth + 1)
        else:
            yield document
    else:
        yield document


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found[_TWICE] = next(key for key in keys if keys.count(key) > 1)
    return found


def _leaves(segment: ET.Element, where: str) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for leaf in segment.iter():
        if len(leaf) == 0:
            key = leaf.tag.rpartition('}')[2] if isinstance(leaf.tag, str) else ''
            unit = leaf.get('units')
            if unit is not None:
                require_unit(key, unit, where)
            if key in fields and key not in ('COMMENT', 'USER_DEFINED'):
                raise StationError(f'{key} is given twice', where=where)
            fields[key] = (leaf.text or '').strip()
    return fields


def _kvn_messages(text: str) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Messages as the number of their first line, and their numbered lines without comments."""
    start, lines = 0, list[tuple[int, str]]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.upper().startswith(('COMMENT', '#')):
            continue
        if line.partition('=')[0].strip() == 'CCSDS_OMM_VERS' and lines:
            yield start, lines
            lines = []
        start = start if lines else number
        lines.append((number, line))
    if lines:
        yield start, lines


def _kvn_fields(path: Path, lines: list[tuple[int, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for number, line in lines:
        where = source(path, number)
        key, equals, value = line.partition('=')
        if not equals:
            raise StationError(f'{line[:40]!r} is not KEYWORD = value', where=where)
        key = key.strip()
        if key in fields:
            raise StationError(f'{key} is given twice', where=where)
        unit = _UNIT.search(value)
        if unit is not None:
            require_unit(key, unit[1], where)
        fields[key] = _UNIT.sub('', value).strip()
    return fields


def _line_at(text: str, position: int) -> int:
    return text.count('\n', 0, position) + 1
