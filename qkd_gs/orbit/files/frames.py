"""Reference frames and time systems of orbit ephemeris messages."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from skyfield.framelib import (
    ICRS_to_J2000,
    itrs,
    mean_equator_and_equinox_of_date,
    true_equator_and_equinox_of_date,
)
from skyfield.sgp4lib import TEME
from skyfield.timelib import Time, tdb_minus_tt

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S
from qkd_gs.orbit.rotation import polar_motion, turn_z, turned
from qkd_gs.orbit.timescale import DAY_NS, parse_utc, parse_utc_as_tai, to_time, utc_from_tai_ns

_TT_MINUS_TAI_NS = 32_184_000_000
_GPS_MINUS_TAI_NS = -19_000_000_000
_UNIX_EPOCH_JD = 2440587.5
_CRUST = ('ITRS', 'WGS84', 'ECEF')  # beside ITRF of any year; WGS 84 agrees within centimetres
_ROTATING = ('GTOD', 'TDR', 'GRC')  # of date, without polar motion

_FROM_GCRS: dict[str, Callable[[Time], FloatArray]] = {
    'TEME': TEME.rotation_at,
    'TEMEOFDATE': TEME.rotation_at,
    'TOD': true_equator_and_equinox_of_date.rotation_at,
    'MOD': mean_equator_and_equinox_of_date.rotation_at,
    'EME2000': lambda _: np.asarray(ICRS_to_J2000),
    'J2000': lambda _: np.asarray(ICRS_to_J2000),
    'GCRF': lambda _: np.eye(3),
    'ICRF': lambda _: np.eye(3),
}


def to_tai(text: str, system: str, where: str) -> int:
    """TAI, ns since 1970-01-01 TAI, of a time written in a time system of OEM.

    Raises
    ------
    StationError
        No such time, or another system than UTC, TAI, TT, TDB and GPS.
    """
    if system == 'UTC':
        return parse_utc_as_tai(text, where)
    written_ns = parse_utc(text, where)
    match system:
        case 'TAI':
            return written_ns
        case 'GPS':
            return written_ns - _GPS_MINUS_TAI_NS
        case 'TT' | 'TDT':
            return written_ns - _TT_MINUS_TAI_NS
        case 'TDB':
            apart_s = float(tdb_minus_tt(written_ns / DAY_NS + _UNIX_EPOCH_JD))
            return written_ns - _TT_MINUS_TAI_NS - round(apart_s * 1e9)
    raise StationError(f'TIME_SYSTEM {system[:20]} is not supported', where=where, hint='UTC, TAI, TT, TDB, GPS')


def to_earth_fixed(
    frame: str,
    position: FloatArray,
    velocity: FloatArray | None,
    tai_ns: IntArray,
    epoch_tai_ns: int | None,
    where: str,
) -> tuple[FloatArray, FloatArray | None, float]:
    """Positions (n, 3) and velocities of a named frame as `Segment` has them, and the spin of their frame, rad/s.

    Parameters
    ----------
    epoch_tai_ns : int, optional
        Time at which a frame of date is meant, if it is not each row's own.

    Raises
    ------
    StationError
        Another frame than ITRF (any year), TEME, TOD, MOD, EME2000 (J2000), GCRF, ICRF, GTOD, TDR and GRC.
    """
    name = re.sub(r'[\s_\-]', '', frame.upper())
    if re.fullmatch(r'ITRF(\d{2}|\d{4})?', name) or name in _CRUST:
        return position, velocity, 0.0
    time = to_time(utc_from_tai_ns(tai_ns))
    if name in _ROTATING:
        slow = None if velocity is None else polar_motion(velocity, time)
        return polar_motion(position, time), slow, 0.0
    if name not in _FROM_GCRS:
        raise StationError(
            f'REF_FRAME {frame[:20]} is not supported',
            where=where,
            hint=f'ITRF, {", ".join([*_FROM_GCRS, *_ROTATING])}',
        )
    of_date = time if epoch_tai_ns is None else to_time(int(utc_from_tai_ns(epoch_tai_ns)))
    to_gcrs = np.swapaxes(_FROM_GCRS[name](of_date), 0, 1)
    to_itrs = itrs.rotation_at(time)
    back = EARTH_RATE_RAD_S * (tai_ns - tai_ns[0]) * 1e-9
    columns = [
        None if vectors is None else turn_z(turned(to_itrs, turned(to_gcrs, vectors)), back)
        for vectors in (position, velocity)
    ]
    assert columns[0] is not None
    return columns[0], columns[1], EARTH_RATE_RAD_S
