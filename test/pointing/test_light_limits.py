"""Keep-out sectors and permitted times: never light inside, and told beforehand along a whole pass."""

from datetime import UTC, datetime
from math import cos, pi, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.pointing.light_limits import LightLimits, in_sector
from qkd_gs.pointing.pass_window import pass_window_nearest, spans_without_light
from qkd_gs.settings.laser_safety import KeepOutSector, LaserSafetySettings
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SITE = load_site('shanghai')


def ns(text):
    return parse_utc(text)


def limits(keep_out='none', permitted_times='any', zone='UTC', **more):
    chosen = LaserSafetySettings(keep_out=keep_out, permitted_times=permitted_times, **more)
    return LightLimits(chosen, zone)


def codes(made, when='2026-11-28T12:00:00Z', az_deg=0.0, el_deg=45.0):
    return [limit.code for limit in made.at(ns(when), radians(az_deg), radians(el_deg))]


SECTORS = st.builds(
    lambda begin, width, low, height: KeepOutSector(
        name='tower', from_az_deg=begin, to_az_deg=begin + width, min_el_deg=low, max_el_deg=min(low + height, 90.0)
    ),
    st.floats(-180, 180),
    st.floats(0.1, 179),
    st.floats(-20, 85),
    st.floats(0.5, 90),
)


@given(SECTORS, st.floats(0, 1), st.floats(0, 1), st.floats(0, radians(20)), st.floats(0, 1), st.floats(0, 2 * pi))
def test_no_direction_within_the_margin_of_a_sector_is_permitted(sector, along, up, margin, part, side):
    az = radians(sector.from_az_deg + along * (sector.to_az_deg - sector.from_az_deg))
    el = radians(sector.min_el_deg + up * (sector.max_el_deg - sector.min_el_deg))
    inside = enu_from_azel(az, el)
    across = np.array([cos(az), -sin(az), 0.0])
    other = np.cross(inside, across)
    angle = 0.999 * part * margin
    near = cos(angle) * inside + sin(angle) * (cos(side) * across + sin(side) * other)
    near_az, near_el = (float(x) for x in azel_from_enu(near))
    assert in_sector(sector, near_az, near_el, margin + 1e-9)  # of rounding


@given(SECTORS, st.floats(-pi, pi), st.floats(-0.3, pi / 2))
def test_without_a_margin_the_sector_is_as_it_is_written(sector, az, el):
    if min(abs(np.degrees(el) - end) for end in (sector.min_el_deg, sector.max_el_deg)) < 1e-6:
        return
    behind = (np.degrees(az) - sector.from_az_deg) % 360
    width = (sector.to_az_deg - sector.from_az_deg) % 360
    if abs(behind - width) < 1e-6 or min(behind, 360 - behind) < 1e-6:
        return
    expected = behind < width and radians(sector.min_el_deg) <= el <= radians(sector.max_el_deg)
    assert in_sector(sector, az, el, 0.0) == expected


def test_a_beam_over_the_top_is_where_it_looks():
    made = limits(keep_out=[{'name': 'mast', 'from_az_deg': 170, 'to_az_deg': 190, 'max_el_deg': 60}])
    assert codes(made, az_deg=0, el_deg=130) == ['laser.keep_out']
    assert codes(made, az_deg=0, el_deg=50) == []


@pytest.mark.parametrize(
    ('times', 'when', 'permitted'),
    [
        ('any', '2026-11-28T12:00:00Z', True),
        (['18:00-06:00'], '2026-11-28T10:30:00Z', True),  # 18:30 in Shanghai
        (['18:00-06:00'], '2026-11-28T09:59:59Z', False),
        (['18:00-06:00'], '2026-11-28T22:00:00Z', False),  # 06:00
        (['18:00-06:00'], '2026-11-28T21:59:59Z', True),
        (['2026-11-28T12:00:00Z/2026-11-28T12:10:00Z'], '2026-11-28T12:09:59Z', True),
        (['2026-11-28T12:00:00Z/2026-11-28T12:10:00Z'], '2026-11-28T12:10:00Z', False),
        (['01:00-02:00', '2026-11-28T12:00:00Z/2026-11-28T12:10:00Z'], '2026-11-28T12:05:00Z', True),
    ],
)
def test_times_are_those_of_the_clock_on_the_wall_or_of_utc(times, when, permitted):
    assert (codes(limits(permitted_times=times, zone='Asia/Shanghai'), when) == []) == permitted


def test_summer_time_moves_the_hours():
    made = limits(permitted_times=['22:00-23:00'], zone='Europe/Vienna')
    assert codes(made, '2026-07-01T20:30:00Z') == []
    assert codes(made, '2026-12-01T20:30:00Z') == ['laser.time']


def test_what_is_not_decided_forbids_light():
    assert codes(LightLimits(LaserSafetySettings(), 'UTC')) == ['laser.times_undecided', 'laser.keep_out_undecided']


@pytest.mark.parametrize(
    'wrong',
    [
        {'permitted_times': []},
        {'keep_out': []},
        {'permitted_times': ['25:00-06:00']},
        {'permitted_times': ['2026-11-28T12:00:00/2026-11-28T13:00:00']},
        {'permitted_times': ['2026-11-28T14:00:00Z/2026-11-28T13:00:00Z']},
        {'permitted_times': 'always'},
        {'keep_out': [{'name': 'tower', 'from_az_deg': 0, 'to_az_deg': 10, 'min_el_deg': 20, 'max_el_deg': 10}]},
        {'aircraft': {'watch': 'maybe'}},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        LaserSafetySettings(**wrong)


def test_the_whole_path_of_a_pass_is_checked_beforehand():
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    window = pass_window_nearest(elements, SITE, ns('2018-10-03T15:56:00Z'), STATION)
    assert spans_without_light(window.predicted, window.start_ns, window.end_ns, STATION, SITE) == ()
    middle_ns = (window.start_ns + window.end_ns) // 2
    until = datetime.fromtimestamp(middle_ns // 10**9, UTC).isoformat()
    seen = window.predicted.at(window.start_ns + 60 * 10**9)
    az_deg = float(np.degrees(seen.az_rad))
    tower = {'name': 'tower', 'from_az_deg': az_deg - 1, 'to_az_deg': az_deg + 1, 'max_el_deg': 90}
    chosen = LaserSafetySettings(keep_out=[tower], permitted_times=[f'2018-10-03T00:00:00Z/{until}'])
    strict = STATION.model_copy(update={'laser_safety': chosen})
    told = spans_without_light(window.predicted, window.start_ns, window.end_ns, strict, SITE)
    assert any("keep-out sector 'tower'" in one for one in told)
    (late,) = (one for one in told if 'outside the permitted times' in one)
    assert 0 <= ns(late.split()[3]) - ns(until) <= 10**9  # samples are a second apart
