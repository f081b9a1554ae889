"""Mean elements read against their maker's library; every way to write them."""

import json
import logging
from math import degrees

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orbit_files import (
    ONE,
    SECOND_NS,
    TWO,
    as_csv,
    as_json,
    as_kvn,
    as_xml,
    omm_fields,
    write,
)
from sgp4.alpha5 import to_alpha5
from sgp4.api import WGS72, Satrec
from sgp4.exporter import export_tle
from skyfield.api import EarthSatellite
from skyfield.framelib import itrs

from qkd_gs.errors import StationError
from qkd_gs.orbit import load_elements
from qkd_gs.orbit.timescale import DAY_NS, format_utc, parse_utc, timescale, to_time


def test_the_repositorys_file_holds_four_epochs(micius):
    assert [orbit.satellite_id for orbit in micius.orbits] == ['41731'] * 4
    assert micius.satellites() == ['41731']
    assert format_utc(micius.orbits[0].epoch_ns, 6) == '2018-09-15T05:25:46.926912Z'
    ours = micius.orbits[0]
    theirs = EarthSatellite(ONE, TWO, ts=timescale())
    t_ns = ours.epoch_ns + np.arange(0, 86400, 1000) * SECOND_NS
    position = theirs.at(to_time(t_ns)).frame_xyz(itrs).m.T
    assert np.abs(ours.itrs_m(t_ns) - position).max() < 1e-3


@pytest.mark.parametrize(
    'text',
    [
        f'{ONE}\n{TWO}\n',
        f'MICIUS\n{ONE}\n{TWO}\n',
        f'0 MICIUS\r\n{ONE}\r\n{TWO}\r\n',
        f'# a comment\n\nMICIUS\n{ONE}   \n{TWO}\n\n',
        '\ufeff' + f'MICIUS\n{ONE}\n{TWO}',
    ],
)
def test_ways_to_write_two_lines(tmp_path, text):
    (orbit,) = load_elements(write(tmp_path, text)).orbits
    assert orbit.name in ('MICIUS', '41731')
    assert orbit.satrec.inclo == pytest.approx(np.radians(97.3609))


@pytest.mark.parametrize('encode', [as_json, as_xml, as_kvn, as_csv])
def test_a_tle_written_as_omm_is_the_same_orbit(tmp_path, micius, encode):
    ours = micius.orbits[0]
    (read,) = load_elements(write(tmp_path, encode(omm_fields(ours.satrec)))).orbits
    assert read.satellite_id == '41731'
    assert read.name == 'MICIUS'
    t_ns = ours.epoch_ns + np.arange(0, 86400, 1000) * SECOND_NS
    assert np.abs(read.itrs_m(t_ns) - ours.itrs_m(t_ns)).max() < 0.01


@settings(max_examples=40, deadline=None)
@given(
    number=st.integers(1, 999_999_999),
    epoch_days=st.floats(11000, 40000),
    eccentricity=st.floats(0, 0.2),
    angles=st.tuples(*[st.floats(0, 360, exclude_max=True)] * 3),
    inclination=st.floats(0, 180),
    revolutions=st.floats(1, 16),
    bstar=st.floats(-1e-3, 1e-2),
    encode=st.sampled_from([as_json, as_xml, as_kvn, as_csv]),
)
def test_elements_survive_every_omm(
    tmp_path_factory, number, epoch_days, eccentricity, angles, inclination, revolutions, bstar, encode
):
    node, perigee, anomaly = angles
    fields = {
        'OBJECT_NAME': 'X',
        'OBJECT_ID': '2016-051A',
        'EPOCH': format_utc(int(epoch_days * 86400) * SECOND_NS + 123_456_000, 6).removesuffix('Z'),
        'MEAN_MOTION': revolutions,
        'ECCENTRICITY': eccentricity,
        'INCLINATION': inclination,
        'RA_OF_ASC_NODE': node,
        'ARG_OF_PERICENTER': perigee,
        'MEAN_ANOMALY': anomaly,
        'NORAD_CAT_ID': number,
        'BSTAR': bstar,
    }
    path = write(tmp_path_factory.mktemp('omm'), encode(fields))
    try:
        (orbit,) = load_elements(path).orbits
    except StationError as error:  # a perigee within the Earth
        if 'SGP4 refuses' not in str(error):
            raise
        return
    satrec = orbit.satrec
    assert orbit.satellite_id == str(number)
    assert format_utc(orbit.epoch_ns, 6) == fields['EPOCH'] + 'Z'
    assert (satrec.jdsatepoch - 2440587.5 + satrec.jdsatepochF) * DAY_NS == pytest.approx(orbit.epoch_ns, abs=2e5)
    assert satrec.ecco == pytest.approx(eccentricity)
    assert degrees(satrec.inclo) == pytest.approx(inclination)
    assert degrees(satrec.nodeo) == pytest.approx(node)
    assert degrees(satrec.argpo) == pytest.approx(perigee)
    assert degrees(satrec.mo) == pytest.approx(anomaly)
    assert satrec.no_kozai * 720 / np.pi == pytest.approx(revolutions)
    assert satrec.bstar == bstar


# the exporter of sgp4 2.27 writes I for 18 and O for 23, letters that the format leaves out
six_digits = st.integers(100_000, 339_999).filter(lambda number: number // 10_000 not in (18, 23))


@settings(max_examples=25, deadline=None)
@given(six_digits, st.floats(0.1, 179.9), st.floats(0, 359.9))
def test_numbers_of_six_digits_in_a_tle(tmp_path_factory, number, inclination, node):
    satrec = Satrec()
    epoch = 25094.22623758
    satrec.sgp4init(WGS72, 'i', number, epoch, 2e-5, 0, 0, 0.0015, 1.8, np.radians(inclination), 1.1, 0.0665, node / 60)
    satrec.classification, satrec.intldesg, satrec.ephtype, satrec.elnum, satrec.revnum = 'U', '16051A', 0, 999, 11584
    lines = export_tle(satrec)
    assert lines[0][2:7] == to_alpha5(number)
    (orbit,) = load_elements(write(tmp_path_factory.mktemp('tle'), '\n'.join(lines))).orbits
    assert orbit.satellite_id == str(number)


def test_the_nearest_set_is_taken_and_its_age_is_said(micius, caplog):
    caplog.set_level(logging.INFO)
    chosen = micius.nearest(parse_utc('2021-04-28T00:00:00Z'))
    assert 'elements of 2021-04-27' in chosen.describe()
    assert '0.6 days old' in caplog.text
    assert caplog.records[-1].levelno == logging.INFO
    assert 'elements of 2021-04-27' in micius.nearest(parse_utc('2021-04-20T00:00:00Z')).describe()
    assert caplog.records[-1].levelno == logging.WARNING
    assert '7.4 days in the future' in caplog.text


def test_old_elements_are_refused_unless_forced(micius):
    t_ns = parse_utc('2019-06-01T00:00:00Z')
    with pytest.raises(StationError, match=r'micius.tle:2: .*more than 60.*--force'):
        micius.nearest(t_ns)
    assert 'elements of 2018-09-15' in micius.nearest(t_ns, force=True).describe()


def test_one_of_several_satellites_must_be_chosen(tmp_path, micius):
    fields = omm_fields(micius.orbits[0].satrec)
    other = fields | {'OBJECT_NAME': 'OTHER', 'NORAD_CAT_ID': '270000'}
    both = load_elements(write(tmp_path, json.dumps([fields, other])))
    assert both.satellites() == ['41731', '270000']
    with pytest.raises(StationError, match='OTHER'):
        both.nearest(micius.orbits[0].epoch_ns)
    assert both.only('other').nearest(micius.orbits[0].epoch_ns).satellite_id == '270000'
    assert both.only('41731').orbits[0].name == 'MICIUS'
    with pytest.raises(StationError, match='no satellite'):
        both.only('MOON')
