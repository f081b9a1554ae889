"""Orbit mean-elements messages (CCSDS 502.0-B, OMM): one message with its keywords becomes one set of elements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import pi
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from sgp4.api import WGS72, Satrec

from qkd_gs.errors import StationError
from qkd_gs.orbit.files.checks import require_orbit, require_sgp4
from qkd_gs.orbit.files.tle import element_set
from qkd_gs.orbit.identity import parse_designator
from qkd_gs.orbit.propagate import MeanElements
from qkd_gs.orbit.timescale import DAY_NS, parse_utc

_ALPHA5_MAX = 339_999  # what fits into the number field of the SGP4 code; larger numbers are kept beside it
_SGP4_DAY_ZERO_NS = -631_238_400_000_000_000  # 1949-12-31
_FIRST_YEAR = 1957
_SECOND_NS = 1_000_000_000
_ASSUMED = {  # keyword -> what SGP4 needs it to be, if the message states it
    'CENTER_NAME': ('EARTH',),
    'REF_FRAME': ('TEME', 'TEMEOFDATE', 'TEMEOFEPOCH'),
    'TIME_SYSTEM': ('UTC',),
    'MEAN_ELEMENT_THEORY': ('SGP4', 'SGP', 'SGP/SGP4', 'TLE'),
}
_UNITS = {  # keyword -> the unit that the format prescribes, as it is written in brackets or as an attribute
    'MEAN_MOTION': ('REV/DAY',),
    'INCLINATION': ('DEG',),
    'RA_OF_ASC_NODE': ('DEG',),
    'ARG_OF_PERICENTER': ('DEG',),
    'MEAN_ANOMALY': ('DEG',),
    'BSTAR': ('1/ER',),
    'MEAN_MOTION_DOT': ('REV/DAY**2',),
    'MEAN_MOTION_DDOT': ('REV/DAY**3',),
}
_TLE_LINE = re.compile(r'(?:TLE_?)?(?:LINE_?)?([012])')


def _plain(value: Any) -> Any:
    """Refuse what only Python takes for a number."""
    if isinstance(value, bool) or (isinstance(value, str) and '_' in value):
        raise ValueError(f'{value!r} is not a number')
    return value


_Number = Annotated[float, BeforeValidator(_plain)]
_Whole = Annotated[int, BeforeValidator(_plain)]


class _Fields(BaseModel):
    """The keywords that SGP4 needs; names and units as CCSDS 502.0-B-3, tables 4-2 and 4-3."""

    model_config = ConfigDict(extra='ignore', frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)

    OBJECT_NAME: str = ''
    OBJECT_ID: str = ''
    NORAD_CAT_ID: _Whole = Field(default=0, ge=0, le=999_999_999)
    EPOCH: str
    EPOCH_MICROSECONDS: _Whole = Field(default=0, ge=0, le=999_999)  # of older files of Space-Track
    MEAN_MOTION: _Number = Field(gt=0, lt=18, description='rev/day')
    ECCENTRICITY: _Number = Field(ge=0, lt=1)
    INCLINATION: _Number = Field(ge=0, le=180, description='deg')
    RA_OF_ASC_NODE: _Number = Field(ge=-360, le=360, description='deg')
    ARG_OF_PERICENTER: _Number = Field(ge=-360, le=360, description='deg')
    MEAN_ANOMALY: _Number = Field(ge=-360, le=360, description='deg')
    BSTAR: _Number = Field(ge=-10, le=10, description='1/Earth radii')
    MEAN_MOTION_DOT: _Number = 0.0
    MEAN_MOTION_DDOT: _Number = 0.0
    CLASSIFICATION_TYPE: str = Field(default='U', max_length=1)
    EPHEMERIS_TYPE: str = '0'

    @field_validator('*', mode='before')
    @classmethod
    def _strip(cls, value: Any) -> Any:
        return value.strip() if isinstance(value, str) else value


def read_message(path: Path, record: Mapping[str, Any], where: str) -> MeanElements | StationError:
    """One message; keywords of any case, null and empty values count as missing.

    A message that holds the lines of a TLE instead of elements is read from them.
    """
    fields: dict[str, Any] = {}
    for key, value in record.items():
        name = str(key).strip().upper()
        if value is None or value == '':
            continue
        if name in fields and fields[name] != value:
            return StationError(f'{name} is given twice', where=where)
        fields[name] = value
    try:
        if 'MEAN_MOTION' not in fields:
            lines = _tle_lines(fields)
            if lines is not None:
                number = int(where.rpartition(':')[2])
                return element_set(path, lines[0], (number, lines[1]), (number, lines[2]), [])
        return _elements(fields, where)
    except StationError as error:
        return error


def require_unit(key: str, unit: str, where: str) -> None:
    """Raise StationError if a keyword is given in another unit than the format's."""
    known = _UNITS.get(key)
    if known is not None and re.sub(r'\s', '', unit).upper() not in known:
        raise StationError(f'{key} is in {unit!r}, not in {known[0].lower()!r}', where=where)


def _tle_lines(fields: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Name and lines of a TLE among the fields of a record, as databases of elements have them."""
    found = {}
    for key, value in fields.items():
        match = _TLE_LINE.fullmatch(key)
        if match is not None and isinstance(value, str):
            found[match[1]] = value.strip()
    both = fields.get('TLE')
    if isinstance(both, str):
        lines = [line.strip() for line in both.splitlines() if line.strip()]
        found.update({line[0]: line for line in lines[-2:] if line[0] in '12'})
    if '1' not in found or '2' not in found:
        return None
    name = found.get('0', '').removeprefix('0 ').strip()
    return name or str(fields.get('OBJECT_NAME', fields.get('NAME', ''))).strip(), found['1'], found['2']


def _elements(record: Mapping[str, Any], where: str) -> MeanElements:
    for key, accepted in _ASSUMED.items():
        if record.get(key) and re.sub(r'[\s_]', '', str(record[key])).upper() not in accepted:
            raise StationError(f'{key} is {str(record[key])[:40]}, SGP4 needs {accepted[0]}', where=where)
    require_sgp4(str(record.get('EPHEMERIS_TYPE', '0')).strip(), where)
    if 'BSTAR' not in record and ('BTERM' in record or 'AGOM' in record):
        raise StationError('BTERM and AGOM instead of BSTAR are of a set for SGP4-XP', where=where)
    try:
        fields = _Fields.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise StationError(f'{first["loc"][0]}: {first["msg"]}', where=where) from error
    epoch_ns = _epoch_ns(fields, where)
    satrec = Satrec()
    radians_per_degree = pi / 180
    satrec.sgp4init(
        WGS72,
        'i',
        fields.NORAD_CAT_ID if fields.NORAD_CAT_ID <= _ALPHA5_MAX else 0,
        (epoch_ns - _SGP4_DAY_ZERO_NS) / DAY_NS,
        fields.BSTAR,
        fields.MEAN_MOTION_DOT / (1440.0**2 / (2 * pi)),
        fields.MEAN_MOTION_DDOT / (1440.0**3 / (2 * pi)),
        fields.ECCENTRICITY,
        fields.ARG_OF_PERICENTER * radians_per_degree,
        fields.INCLINATION * radians_per_degree,
        fields.MEAN_ANOMALY * radians_per_degree,
        fields.MEAN_MOTION / 720.0 * pi,
        fields.RA_OF_ASC_NODE * radians_per_degree,
    )
    require_orbit(satrec, where)
    designator = parse_designator(fields.OBJECT_ID)
    identifier = str(fields.NORAD_CAT_ID or '') or fields.OBJECT_ID or fields.OBJECT_NAME or 'unnamed'
    return MeanElements(
        name=fields.OBJECT_NAME or identifier,
        satellite_id=identifier,
        epoch_ns=epoch_ns,
        satrec=satrec,
        where=where,
        designator=designator,
    )


def _epoch_ns(fields: _Fields, where: str) -> int:
    """Epoch, with the microseconds that some files have beside it."""
    where = f'{where}: EPOCH'
    epoch_ns = parse_utc(fields.EPOCH, where=where)
    if int(fields.EPOCH[:4]) < _FIRST_YEAR:
        raise StationError(f'{fields.EPOCH} is before the first satellite', where=where)
    beside_ns = fields.EPOCH_MICROSECONDS * 1000
    written_ns = epoch_ns % _SECOND_NS
    if beside_ns and written_ns and abs(written_ns - beside_ns) >= 1000:
        raise StationError(f'{fields.EPOCH} and EPOCH_MICROSECONDS {fields.EPOCH_MICROSECONDS} differ', where=where)
    return epoch_ns if written_ns else epoch_ns + beside_ns
