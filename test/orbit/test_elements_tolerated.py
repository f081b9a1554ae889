"""Files of elements as they are found: what is read all the same, and what costs only itself."""

import json

import numpy as np
import pytest
from orbit_files import (
    KVN,
    ONE,
    SECOND_NS,
    TWO,
    as_csv,
    as_json,
    as_kvn,
    as_xml,
    omm_fields,
    tle_with,
    with_checksum,
    with_line,
    write,
)

from qkd_gs.errors import StationError
from qkd_gs.orbit import find_passes, load_elements
from qkd_gs.orbit.timescale import DAY_NS, parse_utc

BULLETIN = f'HR AMSAT ORBITAL ELEMENTS\nTO ALL RADIO AMATEURS BT\n\nMICIUS\n{ONE}\n{TWO}\n\n/EX\n'
NO_CHECKSUM = f'MICIUS\n{ONE[:-1]}\n{TWO[:-1]}\n'


@pytest.mark.parametrize(
    'text',
    [
        BULLETIN,
        NO_CHECKSUM,
        f'  MICIUS\n\t{ONE}\n   {TWO}\n',
        f'MICIUS\n{ONE}      0.0\n{TWO}      0.0      1440.0        20.00\n',
        f'MICIUS\n{ONE.replace("  .00000492", " 0.00000492")}\n{TWO}\n',
        f'QSS\nMICIUS\n{ONE}\n{TWO}\nTIANGONG\n',
        f'MICIUS\n{ONE[:62]} {ONE[63:]}\n{TWO}\n',
        f'MICIUS\r{ONE}\r{TWO}\r\x1a',
        json.dumps([{'tle0': '0 MICIUS', 'tle1': ONE, 'tle2': TWO, 'norad_cat_id': 41731}]),
        json.dumps({'member': [{'satelliteId': 41731, 'name': 'MICIUS', 'line1': ONE, 'line2': TWO}]}),
        json.dumps({'info': {'satid': 1}, 'tle': f'{ONE}\r\n{TWO}'}),
        json.dumps([{'TLE_LINE0': '0 MICIUS', 'TLE_LINE1': ONE, 'TLE_LINE2': TWO}]),
        KVN.replace('2018-09-15T', '2018-258T'),
        KVN.replace('CCSDS_OMM_VERS = 2.0\n', '# from somewhere\n'),
        KVN.replace('NORAD_CAT_ID = 41731\n', ''),
        KVN.replace('= 41731', '= 0'),
        KVN + 'REV_AT_EPOCH = 12345678901234567890\nELEMENT_SET_NO = 99999999999\n',
        KVN.lower().replace('= sgp4', '= SGP4').replace('t05:', 'T05:').replace('ccsds_omm_vers', 'CCSDS_OMM_VERS'),
    ],
)
def test_elements_that_are_read_all_the_same(tmp_path, micius, text):
    (orbit,) = load_elements(write(tmp_path, text)).orbits
    ours = micius.orbits[0]
    t_ns = ours.epoch_ns + np.arange(0, 86400, 5000) * SECOND_NS
    assert np.abs(orbit.itrs_m(t_ns) - ours.itrs_m(t_ns)).max() < 0.01
    assert orbit.name.upper() in ('MICIUS', '41731')


def test_missing_checksums_are_warned_of(tmp_path, caplog):
    load_elements(write(tmp_path, NO_CHECKSUM))
    assert 'elements.txt:2: 2 lines of element sets have no checksum' in caplog.text


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-8-sig', 'latin-1'])
def test_encodings_of_a_text(tmp_path, encoding):
    path = tmp_path / 'x.tle'
    path.write_bytes(f'ÑUSAT-1\n{ONE}\n{TWO}\n'.encode(encoding))
    assert load_elements(path).orbits[0].name == 'ÑUSAT-1'


def test_a_name_may_begin_like_a_line(tmp_path):
    (orbit,) = load_elements(write(tmp_path, f'1 HOPPER\n{ONE}\n{TWO}\n')).orbits
    assert orbit.name == '1 HOPPER'


def bad_entries(micius):
    fields = omm_fields(micius.orbits[0].satrec)
    worse = fields | {'OBJECT_NAME': 'WORSE', 'NORAD_CAT_ID': '5', 'BSTAR': ''}
    good_xml, bad_xml = (as_xml(one).partition('<ndm>')[2].removesuffix('</ndm>') for one in (fields, worse))
    lines = as_csv(worse).splitlines()
    return {
        'tle': tle_with('MICIUS') + tle_with('WORSE')[:-2] + '7\n',
        'json': json.dumps([worse, fields]),
        'json no object': json.dumps([fields, 7]),
        'json twice': as_json(fields).replace(']', ', {"EPOCH": 1, "EPOCH": 2, "MEAN_MOTION": 3}]'),
        'xml': f'<ndm>{bad_xml}{good_xml}</ndm>',
        'kvn': as_kvn(worse) + as_kvn(fields),
        'csv': f'{lines[0]}\n{lines[1]}\n{as_csv(fields).splitlines()[1]}\n1,2\n',
    }


@pytest.mark.parametrize('form', ['tle', 'json', 'json no object', 'json twice', 'xml', 'kvn', 'csv'])
def test_a_bad_entry_costs_itself(tmp_path, caplog, micius, form):
    elements = load_elements(write(tmp_path, bad_entries(micius)[form]))
    assert [orbit.name for orbit in elements.orbits] == ['MICIUS']
    assert 'elements.txt' in caplog.text
    assert 'the entry is left out' in caplog.text


def test_many_bad_entries_are_summed_up(tmp_path, caplog, micius):
    fields = omm_fields(micius.orbits[0].satrec)
    load_elements(write(tmp_path, json.dumps([fields] + [fields | {'BSTAR': None}] * 20)))
    assert len(caplog.records) == 6
    assert '15 more entries are left out' in caplog.text


def test_a_web_page_is_named_as_one(tmp_path):
    page = '<!DOCTYPE html>\n<html><head><title>\n 403 Forbidden</title></head><body><p>wait<br></body></html>'
    with pytest.raises(
        StationError, match=r"elements.txt: is a web page, not orbit data, its title is '403 Forbidden'"
    ):
        load_elements(write(tmp_path, page))
    with pytest.raises(StationError, match=r"not a known format .* begins with 'No GP data found'"):
        load_elements(write(tmp_path, 'No GP data found'))


REFUSED = {
    'type 4': (f'{with_checksum(ONE[:62] + "4" + ONE[63:])}\n{TWO}', ':1: .* SGP4-XP'),
    'type 1': (f'{with_checksum(ONE[:62] + "1" + ONE[63:])}\n{TWO}', ':1: ephemeris type 1'),
    'omm type 4': (KVN + 'EPHEMERIS_TYPE = 4\n', 'SGP4-XP'),
    'bterm': (with_line(KVN, 17, lambda _: 'BTERM = 0.02'), 'SGP4-XP'),
    'unit': (KVN.replace('[rev/day]', '[rad/s]'), "MEAN_MOTION is in 'rad/s'"),
    'microseconds differ': (KVN + 'EPOCH_MICROSECONDS = 5\n', 'differ'),
    'year 1': (KVN.replace('2018-09-15', '0001-01-01'), 'the year 1 '),
    'year 1950': (KVN.replace('2018-09-15', '1950-01-01'), 'before the first satellite'),
    'year 9999': (KVN.replace('2018-09-15', '9999-01-01'), 'the year 9999 '),
    'day 366 of 2018': (KVN.replace('2018-09-15', '2018-366'), 'no day 366'),
    'word': (KVN + 'CLASSIFICATION_TYPE = UNCLASSIFIED\n', 'CLASSIFICATION_TYPE'),
    'underscore': (KVN.replace('97.3609', '9_7.3609'), 'INCLINATION'),
    'truth': ('[{"EPOCH": "2018-09-15", "MEAN_MOTION": true}]', 'MEAN_MOTION'),
    'long number': ('[{"EPOCH": ' + '1' * 5000 + '}]', 'JSON'),
    'deep': ('[' * 100_000, 'JSON'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_would_be_taken_for_something_else_is_refused(tmp_path, case):
    text, message = REFUSED[case]
    with pytest.raises(StationError, match=message):
        load_elements(write(tmp_path, text))


def test_microseconds_beside_the_epoch_are_honoured(tmp_path, micius):
    text = KVN.replace('05:25:46.926912', '05:25:46') + 'EPOCH_MICROSECONDS = 926912\n'
    assert load_elements(write(tmp_path, text)).orbits[0].epoch_ns == micius.orbits[0].epoch_ns


def reentering():
    """An orbit 280 km up with so much drag that it lasts two days."""
    fields = dict(line.split(' = ') for line in KVN.splitlines() if ' = ' in line and '[' not in line)
    return fields | {'OBJECT_NAME': 'FALLING', 'OBJECT_ID': '', 'NORAD_CAT_ID': '5', 'MEAN_MOTION': '15.92',
                     'BSTAR': '0.045', 'ECCENTRICITY': '0.0014'}  # fmt: skip


def test_a_satellite_that_has_re_entered_is_refused(tmp_path, shanghai):
    elements = load_elements(write(tmp_path, as_json(reentering())))
    (orbit,) = elements.orbits
    start_ns = orbit.epoch_ns + 6 * DAY_NS
    with pytest.raises(StationError, match=r'FALLING .* cannot be propagated to .* has re-entered by then'):
        find_passes(elements, shanghai, start_ns, start_ns + DAY_NS)
    with pytest.raises(StationError, match='cannot be propagated'):
        orbit.itrs_m(np.array([orbit.epoch_ns - 7 * DAY_NS]))
    radius_m = np.linalg.norm(orbit.itrs_m(orbit.epoch_ns + np.arange(0, 36000, 600) * SECOND_NS), axis=1)
    assert radius_m.max() < 6.8e6


def test_passes_until_the_re_entry_are_listed(tmp_path, shanghai, caplog):
    elements = load_elements(write(tmp_path, as_json(reentering())))
    start_ns = elements.orbits[0].epoch_ns
    passes = find_passes(elements, shanghai, start_ns, start_ns + 5 * DAY_NS, 0.0)
    assert passes
    assert passes[-1].set_ns < start_ns + 3 * DAY_NS
    assert 'only this part of the requested time is searched' in caplog.text


def test_elements_without_a_position_are_refused(tmp_path):
    """SGP4 divides by the sine of the inclination of a high orbit, and tells no error."""
    text = KVN.replace('15.24673830', '5.24673830').replace('97.3609', '1e-320')
    (orbit,) = load_elements(write(tmp_path, text)).orbits
    with pytest.raises(StationError, match='SGP4 gives no position'):
        orbit.itrs_m(np.array([orbit.epoch_ns]))


def test_a_fallen_satellite_costs_itself(tmp_path, shanghai, caplog, micius):
    both = load_elements(write(tmp_path, json.dumps([reentering(), omm_fields(micius.orbits[0].satrec)])))
    start_ns = parse_utc('2018-10-03')
    passes = find_passes(both, shanghai, start_ns, start_ns + DAY_NS)
    assert {one.satellite for one in passes} == {'MICIUS'}
    assert 'the satellite is left out' in caplog.text


def test_elements_that_live_for_years_are_believed_for_years(micius):
    caught = micius.orbits[0].reach_ns(parse_utc('2000-01-01'), parse_utc('2040-01-01'))
    assert caught == (parse_utc('2000-01-01'), parse_utc('2040-01-01'))
