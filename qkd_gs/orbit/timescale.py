"""UTC as integer nanoseconds since the Unix epoch; conversion to TAI, Skyfield times and text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
from astropy_iers_data import IERS_A_FILE
from skyfield.data import iers
from skyfield.timelib import Time, Timescale

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError

DAY_NS = 86_400_000_000_000
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX_EPOCH_JD = 2440587.5
_TT_MINUS_TAI_NS = 32_184_000_000
_YEARS = range(1900, 2200)  # what integer nanoseconds and the libraries can hold, with room
_LARGEST_ZONE_S = 14 * 3600
_ISO = re.compile(
    r'(\d{4})-(?:(\d{2})-(\d{2})|(\d{3}))'  # month and day, or the day of the year, as CCSDS allows
    r'(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,18}))?)?\s*(Z|[+-]\d{2}:?[0-5]\d)?)?',
    re.ASCII,
)


@cache
def timescale() -> Timescale:
    """Leap seconds, UT1 and polar motion of the IERS (Bulletin A), as installed; nothing is downloaded.

    Beyond the bulletin's predictions (about one year) Skyfield continues UT1 by its long-term model and
    polar motion by the last value.
    """
    with open(IERS_A_FILE, 'rb') as file:
        rows = iers.parse_x_y_dut1_from_finals_all(file)
    daily_tt, daily_delta_t, leap_dates, leap_offsets = iers.build_timescale_arrays(rows['utc_mjd'], rows['dut1'])
    scale = Timescale((daily_tt, daily_delta_t), leap_dates, leap_offsets)
    iers.install_polar_motion_table(scale, rows)
    return scale


@cache
def _leap_table() -> tuple[IntArray, IntArray]:
    """UTC (ns) from which each offset holds, and the offsets TAI - UTC (ns); the first row is before 1972."""
    scale = timescale()
    starts_ns = ((scale.leap_dates - _UNIX_EPOCH_JD) * 86400).round().astype(np.int64) * 1_000_000_000
    offsets_ns = np.concatenate(([scale.leap_offsets[0] - 1], scale.leap_offsets)).astype(np.int64) * 1_000_000_000
    return starts_ns, offsets_ns


def tai_minus_utc_ns(t_ns: int | IntArray) -> IntArray:
    """TAI - UTC, ns, at UTC `t_ns`; a whole number of seconds.

    Unix time gives an inserted second the number of the next one, so times within it are ambiguous.
    """
    starts_ns, offsets_ns = _leap_table()
    found: IntArray = offsets_ns[np.searchsorted(starts_ns, t_ns, side='right')]
    return found


def utc_from_tai_ns(tai_ns: int | IntArray) -> IntArray:
    """UTC, ns since the Unix epoch, of a TAI count of ns since 1970-01-01 00:00:00 TAI."""
    starts_ns, offsets_ns = _leap_table()
    utc: IntArray = tai_ns - offsets_ns[np.searchsorted(starts_ns + offsets_ns[1:], tai_ns, side='right')]
    return utc


def to_time(t_ns: int | IntArray) -> Time:
    """Skyfield time of UTC `t_ns`, good to 0.01 ns."""
    tt_ns = np.asarray(t_ns, dtype=np.int64) + tai_minus_utc_ns(t_ns) + _TT_MINUS_TAI_NS
    whole, rest = np.divmod(tt_ns, DAY_NS)
    return timescale().tt_jd(whole + _UNIX_EPOCH_JD, rest / DAY_NS)


def from_time(time: Time) -> IntArray:
    """UTC, ns since the Unix epoch, of a Skyfield time; rounded to about 0.01 ns of it, then to 1 ns."""
    days = np.asarray(time.whole) - _UNIX_EPOCH_JD
    whole = np.floor(days).astype(np.int64)
    rest_ns = np.rint((days - whole + np.asarray(time.tt_fraction)) * DAY_NS).astype(np.int64)
    return utc_from_tai_ns(whole * DAY_NS + rest_ns - _TT_MINUS_TAI_NS)


def seconds_between(origin_ns: int, t_ns: IntArray) -> FloatArray:
    """Seconds (n,) from `origin_ns` to `t_ns` (n,), exact to 0.1 ns over three months."""
    return (np.asarray(t_ns, dtype=np.int64) - origin_ns).astype(np.float64) * 1e-9


def utc_julian_date(t_ns: int | IntArray) -> tuple[FloatArray, FloatArray]:
    """UTC Julian date for SGP4: days up to midnight, and the fraction of the day."""
    whole, rest = np.divmod(np.asarray(t_ns, dtype=np.int64), DAY_NS)
    return whole + _UNIX_EPOCH_JD, rest / DAY_NS


def parse_utc(text: str, where: str | None = None) -> int:
    """Nanoseconds since the Unix epoch (UTC) of an ISO 8601 time such as ``2018-10-03T15:56:42.5Z``.

    A time without a zone is UTC; ``+08:00`` and the like are converted; a date alone is its first moment; ``2018-276``
    is the 276th day of 2018.  Digits beyond the nanosecond are cut.  Unix time has no number for a moment within an
    inserted second: it becomes the same moment of the next one.

    Raises
    ------
    StationError
        Not such a time, no such date, or a year not from 1900 to 2199; `where` names the option or the file and line.
    """
    t_ns, in_leap_second = _parse(text, where)
    return t_ns + 1_000_000_000 * in_leap_second


def parse_utc_as_tai(text: str, where: str | None = None) -> int:
    """TAI, ns since 1970-01-01 00:00:00 TAI, of an ISO 8601 time in UTC; exact within an inserted second, too.

    Errors are those of `parse_utc`.
    """
    t_ns, in_leap_second = _parse(text, where)
    return t_ns + int(tai_minus_utc_ns(t_ns)) + 1_000_000_000 * in_leap_second


def _parse(text: str, where: str | None) -> tuple[int, bool]:
    """Unix time, ns, and whether the text has second 60: then the time is that of second 59."""
    match = _ISO.fullmatch(text.strip())
    hint = 'write it like 2018-10-03T15:56:42Z'
    if match is None:
        raise StationError(f'{text[:40]!r} is not an ISO 8601 time', where=where, hint=hint)
    year, month, day, day_of_year, hour, minute, second = (int(group or 0) for group in match.groups()[:7])
    fraction_ns = int((match[8] or '').ljust(9, '0')[:9])
    if year not in _YEARS:
        raise StationError(f'the year {year} is not from {_YEARS[0]} to {_YEARS[-1]}', where=where)
    in_leap_second = second == 60
    try:
        first = datetime(year, month or 1, day or 1, hour, minute, 59 if in_leap_second else second, tzinfo=UTC)
    except ValueError as error:
        raise StationError(f'{text[:40]!r} is not a time: {error}', where=where, hint=hint) from error
    moment = first + timedelta(days=max(day_of_year - 1, 0))
    if match[4] and (moment.year != year or not day_of_year):
        raise StationError(f'{text[:40]!r} is not a time: the year has no day {day_of_year}', where=where, hint=hint)
    zone_s = _zone_seconds(match[9])
    if abs(zone_s) > _LARGEST_ZONE_S:
        raise StationError(f'{text[:40]!r} has a zone of more than 14 hours', where=where, hint=hint)
    since = moment - _UNIX_EPOCH
    return (since.days * 86400 + since.seconds - zone_s) * 1_000_000_000 + fraction_ns, in_leap_second


def _zone_seconds(zone: str | None) -> int:
    if zone in (None, 'Z'):
        return 0
    assert zone is not None
    digits = zone[1:].replace(':', '')
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == '-' else seconds


def format_utc(t_ns: int, digits: int = 3) -> str:
    """ISO 8601 UTC with `digits` (0 to 9) decimals of the second, rounded, e.g. ``2018-10-03T15:56:42.123Z``."""
    unit_ns = 10 ** (9 - digits)
    units = (int(t_ns) + unit_ns // 2) // unit_ns
    seconds, fraction = divmod(units, 10**digits)
    stamp = (_UNIX_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')
    return f'{stamp}.{fraction:0{digits}d}Z' if digits else f'{stamp}Z'


def basic_utc(t_ns: int) -> str:
    """ISO 8601 UTC in the basic format, rounded to the second: names of files have it, e.g. ``20181003T155642Z``."""
    return format_utc(t_ns, 0).replace(':', '').replace('-', '')
