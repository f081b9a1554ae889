"""Sites: names, files and coordinates, and the mistakes that are made in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyfield.api import wgs84

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.settings.coordinates import parse_angle
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path

FILE = 'name: Roof\nlatitude_deg: 31.1\nlongitude_deg: 121.5\naltitude_m: 25\n'


@pytest.mark.parametrize(
    'text',
    [
        '-33.8688,151.2093,58',
        '33.8688S,151.2093E,58',
        'S33.8688, E151.2093, 58 m',
        '151.2093 E,33.8688 S,58',
        '33 52 07.68 S, 151 12 33.48 E, 58',
        '33°52\'07.68"S,151°12\'33.48"E,58m',
        '33d52m07.68s S,151d12m33.48s E,58',
        '-33:52:07.68,151:12:33.48,58',
        '33°52.128′ S,151°12.558′ E,58.0',
        '−33.8688,+151.2093,+58',
    ],
)
def test_ways_to_write_a_place(text):
    site = load_site(text)
    assert (site.latitude_deg, site.longitude_deg) == pytest.approx((-33.8688, 151.2093), abs=1e-9)
    assert site.altitude_m == 58


@given(st.floats(0, 89.999), st.sampled_from('NS'))
def test_degrees_minutes_and_seconds_are_the_angle(angle_deg, letter):
    whole, rest = divmod(angle_deg, 1)
    minutes, rest = divmod(rest * 60, 1)
    text = f'{whole:.0f} {minutes:.0f} {min(rest * 60, 59.999999):.6f} {letter}'
    assert parse_angle(text, 'latitude') == pytest.approx(angle_deg if letter == 'N' else -angle_deg, abs=1e-8)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('31.1,121.5', 'the altitude in m is missing'),
        ('31.1E,121.5,25', 'is not a latitude'),
        ('31.1,121.5N,25', 'is not a longitude'),
        ('-31.1S,121.5,25', 'a sign and a letter'),
        ('N31.1S,121.5,25', 'two letters'),
        ('31 60 00 N,121.5,25', '60 minutes'),
        ('31.5 30 N,121.5,25', 'decimals before'),
        ('31,1263,121,5424,25', 'LAT_DEG,LON_DEG,ALT_M'),
        ('31.1,121.5,82ft', 'not an altitude in m'),
        ('91,121.5,25', 'latitude_deg'),
        ('31.1,181,25', 'longitude_deg'),
        ('nan,121.5,25', 'not an angle'),
        ('33 52 7 s,121.5,25', 'not an angle'),
    ],
)
def test_a_place_that_is_none_is_refused(text, message):
    with pytest.raises(StationError, match=f'--site: .*{message}'):
        load_site(text)


def own(tmp_path, text):
    path = tmp_path / 'roof.yaml'
    path.write_text(text)
    return str(path)


def test_a_site_of_ones_own(tmp_path):
    assert load_site(own(tmp_path, FILE)).name == 'Roof'
    quoted = FILE.replace('31.1', '"31 06 00 N"').replace('121.5', "'121°30′W'")
    site = load_site(own(tmp_path, quoted))
    assert (site.latitude_deg, site.longitude_deg) == pytest.approx((31.1, -121.5))
    with pytest.raises(StationError, match=r'nowhere.yaml: cannot be read'):
        load_site(str(tmp_path / 'nowhere.yaml'))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('31.1', '1:17', r'roof.yaml:2: latitude_deg: YAML reads 1:17 as the number 77'),
        ('31.1', '31:07:34.7', r'roof.yaml:2: latitude_deg: YAML reads 31:07:34.7 as the number'),
        ('25', '025', r'roof.yaml:4: altitude_m: YAML reads 025 as the number 21'),
        ('25', 'yes', r'roof.yaml:4: altitude_m: true or false'),
        ('latitude', 'lattitude', r'roof.yaml:2: lattitude_deg is not known, latitude_deg is missing'),
        ('25\n', '25\nheight_m: 3\n', r'roof.yaml:5: height_m is not known'),
        (
            '25\n',
            '25\npressure_mbar: 29.92\n',
            r'roof.yaml:5: pressure_mbar: 29.92 .* about 1010; is it inches',
        ),
        ('25\n', '25\npressure_mbar: 760\n', 'is it mm of mercury'),
        ('25\n', '25\npressure_mbar: 101.3\n', 'is it kPa'),
        ('25\n', '3233\npressure_mbar: 1013\n', 'about 681; is it reduced to sea level'),
        ('31.1', '"31 07 34 E"', r'roof.yaml:2: latitude_deg: .* is not a latitude'),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path, old, new, message):
    with pytest.raises(StationError, match=message):
        load_site(own(tmp_path, FILE.replace(old, new)))


def test_a_negative_latitude_may_be_a_word_of_its_own(capsys):
    elements = str(share_path('config', 'elements', 'micius.tle'))
    span = ['--start', '2018-10-03T00:00:00Z', '--end', '2018-10-03T12:00:00Z']
    assert main(['passes', '--elements', elements, '--site', '-33.8688,151.2093,58', *span]) == 0
    assert 'Passes over -33.8688,151.2093,58' in capsys.readouterr().out


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_the_distance_of_two_places_is_that_of_skyfield(latitude_deg, longitude_deg, north_deg, east_deg):
    site = load_site(f'{latitude_deg:.6f},{longitude_deg:.6f},0')
    other = (site.latitude_deg + north_deg, (site.longitude_deg + east_deg + 180) % 360 - 180)
    chord = wgs84.latlon(*other).itrs_xyz.m - wgs84.latlon(site.latitude_deg, site.longitude_deg).itrs_xyz.m
    assert site.distance_m(*other) == pytest.approx(np.linalg.norm(chord), rel=0.006, abs=1e-3)
