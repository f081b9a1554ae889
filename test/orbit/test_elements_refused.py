"""Every kind of broken orbit file is refused by name and line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orbit_files import (
    KVN,
    ONE,
    SECOND_NS,
    TWO,
    as_csv,
    as_json,
    as_xml,
    cpf_text,
    oem_text,
    omm_fields,
    with_line,
    write,
)

from qkd_gs.errors import StationError
from qkd_gs.orbit import load_elements
from qkd_gs.orbit.ephemerides.ephemeris import Ephemeris
from qkd_gs.orbit.propagate import MeanElements
from qkd_gs.share import share_path

BAD = {
    'empty': ('', 'elements.txt: is empty'),
    'blank': (' \n\n', 'is empty'),
    'prose': ('Dear colleague,\nplease find attached', ':1: not a known format'),
    'checksum': (f'{ONE[:-1]}5\n{TWO}', ':1: checksum'),
    'checksum two': (f'MICIUS\n{ONE}\n{TWO[:-1]}0', ':3: checksum'),
    'short': (f'{ONE}\n{TWO[:-3]}', ':2: a line .* 66 characters'),
    'long': (f'{ONE}7\n{TWO}', ':1: a line'),
    'letters': (f'{ONE}\n{TWO.replace("97.3609", "97.36O9")}', ':2: a field'),
    'number of line 2': (f'{ONE}\n2 41732{TWO[7:-1]}6', ':2: line 2 belongs to satellite 41732'),
    'no line 2': (f'{ONE}\n', ':1: .* no line 2'),
    'no line 1': (f'MICIUS\n{TWO}\n', ':2: .* no line 1'),
    'json cut': ('[{"OBJECT_NAME": "MICIUS",\n"EPOCH"', ':2: not JSON'),
    'json empty': ('[]', 'holds no orbit'),
    'json number': ('[1]', 'entry 1 is not'),
    'json field': ('[{"EPOCH": "2018-09-15T05:25:46"}]', ':1: MEAN_MOTION: Field required'),
    'xml cut': ('<ndm><omm>\n</ndm>', ':2: not XML'),
    'xml other': ('<gpx></gpx>', 'holds no orbit'),
    'kvn line': (with_line(KVN, 4, lambda _: 'nonsense'), ':4: .nonsense. is not KEYWORD'),
    'kvn twice': (with_line(KVN, 5, lambda _: 'OBJECT_ID = 2016-051A'), ':5: OBJECT_ID is given twice'),
    'kvn missing': (with_line(KVN, 11, lambda _: ''), ':1: ECCENTRICITY: Field required'),
    'kvn range': (with_line(KVN, 11, lambda _: 'ECCENTRICITY = 1.2'), 'ECCENTRICITY: .* less than 1'),
    'kvn nan': (with_line(KVN, 12, lambda _: 'INCLINATION = nan'), 'INCLINATION: .* finite'),
    'kvn theory': (KVN.replace('= SGP4', '= DSST'), 'MEAN_ELEMENT_THEORY is DSST'),
    'kvn frame': (KVN.replace('= TEME', '= EME2000'), 'REF_FRAME is EME2000'),
    'kvn epoch': (KVN.replace('2018-09-15T', '15.9.2018 '), 'EPOCH: .* not an ISO 8601 time'),
    'csv field': ('OBJECT_NAME,NORAD_CAT_ID,EPOCH\nMICIUS,41731\n', ':2: .* not as many fields'),
    'oem no rows': ('CCSDS_OEM_VERS = 2.0\nMETA_START\nMETA_STOP\n', 'no positions'),
    'cpf version': ('H1 CPF  3  TST 2018 10 03 12 276 01 x\n', ':1: version 3'),
    'cpf no rows': ('H1 CPF  2  TST 2018 10 03 12 276 01 x\nH9\n99\n', 'no positions'),
    'cpf broken': ('H1 CPF  2  TST\n', ':1: record H1 is broken'),
}


@pytest.mark.parametrize('case', BAD)
def test_a_broken_file_is_refused_by_name_and_line(tmp_path, case):
    text, message = BAD[case]
    with pytest.raises(StationError, match=message) as caught:
        load_elements(write(tmp_path, text))
    assert 'elements.txt' in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.replace('REF_FRAME = TEME', 'REF_FRAME = MOON_ME'), 'REF_FRAME MOON_ME'),
        (lambda t: t.replace('TIME_SYSTEM = UTC', 'TIME_SYSTEM = UT1'), 'TIME_SYSTEM UT1'),
        (lambda t: t.replace('CENTER_NAME = EARTH', 'CENTER_NAME = MARS'), 'CENTER_NAME is MARS'),
        (lambda t: t.replace('OBJECT_NAME = MICIUS\n', ''), 'OBJECT_NAME is missing'),
        (lambda t: with_line(t, 20, lambda line: line.rsplit(' ', 1)[0]), ':20: 6 columns'),
        (lambda t: with_line(t, 20, lambda line: line.replace('.', 'x', 3)), ':20: '),
        (lambda t: with_line(t, 20, lambda _: t.splitlines()[25]), 'not later than the one before'),
        (lambda t: '\n'.join(t.splitlines()[:16]) + '\n', 'too few'),
    ],
)
def test_a_broken_ephemeris_is_refused(tmp_path, demo, minute_rows, change, message):
    with pytest.raises(StationError, match=message):
        load_elements(write(tmp_path, change(oem_text(demo.orbit, minute_rows))))


def test_kilometres_taken_for_metres_are_noticed(tmp_path, demo, minute_rows):
    text = cpf_text(demo.orbit, minute_rows)
    lines = [line for line in text.splitlines() if not line.startswith('10 ')]
    km = [
        f'10 0 58394 {k * 60:.1f} 0 ' + ' '.join(f'{v / 1e3:.6f}' for v in r)
        for k, r in enumerate(demo.orbit.itrs_m(minute_rows))
    ]
    with pytest.raises(StationError, match='within the Earth'):
        load_elements(write(tmp_path, '\n'.join([*lines[:3], *km, '99'])))


@pytest.mark.parametrize(('frame', 'direction', 'message'), [(2, 0, 'frame 2'), (0, 1, 'direction flag is 1')])
def test_other_kinds_of_laser_prediction_are_refused(tmp_path, demo, minute_rows, frame, direction, message):
    with pytest.raises(StationError, match=message):
        load_elements(write(tmp_path, cpf_text(demo.orbit, minute_rows, 2, frame, direction)))


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path):
    path = tmp_path / 'garbage.tle'
    path.write_bytes(f'MICIUS\n{ONE}\n'.encode() + b'\x9f\x02')
    with pytest.raises(StationError, match=r'garbage.tle:3: byte 0x9f'):
        load_elements(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(StationError, match=r'nothing.tle: cannot be read: No such file'):
        load_elements(tmp_path / 'nothing.tle')
    with pytest.raises(StationError, match='cannot be read'):
        load_elements(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_never_ends_in_anything_but_a_clear_refusal(tmp_path_factory, demo, data):
    """Cut, doubled or changed bytes: either it still reads, or a StationError says why not."""
    text = data.draw(
        st.sampled_from(
            [
                share_path('config', 'elements', 'micius.tle').read_text(),
                KVN,
                *(encode(omm_fields(demo.orbit.satrec)) for encode in (as_json, as_xml, as_csv)),
                cpf_text(demo.orbit, demo.middle_ns + np.arange(12) * 60 * SECOND_NS),
                oem_text(demo.orbit, demo.middle_ns + np.arange(12) * 60 * SECOND_NS),
            ]
        )
    )
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
        if not raw:
            raw = bytearray(b' ')
    path = tmp_path_factory.mktemp('damaged') / 'elements.txt'
    path.write_bytes(bytes(raw))
    try:
        orbits = load_elements(path).orbits
    except StationError as error:
        if 'elements.txt' not in str(error):
            raise
    else:
        assert all(isinstance(orbit, MeanElements | Ephemeris) for orbit in orbits)
