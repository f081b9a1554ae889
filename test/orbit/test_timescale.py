import numpy as np
import pytest
from astropy_iers_data import IERS_B_FILE
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import (
    format_utc,
    from_time,
    parse_utc,
    seconds_between,
    tai_minus_utc_ns,
    timescale,
    to_time,
    utc_from_tai_ns,
    utc_julian_date,
)

moments = st.integers(parse_utc('1980-01-01'), parse_utc('2100-01-01'))


@pytest.mark.parametrize(
    ('text', 'offset_s'),
    [
        ('1972-01-01T00:00:00Z', 10),
        ('2015-06-30T23:59:59Z', 35),
        ('2015-07-01T00:00:00Z', 36),
        ('2016-12-31T23:59:59Z', 36),
        ('2017-01-01T00:00:00Z', 37),
        ('2026-11-23T00:00:00Z', 37),
    ],
)
def test_leap_seconds_of_bulletin_c(text, offset_s):
    assert tai_minus_utc_ns(parse_utc(text)) == offset_s * 1_000_000_000


@given(moments)
def test_tai_and_back(t_ns):
    assert utc_from_tai_ns(t_ns + tai_minus_utc_ns(t_ns)) == t_ns


@given(moments)
def test_text_and_back(t_ns):
    assert parse_utc(format_utc(t_ns, 9)) == t_ns


@given(moments)
def test_skyfield_and_back(t_ns):
    assert abs(int(from_time(to_time(t_ns))) - t_ns) <= 1


def test_skyfield_reads_the_same_calendar():
    time = to_time(parse_utc('2018-10-03T15:56:42.25Z'))
    assert time.utc_strftime('%Y-%m-%dT%H:%M:%S') == '2018-10-03T15:56:42'
    assert time - timescale().utc(2018, 10, 3, 15, 56, 42.25) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize('day', ['2005-01-01', '2018-10-03', '2025-09-22'])
def test_ut1_and_pole_are_those_of_the_paris_series(day):
    """EOP C04 is made by another centre than Bulletin A, which the code reads."""
    date = day.split('-')
    with open(IERS_B_FILE, encoding='ascii') as file:
        row = next(r for r in map(str.split, file) if [f'{int(x):02}' for x in r[:3] if x.isdigit()] == date)
    x, y, dut1 = (float(value) for value in row[5:8])
    time = to_time(parse_utc(day))
    assert time.polar_motion_angles()[1:] == pytest.approx((x, y), abs=1e-3)
    assert time.dut1 == pytest.approx(dut1, abs=1e-4)


def test_julian_date_keeps_nanoseconds():
    t_ns = parse_utc('2018-10-03T15:56:42.123456789Z')
    day, fraction = utc_julian_date(t_ns)
    assert day == 2458394.5
    assert round(float(fraction) * 86400e9) == t_ns - parse_utc('2018-10-03')


def test_seconds_are_exact_for_whole_milliseconds():
    start = parse_utc('2018-10-03T15:56:42Z')
    t_ns = start + np.arange(-5, 5) * 1_000_000
    assert np.array_equal(seconds_between(start, t_ns), np.arange(-5, 5) * 1_000_000 * 1e-9)


@pytest.mark.parametrize(
    ('text', 'same'),
    [
        ('2018-10-03T23:56:42+08:00', '2018-10-03T15:56:42Z'),
        ('2018-10-03 15:56', '2018-10-03T15:56:00Z'),
        ('2018-10-03', '2018-10-03T00:00:00Z'),
        ('2018-10-03T15:56:42,5Z', '2018-10-03T15:56:42.500Z'),
        ('2016-12-31T23:59:60Z', '2017-01-01T00:00:00Z'),
        (' 2018-10-03T15:56:42 ', '2018-10-03T15:56:42Z'),
    ],
)
def test_ways_to_write_a_time(text, same):
    assert parse_utc(text) == parse_utc(same)


@pytest.mark.parametrize(
    'text', ['', 'now', '2018-13-03T00:00:00Z', '2018-02-30', '2018-10-03T25:00:00Z', '03.10.2018', '2018-10-03T1:2:3']
)
def test_a_bad_time_names_its_option(text):
    with pytest.raises(StationError, match='--start'):
        parse_utc(text, where='--start')


def test_rounding_carries_into_the_next_day():
    assert format_utc(parse_utc('2018-12-31T23:59:59.9996Z')) == '2019-01-01T00:00:00.000Z'
    assert format_utc(parse_utc('2018-12-31T23:59:59.4Z'), 0) == '2018-12-31T23:59:59Z'
