"""Checks that the formats share."""

from __future__ import annotations

from math import pi

from sgp4.api import SGP4_ERRORS, Satrec

from qkd_gs.errors import StationError

_SGP4_TYPES = ('', ' ', '0', '2', '3')  # not told, SGP4, SDP4 (a part of SGP4)
_XP_TYPE = '4'
_HINT = 'get the set of type 0'


def require_sgp4(ephemeris_type: str, where: str) -> None:
    """Raise StationError unless an ephemeris type is SGP4's."""
    if ephemeris_type == _XP_TYPE:
        raise StationError(
            'ephemeris type 4 is a set for SGP4-XP, which SGP4 would propagate wrongly', where=where, hint=_HINT
        )
    if ephemeris_type not in _SGP4_TYPES:
        raise StationError(f'ephemeris type {ephemeris_type} is not of SGP4', where=where, hint=_HINT)


def require_orbit(satrec: Satrec, where: str) -> None:
    """Raise StationError unless the elements are those of an orbit that SGP4 takes."""
    if satrec.error:
        raise StationError(f'SGP4 refuses the elements: {SGP4_ERRORS[satrec.error]}', where=where)
    if not satrec.no_kozai > 0:
        raise StationError('the mean motion is zero', where=where)
    if not satrec.inclo <= pi:
        raise StationError('the inclination is more than 180 deg', where=where)


def read_float(text: str) -> float:
    """A decimal number; ValueError for anything else, also for what only Python takes for one (``1_000``)."""
    if '_' in text or not text.isascii():
        raise ValueError(f'{text[:20]!r} is not a number')
    return float(text)


def read_int(text: str) -> int:
    """A whole number, as `read_float`."""
    if '_' in text or not text.isascii() or len(text) > 18:
        raise ValueError(f'{text[:20]!r} is not a whole number')
    return int(text)
