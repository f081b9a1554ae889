"""Geographic coordinates as text: decimal degrees, or degrees, minutes and seconds, with a sign or a letter."""

from __future__ import annotations

import re

_NUMBER = r'\d+(?:\.\d*)?|\.\d+'
_BEFORE = r'(?P<before>[NSEWnew])?\s*(?P<sign>[-+−])?\s*'
_AFTER = r'\s*(?P<after>[NSEWnew])?'
_ANGLES = (  # with symbols, colons or blanks; with letters: there a small s is seconds, so it is never the south
    re.compile(
        rf'{_BEFORE}(?P<deg>{_NUMBER})\s*[°:]?(?:\s*(?P<min>{_NUMBER})\s*[\'′’:]?)?'
        rf'(?:\s*(?P<sec>{_NUMBER})\s*(?:["″”]|\'\')?)?{_AFTER}',
        re.ASCII,
    ),
    re.compile(
        rf'{_BEFORE}(?P<deg>{_NUMBER})\s*d(?:eg)?(?:\s*(?P<min>{_NUMBER})\s*m)?(?:\s*(?P<sec>{_NUMBER})\s*s)?{_AFTER}',
        re.ASCII,
    ),
)
_ALTITUDE = re.compile(rf'[-+−]?(?:{_NUMBER})\s*m?', re.IGNORECASE | re.ASCII)
_POSITIVE, _NEGATIVE = 'NE', 'SW'
_LETTERS = {'latitude': 'NS', 'longitude': 'EW'}


def parse_angle(text: str, kind: str) -> float:
    """Degrees of a latitude or longitude, north and east positive.

    ``31.1263``, ``-33.8688``, ``33.8688 S``, ``N31 07 34.7``, ``31°07'34.7"N``, ``31:07:34.7``.

    Parameters
    ----------
    kind : str
        ``'latitude'`` or ``'longitude'``.

    Raises
    ------
    ValueError
        Not such an angle; the letter of the other direction; sign and letter; 60 minutes or more.
    """
    match = next((found for pattern in _ANGLES if (found := pattern.fullmatch(text.strip()))), None)
    if match is None:
        raise ValueError(f'{text.strip()!r} is not an angle such as 31.1263, 31 07 34.7 N or -33.8688')
    letter = (match['before'] or match['after'] or '').upper()
    if match['before'] and match['after']:
        raise ValueError(f'{text.strip()!r} has two letters')
    if letter and letter not in _LETTERS[kind]:
        raise ValueError(f'{text.strip()!r} is not a {kind}')
    if letter and match['sign']:
        raise ValueError(f'{text.strip()!r} has a sign and a letter')
    parts = [match['deg'], match['min'], match['sec']]
    given = [part for part in parts if part is not None]
    if any('.' in part for part in given[:-1]):
        raise ValueError(f'{text.strip()!r} has decimals before its last part')
    degrees, minutes, seconds = (float(part or 0) for part in parts)
    if minutes >= 60 or seconds >= 60:
        raise ValueError(f'{text.strip()!r} has 60 minutes or seconds, or more')
    value = degrees + minutes / 60 + seconds / 3600
    return -value if letter in tuple(_NEGATIVE) or (match['sign'] or '+') in '-−' else value


def parse_place(text: str) -> tuple[float, float, float]:
    """Latitude, longitude (deg) and altitude (m) of ``LAT,LON,ALT``; with letters also ``LON,LAT,ALT``.

    Raises
    ------
    ValueError
        Not three parts, or one that is not what it should be.
    """
    parts = [part.strip() for part in text.split(',')]
    if len(parts) != 3:
        missing = ', the altitude in m is missing' if len(parts) == 2 else ''
        raise ValueError(f'{text!r} is not LAT_DEG,LON_DEG,ALT_M{missing}')
    first, second, altitude = parts
    if re.search(r'[EW]', first, re.IGNORECASE) and re.search(r'[NS]\s*$|^\s*[NS]', second, re.IGNORECASE):
        first, second = second, first
    if not _ALTITUDE.fullmatch(altitude):
        raise ValueError(f'{altitude!r} is not an altitude in m')
    altitude_m = float(altitude.replace('−', '-').rstrip('mM'))
    return parse_angle(first, 'latitude'), parse_angle(second, 'longitude'), altitude_m
