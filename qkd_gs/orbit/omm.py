"""Orbit mean-elements messages (CCSDS 502.0-B, OMM) as JSON, XML, KVN or CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sgp4 import omm
from sgp4.api import SGP4_ERRORS, Satrec

from qkd_gs.errors import StationError
from qkd_gs.orbit.propagate import MeanElements, source
from qkd_gs.orbit.timescale import format_utc, parse_utc

_ALPHA5_MAX = 339_999  # what fits into the number field of the SGP4 code; larger numbers are kept beside it
_ASSUMED = {  # keyword -> what SGP4 needs it to be, if the message states it
    'CENTER_NAME': ('EARTH',),
    'REF_FRAME': ('TEME', 'TEMEOFDATE', 'TEMEOFEPOCH'),
    'TIME_SYSTEM': ('UTC',),
    'MEAN_ELEMENT_THEORY': ('SGP4', 'SGP', 'SGP/SGP4', 'TLE'),
}


class _Fields(BaseModel):
    """The keywords that SGP4 needs; names and units as CCSDS 502.0-B-3, tables 4-2 and 4-3."""

    model_config = ConfigDict(extra='ignore', frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    OBJECT_NAME: str = ''
    OBJECT_ID: str = ''
    NORAD_CAT_ID: int = Field(ge=1, le=999_999_999)
    EPOCH: str
    MEAN_MOTION: float = Field(gt=0, lt=18, description='rev/day')
    ECCENTRICITY: float = Field(ge=0, lt=1)
    INCLINATION: float = Field(ge=0, le=180, description='deg')
    RA_OF_ASC_NODE: float = Field(ge=-360, le=360, description='deg')
    ARG_OF_PERICENTER: float = Field(ge=-360, le=360, description='deg')
    MEAN_ANOMALY: float = Field(ge=-360, le=360, description='deg')
    BSTAR: float = Field(description='1/Earth radii')
    MEAN_MOTION_DOT: float = 0.0
    MEAN_MOTION_DDOT: float = 0.0
    CLASSIFICATION_TYPE: str = 'U'
    EPHEMERIS_TYPE: int = 0
    ELEMENT_SET_NO: int = 0
    REV_AT_EPOCH: int = 0

    @field_validator('*', mode='before')
    @classmethod
    def _strip(cls, value: Any) -> Any:
        return value.strip() if isinstance(value, str) else value


def read_json(path: Path, text: str) -> list[MeanElements]:
    """Messages as CelesTrak and Space-Track write them: one object, or a list of them."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise StationError(f'not JSON: {error.msg}', where=source(path, error.lineno)) from error
    records = document if isinstance(document, list) else [document]
    lines = [_line_at(text, match.start()) for match in re.finditer(r'"EPOCH"\s*:', text)]
    for k, record in enumerate(records):
        if not isinstance(record, dict):
            raise StationError(f'entry {k + 1} is not an orbit mean-elements message', where=path)
    exact = len(lines) == len(records)
    return [_elements(record, source(path, lines[k] if exact else 1)) for k, record in enumerate(records)]


def read_xml(path: Path, text: str, root: ET.Element) -> list[MeanElements]:
    """`<omm>` elements, alone or within `<ndm>`; `root` is the parsed `text`."""
    found = []
    starts = [_line_at(text, match.start()) for match in re.finditer(r'<([\w.-]+:)?segment[\s>]', text)]
    for k, segment in enumerate(root.iterfind('.//{*}segment')):
        fields = {leaf.tag.rpartition('}')[2]: leaf.text or '' for leaf in segment.iter() if len(leaf) == 0}
        found.append(_elements(fields, source(path, starts[k] if k < len(starts) else 1)))
    return found


def parse_xml(path: Path, text: str) -> ET.Element:
    """Root of an XML document; StationError with the line if the text is not XML."""
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise StationError(f'not XML: {error.msg}', where=source(path, error.position[0])) from error


def read_kvn(path: Path, text: str) -> list[MeanElements]:
    """`KEYWORD = value` lines; each CCSDS_OMM_VERS line begins a message."""
    return [_elements(fields, source(path, line)) for line, fields in _kvn_messages(path, text)]


def read_csv(path: Path, text: str) -> list[MeanElements]:
    """A line of keywords, then one message a line."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    found = []
    try:
        for row in rows:
            where = source(path, rows.line_num)
            if None in row or None in row.values():
                raise StationError('the line has not as many fields as the first one', where=where)
            found.append(_elements(row, where))
    except csv.Error as error:
        raise StationError(f'not CSV: {error}', where=source(path, rows.line_num)) from error
    return found


def _kvn_messages(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    start, fields = 0, dict[str, str]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith('COMMENT'):
            continue
        key, equals, value = line.partition('=')
        if not equals:
            raise StationError(f'{line[:40]!r} is not KEYWORD = value', where=source(path, number))
        key = key.strip()
        if key == 'CCSDS_OMM_VERS':
            if fields:
                yield start, fields
            start, fields = number, {}
        elif key in fields:
            raise StationError(f'{key} is given twice', where=source(path, number))
        fields[key] = re.sub(r'\s*\[[^\]]*\]\s*$', '', value).strip()  # units in brackets are allowed
    if fields:
        yield start, fields


def _elements(record: Mapping[str, Any], where: str) -> MeanElements:
    for key, accepted in _ASSUMED.items():
        if record.get(key) and re.sub(r'[\s_]', '', str(record[key])).upper() not in accepted:
            raise StationError(f'{key} is {record[key]}, SGP4 needs {accepted[0]}', where=where)
    try:  # an empty optional field means the same as a missing one
        fields = _Fields.model_validate({key: value for key, value in record.items() if value not in (None, '')})
    except ValidationError as error:
        first = error.errors()[0]
        raise StationError(f'{first["loc"][0]}: {first["msg"]}', where=where) from error
    epoch_ns = parse_utc(fields.EPOCH, where=f'{where}: EPOCH')
    satrec = Satrec()
    omm.initialize(satrec, _for_sgp4(fields, epoch_ns))
    if satrec.error:
        raise StationError(f'SGP4 refuses the elements: {SGP4_ERRORS[satrec.error]}', where=where)
    return MeanElements(
        name=fields.OBJECT_NAME or str(fields.NORAD_CAT_ID),
        satellite_id=str(fields.NORAD_CAT_ID),
        epoch_ns=epoch_ns,
        satrec=satrec,
        where=where,
    )


def _for_sgp4(fields: _Fields, epoch_ns: int) -> dict[str, Any]:
    values = fields.model_dump()
    values['EPOCH'] = format_utc(epoch_ns, 6).removesuffix('Z')
    if fields.NORAD_CAT_ID > _ALPHA5_MAX:
        values['NORAD_CAT_ID'] = 0
    return values


def _line_at(text: str, position: int) -> int:
    return text.count('\n', 0, position) + 1
