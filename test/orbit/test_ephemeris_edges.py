"""Where an ephemeris begins, ends, has a hole or is joined, and how it is read between its rows."""

import numpy as np
import oem as oem_package
import pytest
from astropy.time import Time as AstropyTime
from orbit_files import SECOND_NS, cpf_text, ephemeris_of, oem_text, write
from skyfield.framelib import itrs
from skyfield.sgp4lib import TEME

from qkd_gs.errors import StationError
from qkd_gs.orbit import find_passes, load_elements
from qkd_gs.orbit.timescale import DAY_NS, format_utc, parse_utc, to_time
from qkd_gs.orbit.vectors import azel_from_enu, enu_rotation, site_itrs_m
from qkd_gs.settings.site import Site

MINUTE_NS = 60 * SECOND_NS


def rows(first, last, step_s=60):
    first_ns, last_ns = parse_utc(first), parse_utc(last)
    return np.arange(first_ns, last_ns + 1, step_s * SECOND_NS)


def segment(orbit, t_ns, **more):
    """One segment of a message, without the head of the file."""
    return oem_text(orbit, t_ns, **more).partition('META_START')[2]


def two_segments(orbit, first, second, **more):
    return oem_text(orbit, first, **more) + 'META_START' + segment(orbit, second, **more)


def passes_of(elements, site, first='2018-10-03T15:00:00Z', last='2018-10-03T17:00:00Z'):
    return find_passes(elements, site, parse_utc(first), parse_utc(last))


def the_pass(demo, shanghai):
    (one,) = find_passes(demo.orbit, shanghai, demo.start_ns, demo.end_ns)
    return one


def test_a_pass_is_listed_from_where_the_rows_begin(tmp_path, demo, shanghai, caplog):
    text = oem_text(demo.orbit, rows('2018-10-03T15:58:00Z', '2018-10-03T18:00:00Z'))
    (one,) = passes_of(load_elements(write(tmp_path, text)), shanghai)
    assert one.rise_ns == one.culmination_ns == parse_utc('2018-10-03T15:58:00Z')
    assert abs(one.set_ns - the_pass(demo, shanghai).set_ns) < 1_000_000
    assert any(reason.startswith('already up') for reason in one.reasons)
    assert 'only this part of the requested time is searched' in caplog.text


def test_a_pass_is_listed_up_to_where_the_rows_end(tmp_path, demo, shanghai):
    text = oem_text(demo.orbit, rows('2018-10-03T15:00:00Z', '2018-10-03T15:54:00Z'))
    (one,) = passes_of(load_elements(write(tmp_path, text)), shanghai)
    assert one.set_ns == one.culmination_ns == parse_utc('2018-10-03T15:54:00Z')
    assert abs(one.rise_ns - the_pass(demo, shanghai).rise_ns) < 1_000_000
    assert any(reason.startswith('still up') for reason in one.reasons)


@pytest.mark.parametrize(
    ('end', 'begin'), [('15:57', '15:57'), ('15:54', '15:54'), ('16:05', '15:50'), ('15:57', '15:20')]
)
@pytest.mark.parametrize('later_first', [False, True])
def test_segments_that_abut_or_overlap_are_one_ephemeris(tmp_path, demo, shanghai, end, begin, later_first):
    first = rows('2018-10-03T15:00:00Z', f'2018-10-03T{end}:00Z')
    second = rows(f'2018-10-03T{begin}:00Z', '2018-10-03T17:00:00Z')
    text = two_segments(demo.orbit, *((second, first) if later_first else (first, second)))
    elements = load_elements(write(tmp_path, text))
    assert len(elements.orbits) == 1
    (one,) = passes_of(elements, shanghai)
    same = the_pass(demo, shanghai)
    assert one.usable
    assert abs(one.rise_ns - same.rise_ns) < 1_000_000
    assert abs(one.set_ns - same.set_ns) < 1_000_000
    assert elements.nearest(demo.middle_ns) is elements.orbits[0]


def test_usable_spans_decide_which_segment_is_read(tmp_path, demo):
    """The second segment is another orbit; it is read from the middle of the overlap of the usable spans."""
    other = ephemeris_of('X', '5', 'x', rows('2018-10-03T14:00:00Z', '2018-10-03T18:00:00Z', 30),
                         demo.orbit.itrs_m(rows('2018-10-03T14:00:10Z', '2018-10-03T18:00:10Z', 30)))  # fmt: skip
    first, second = (
        rows('2018-10-03T15:00:00Z', '2018-10-03T16:00:00Z'),
        rows('2018-10-03T15:30:00Z', '2018-10-03T17:00:00Z'),
    )
    text = oem_text(demo.orbit, first, frame='ITRF2014', extra='USEABLE_STOP_TIME = 2018-10-03T15:50:00\n')
    late = oem_text(demo.orbit, second, frame='ITRF2014', extra='USEABLE_START_TIME = 2018-10-03T15:50:00\n')
    shifted = other.itrs_m(second) / 1e3
    head, _, _ = late.partition('META_START')[2].partition('COMMENT rows')
    body = '\n'.join(
        f'{format_utc(t, 6).removesuffix("Z")} {r[0]:.9f} {r[1]:.9f} {r[2]:.9f}'
        for t, r in zip(second.tolist(), shifted, strict=True)
    )
    (one,) = load_elements(write(tmp_path, f'{text}META_START{head}{body}\n')).orbits
    switch_ns = parse_utc('2018-10-03T15:50:00Z')
    before, after = np.array([switch_ns - MINUTE_NS]), np.array([switch_ns + MINUTE_NS])
    assert np.abs(one.itrs_m(before) - demo.orbit.itrs_m(before)).max() < 0.1
    assert np.abs(one.itrs_m(after) - other.itrs_m(after)).max() < 0.1


def test_a_jump_between_segments_is_warned_of(tmp_path, demo, caplog):
    first, second = (
        rows('2018-10-03T15:00:00Z', '2018-10-03T15:57:00Z'),
        rows('2018-10-03T15:57:00Z', '2018-10-03T17:00:00Z'),
    )
    moved = oem_text(demo.orbit, second + SECOND_NS, frame='ITRF2014', offset_ns=-SECOND_NS).partition('META_START')[2]
    load_elements(write(tmp_path, f'{oem_text(demo.orbit, first, frame="ITRF2014")}META_START{moved}'))
    assert 'its position at 2018-10-03T15:57:00Z is 7' in caplog.text


def test_a_hole_is_warned_of_and_not_interpolated_across(tmp_path, demo, shanghai, caplog):
    before = rows('2018-10-03T14:00:00Z', '2018-10-03T14:39:00Z')
    t_ns = np.concatenate((before, rows('2018-10-03T16:20:00Z', '2018-10-03T17:19:00Z')))
    elements = load_elements(write(tmp_path, oem_text(demo.orbit, t_ns)))
    assert len(elements.orbits) == 2
    assert 'no rows of MICIUS from 2018-10-03T14:39:00Z to 2018-10-03T16:20:00Z' in caplog.text
    assert passes_of(elements, shanghai, '2018-10-03T14:00:00Z') == []
    with pytest.raises(StationError, match='does not cover'):
        elements.nearest(demo.middle_ns)
    assert elements.nearest(parse_utc('2018-10-03T14:10:00Z')) is elements.orbits[0]
    assert elements.satellites() == ['2016-051A']


def test_one_missing_row_is_no_hole(tmp_path, demo):
    t_ns = np.delete(rows('2018-10-03T15:00:00Z', '2018-10-03T16:00:00Z'), 30)
    (one,) = load_elements(write(tmp_path, oem_text(demo.orbit, t_ns))).orbits
    missing = np.array([parse_utc('2018-10-03T15:30:00Z')])
    assert np.abs(one.itrs_m(missing) - demo.orbit.itrs_m(missing)).max() < 0.01


def test_steps_that_grow_are_no_holes(demo):
    steps_s = np.concatenate((np.full(5, 20), np.full(5, 40), np.full(5, 80), np.full(5, 160), np.full(5, 60)))
    t_ns = demo.start_ns + np.concatenate(([0], np.cumsum(steps_s))) * SECOND_NS
    one = ephemeris_of('X', '5', 'x', t_ns, demo.orbit.itrs_m(t_ns))
    assert one.span_ns == (t_ns[0], t_ns[-1])


STATED = 'INTERPOLATION = {}\nINTERPOLATION_DEGREE = {}\n'


@pytest.mark.parametrize(('method', 'degree'), [('HERMITE', 7), ('LAGRANGE', 8)])
def test_interpolation_is_the_one_that_the_file_states(tmp_path, demo, method, degree):
    """The package oem interpolates a coarse file as it states it, in its own frame: an independent reader."""
    t_ns = rows('2018-10-03T12:00:00Z', '2018-10-03T18:00:00Z', 600)
    path = write(tmp_path, oem_text(demo.orbit, t_ns, extra=STATED.format(method, degree)), 'x.oem')
    (ours,) = load_elements(path).orbits
    theirs = oem_package.OrbitEphemerisMessage.open(path)
    between = t_ns[10:-10] + 250 * SECOND_NS
    for k in range(0, len(between), 4):
        state = theirs(AstropyTime(format_utc(int(between[k]), 6).removesuffix('Z'), scale='utc'))
        time = to_time(int(between[k]))
        expected = itrs.rotation_at(time) @ TEME.rotation_at(time).T @ (np.array(state.position) * 1e3)
        miss = np.linalg.norm(ours.itrs_m(between[k : k + 1])[0] - expected)
        truth = np.linalg.norm(ours.itrs_m(between[k : k + 1])[0] - demo.orbit.itrs_m(between[k : k + 1])[0])
        assert miss < 0.2 * max(truth, 0.5)


def test_velocities_make_few_rows_enough(tmp_path, demo, shanghai, caplog):
    t_ns = rows('2018-10-03T15:45:00Z', '2018-10-03T16:06:00Z', 180)
    elements = load_elements(write(tmp_path, oem_text(demo.orbit, t_ns, extra=STATED.format('HERMITE', 7))))
    (one,) = passes_of(elements, shanghai)
    assert abs(one.culmination_ns - the_pass(demo, shanghai).culmination_ns) < 2_000_000
    between = t_ns[:-1] + 90 * SECOND_NS
    assert np.linalg.norm(elements.orbits[0].itrs_m(between) - demo.orbit.itrs_m(between), axis=1).max() < 1


def test_the_warning_of_coarse_rows_is_the_worst_error(tmp_path, demo, caplog):
    t_ns = rows('2018-10-03T12:00:00Z', '2018-10-03T18:00:00Z', 600)
    ephemeris = ephemeris_of('X', '5', 'x', t_ns, demo.orbit.itrs_m(t_ns))
    fine = np.arange(t_ns[0], t_ns[-1], 20 * SECOND_NS)
    true_m = np.linalg.norm(ephemeris.itrs_m(fine) - demo.orbit.itrs_m(fine), axis=1).max()
    said_m = float(caplog.text.partition('up to about ')[2].partition(' m')[0])
    assert true_m / 3 < said_m < 3 * true_m


def test_velocities_of_another_frame_are_not_used(tmp_path, demo, caplog):
    """Positions of the turning Earth beside inertial velocities, as some producers write them."""
    t_ns = rows('2018-10-03T15:00:00Z', '2018-10-03T17:00:00Z')
    (one,) = load_elements(write(tmp_path, oem_text(demo.orbit, t_ns, frame='ITRF2014'))).orbits
    assert 'the velocities are not those of the positions' in caplog.text
    between = t_ns[5:-5] + 30 * SECOND_NS
    assert np.abs(one.itrs_m(between) - demo.orbit.itrs_m(between)).max() < 0.01


def test_a_row_far_off_makes_the_file_no_orbit(tmp_path, demo):
    t_ns = rows('2018-10-03T15:00:00Z', '2018-10-03T17:00:00Z')
    itrs_m = demo.orbit.itrs_m(t_ns)
    itrs_m[60] *= 3
    with pytest.raises(StationError, match='do not lie on an orbit'):
        ephemeris_of('X', '5', 'x', t_ns, itrs_m)


LEAP_NS = parse_utc('2017-01-01T00:00:00Z')


@pytest.mark.parametrize('form', ['UTC', 'TAI', 'CPF'])
def test_rows_beside_and_within_a_leap_second(tmp_path, form):
    """A circle in space at 7.5 km/s, written with the second 23:59:60, in TAI, and as a CPF that goes on counting."""
    tai_s = np.arange(-1800, 1801, 60)  # from 23:59:60, which is TAI second 0 of this test
    angle = tai_s * 7500 / 6.878e6
    itrs_m = np.column_stack((6.878e6 * np.cos(angle), 6.878e6 * np.sin(angle), np.zeros(len(angle))))
    km = [' '.join(f'{v / 1e3:.9f}' for v in r) for r in itrs_m]
    if form == 'CPF':
        lines = [
            'H1 CPF  2  TST 2016 12 31 12 366 01 leapsat    NONE',
            'H2  1605101 5001    41731 ' + '0 ' * 13 + '1 1 0 0 0 1',
        ]
        for s, r in zip(tai_s.tolist(), itrs_m, strict=True):
            day, second = (57753, 86400 + s) if s < 0 else (57754, s)
            lines.append(f'10 0 {day} {second:.6f} {int(s >= 0)} {r[0]:.6f} {r[1]:.6f} {r[2]:.6f}')
        text = '\n'.join([*lines, '99'])
    else:

        def written(s):
            if form == 'TAI':
                return format_utc(LEAP_NS + (s + 36) * SECOND_NS, 3).removesuffix('Z')
            return (
                '2016-12-31T23:59:60.000'
                if s == 0
                else format_utc(LEAP_NS + (s - (s > 0)) * SECOND_NS, 3).removesuffix('Z')
            )

        meta = f'OBJECT_NAME = A\nOBJECT_ID = B\nCENTER_NAME = EARTH\nREF_FRAME = ITRF2014\nTIME_SYSTEM = {form}\n'
        body = '\n'.join(f'{written(s)} {r}' for s, r in zip(tai_s.tolist(), km, strict=True))
        text = f'CCSDS_OEM_VERS = 2.0\nMETA_START\n{meta}META_STOP\n{body}\n'
    (one,) = load_elements(write(tmp_path, text)).orbits
    t_ns = LEAP_NS + np.concatenate((np.arange(-900, 0) * SECOND_NS, np.arange(0, 900) * SECOND_NS)) + 123_000_000
    elapsed_s = (t_ns - LEAP_NS) * 1e-9 + (t_ns >= LEAP_NS)
    angle = elapsed_s * 7500 / 6.878e6
    expected = np.column_stack((6.878e6 * np.cos(angle), 6.878e6 * np.sin(angle), np.zeros(len(angle))))
    assert np.abs(one.itrs_m(t_ns) - expected).max() < 0.01


def test_two_satellites_in_one_prediction_file(tmp_path, demo, minute_rows):
    one = cpf_text(demo.orbit, minute_rows)
    two = one.replace('micius', 'other').replace('41731', '41732').replace('1605101', '1605102')
    elements = load_elements(write(tmp_path, one + two))
    assert elements.satellites() == ['41731', '41732']
    assert elements.only('2016-051B').orbits[0].name == 'other'


def test_consecutive_predictions_of_one_satellite_are_joined(tmp_path, demo, minute_rows):
    text = cpf_text(demo.orbit, minute_rows[:31]) + cpf_text(demo.orbit, minute_rows[25:])
    (one,) = load_elements(write(tmp_path, text)).orbits
    assert one.span_ns == (minute_rows[0], minute_rows[-1])


def test_rows_for_directions_are_skipped_beside_instantaneous_ones(tmp_path, demo, minute_rows):
    lines = cpf_text(demo.orbit, minute_rows).splitlines()
    directed = [line.replace('10 0', f'10 {flag}') for line in lines if line.startswith('10') for flag in (1, 2)]
    (one,) = load_elements(write(tmp_path, '\n'.join([*lines[:-1], *directed, '99']))).orbits
    assert one.span_ns == (minute_rows[0], minute_rows[-1])


def test_no_site_is_lost_at_the_ends_of_a_long_prediction(tmp_path, demo, caplog):
    """A satellite 23000 km up is up somewhere at either end of its rows."""
    t_ns = demo.start_ns + np.arange(0, 2 * 86400 + 1, 900) * SECOND_NS
    angle = (t_ns - t_ns[0]) * 1e-9 * (2 * np.pi / 50685 - 7.292e-5)
    itrs_m = 29.6e6 * np.column_stack((np.cos(angle), np.sin(angle) * np.cos(0.97), np.sin(angle) * np.sin(0.97)))
    path = write(tmp_path, cpf_text_of('galileo', t_ns, itrs_m))
    elements = load_elements(path)
    generator = np.random.default_rng(1)
    for latitude_deg, longitude_deg in zip(
        generator.uniform(-90, 90, 60), generator.uniform(-180, 180, 60), strict=True
    ):
        site = Site(name='x', latitude_deg=latitude_deg, longitude_deg=longitude_deg, altitude_m=0)
        passes = find_passes(elements, site, int(t_ns[0]) - DAY_NS, int(t_ns[-1]) + DAY_NS)
        listed = sum(one.set_ns - one.rise_ns for one in passes)
        fine = np.arange(t_ns[0], t_ns[-1], 300 * SECOND_NS)
        up = np.count_nonzero(elevation_deg(elements.orbits[0].itrs_m(fine), site) > 5) * 300 * SECOND_NS
        assert abs(listed - up) < 600 * SECOND_NS * max(len(passes), 1)


def cpf_text_of(name, t_ns, itrs_m):
    lines = [f'H1 CPF  2  TST 2018 10 03 12 276 01 {name}', 'H2  1605101 5001    41731 ' + '0 ' * 13 + '1 1 0 0 0 1']
    for t, r in zip(t_ns.tolist(), itrs_m, strict=True):
        day, rest = divmod(t, DAY_NS)
        lines.append(f'10 0 {day + 40587} {rest / 1e9:.6f}  0 {r[0]:.3f} {r[1]:.3f} {r[2]:.3f}')
    return '\n'.join([*lines, '99']) + '\n'


def elevation_deg(itrs_m, site):
    return np.degrees(azel_from_enu((itrs_m - site_itrs_m(site)) @ enu_rotation(site).T)[1])
