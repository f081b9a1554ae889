"""Which sets belong to one satellite, and how a satellite is found in a file."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orbit_files import KVN, ONE, TWO, omm_fields, tle_with, write
from sgp4.alpha5 import to_alpha5

from qkd_gs.errors import StationError
from qkd_gs.orbit import load_elements
from qkd_gs.orbit.identity import parse_designator, parse_number


@given(st.integers(1, 339_999))
def test_alpha5_numbers_are_those_of_the_sgp4_package(number):
    assert parse_number(to_alpha5(number)) == number


@pytest.mark.parametrize('text', ['2016-051A', '16051A', '2016051A', '16-51A', ' 2016-051a '])
def test_ways_to_write_a_designator(text):
    assert parse_designator(text) == '2016-051A'


@pytest.mark.parametrize('text', ['', '41731', '2016-051', 'MICIUS', '1234567A'])
def test_what_is_no_designator(text):
    assert parse_designator(text) == ''


def test_the_year_of_a_short_designator_is_from_1957_on():
    assert parse_designator('57001B') == '1957-001B'
    assert parse_designator('98067AAA') == '1998-067AAA'


def two_satellites(tmp_path):
    return load_elements(write(tmp_path, tle_with('CUBE-A', number='99999') + tle_with('CUBE-B', number='99999')))


def test_two_names_with_one_number_are_two_satellites(tmp_path):
    both = two_satellites(tmp_path)
    assert both.satellites() == ['CUBE-A (99999)', 'CUBE-B (99999)']
    (chosen,) = both.only('cube-a').orbits
    assert chosen.name == 'CUBE-A'
    with pytest.raises(StationError, match='2 satellites'):
        both.nearest(chosen.epoch_ns)
    with pytest.raises(StationError, match='2 satellites'):
        both.only('99999').nearest(chosen.epoch_ns)
    assert len(both.only('CUBE').orbits) == 2


def test_a_set_without_a_name_belongs_to_the_satellite_of_its_number(tmp_path):
    elements = load_elements(write(tmp_path, f'MICIUS\n{ONE}\n{TWO}\n{ONE}\n{TWO}\n'))
    assert elements.satellites() == ['41731']
    assert len(elements.only('Micius').orbits) == 2


@pytest.mark.parametrize('wanted', ['00900', '900', '1964-063C', '64063C', 'calsphere 1', 'CALSPHERE  1', 'sphere'])
def test_ways_to_name_a_satellite(tmp_path, caplog, wanted):
    caplog.set_level(logging.INFO)
    text = tle_with('CALSPHERE 1', number='00900', designator='64063C') + tle_with('OTHER', number='T0001')
    elements = load_elements(write(tmp_path, text))
    (chosen,) = elements.only(wanted).orbits
    assert chosen.satellite_id == '900'
    assert 'CALSPHERE 1 (900)' in caplog.text
    (other,) = elements.only('t0001').orbits
    assert other.satellite_id == '270001'


def test_the_whole_name_comes_before_a_part_of_one(tmp_path):
    elements = load_elements(write(tmp_path, tle_with('STAR', number='11111') + tle_with('STAR 2', number='22222')))
    assert [orbit.name for orbit in elements.only('star').orbits] == ['STAR']
    with pytest.raises(StationError, match=r"no satellite 'MOON' .it has STAR .11111., STAR 2"):
        elements.only('MOON')


def test_messages_without_a_number_are_told_apart_by_name_and_designator(tmp_path, micius):
    fields = {key: value for key, value in omm_fields(micius.orbits[0].satrec).items() if key != 'NORAD_CAT_ID'}
    other = fields | {'OBJECT_NAME': 'OTHER', 'OBJECT_ID': '2016-051B', 'NORAD_CAT_ID': '0'}
    elements = load_elements(write(tmp_path, json.dumps([fields, other])))
    assert elements.satellites() == ['2016-051A', '2016-051B']
    assert elements.only('2016-051b').orbits[0].name == 'OTHER'


def test_a_message_without_any_name_is_still_an_orbit(tmp_path):
    keep = [line for line in KVN.splitlines() if not line.startswith(('OBJECT', 'NORAD'))]
    (orbit,) = load_elements(write(tmp_path, '\n'.join(keep))).orbits
    assert orbit.name == 'unnamed'
