"""Trajectory files: a pass taken from time, azimuth and elevation alone."""

from hashlib import sha256

import numpy as np
import pytest
from orbit_files import SECOND_NS, write

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.orbit import Trajectory, load_elements, pass_nearest
from qkd_gs.orbit.files.trajectory import write_trajectory
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path


@pytest.fixture(scope='module')
def text(demo):
    return write_trajectory(demo.orbit, demo.site, demo.start_ns, demo.end_ns, 2.0, ranges=False)


def sealed(body):
    return f'{body}# sha256: {sha256(body.encode()).hexdigest()}\n'


def body_of(text):
    return text[: text.rindex('# sha256')]


@pytest.mark.parametrize(('ranges', 'direction_urad', 'range_m'), [(True, 1.0, 5.0), (False, 0.5, 20.0)])
def test_the_directions_of_the_pass_come_back(tmp_path, demo, ranges, direction_urad, range_m):
    path = write(tmp_path, write_trajectory(demo.orbit, demo.site, demo.start_ns, demo.end_ns, 1.0, ranges))
    (orbit,) = load_elements(path).orbits
    assert (orbit.name, orbit.satellite_id, orbit.designator) == ('MICIUS', '41731', '2016-051A')
    t_ns = np.arange(demo.start_ns, demo.end_ns, 10 * SECOND_NS)
    ours = Trajectory.predict(orbit, demo.site, demo.start_ns, demo.end_ns).table(t_ns)
    theirs = demo.trajectory.table(t_ns)
    off = np.hypot((ours.az_rad - theirs.az_rad) * np.cos(theirs.el_rad), ours.el_rad - theirs.el_rad)
    assert off.max() < direction_urad * 1e-6
    assert np.abs(ours.range_m - theirs.range_m).max() < range_m
    assert np.abs(ours.polarization_angle_rad - theirs.polarization_angle_rad).max() < 1e-5
    assert np.abs(ours.az_rate_rad_s - theirs.az_rate_rad_s).max() < 1e-6


@pytest.mark.parametrize(('site', 'at'), [('mohe', '2018-10-03T15:50:00Z'), ('lijiang', '2018-10-03T17:32:00Z')])
def test_a_pass_is_found_from_the_file_alone(tmp_path, micius, site, at):
    elements = str(share_path('config', 'elements', 'micius.tle'))
    path = tmp_path / 'x.trajectory'
    command = ['elements', 'trajectory', '--elements', elements, '--site', site, '--at', at, '--no-ranges', str(path)]
    assert main(command) == 0
    assert 'range' not in path.read_text()
    place = load_site(site)
    expected = pass_nearest(micius, place, parse_utc(at))
    found = pass_nearest(load_elements(path), place, parse_utc(at))
    assert abs(found.culmination_ns - expected.culmination_ns) < 2_000_000
    assert abs(found.rise_ns - expected.rise_ns) < 2_000_000
    assert found.max_elevation_deg == pytest.approx(expected.max_elevation_deg, abs=1e-4)
    assert found.usable == expected.usable


def test_a_changed_or_cut_file_is_refused(tmp_path, text):
    changed = text.replace('az_deg,el_deg\n2018-10-03T15:51:42', 'az_deg,el_deg\n2018-10-03T15:51:43')
    assert changed != text
    with pytest.raises(StationError, match='the checksum is wrong'):
        load_elements(write(tmp_path, changed))
    with pytest.raises(StationError, match='the last line is not'):
        load_elements(write(tmp_path, text[: len(text) // 2]))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('# qkd_gs trajectory 1', '# qkd_gs trajectory 2', ':1: version 2'),
        ('# latitude_deg: 31.1263', '# latitude_deg: 91', 'not a place on the Earth'),
        ('# latitude_deg: 31.1263', '# latitude_deg: north', 'latitude_deg: '),
        ('# altitude_m: 25.0\n', '', 'altitude_m is missing'),
        ('geometric', 'apparent', "'apparent' is not supported"),
        ('utc,az_deg,el_deg', 'utc,el_deg,az_deg', 'columns are not known'),
        ('2018-10-03T15:51:44.000000Z,', '2018-10-03T15:51:40.000000Z,', ':12: the row is not later'),
        ('2018-10-03T15:51:44.000000Z,', '2018-10-03T15:51:44.000000Z,1,', ':12: 4 values'),
        ('2018-10-03T15:51:44.000000Z,', 'noon,', ':12: '),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text, old, new, message):
    assert old in text
    with pytest.raises(StationError, match=message):
        load_elements(write(tmp_path, sealed(body_of(text).replace(old, new))))


def test_directions_of_no_orbit_are_refused(tmp_path, demo, text):
    lines = body_of(text).splitlines()
    rows = [line.split(',') for line in lines[10:]]
    turned = [f'{t},{float(az) * 0.9:.6f},{el}' for t, az, el in rows]
    with pytest.raises(StationError, match='not those of an orbit'):
        load_elements(write(tmp_path, sealed('\n'.join([*lines[:10], *turned]) + '\n')))
    with pytest.raises(StationError, match='rows are too few'):
        load_elements(write(tmp_path, sealed('\n'.join(lines[:30]) + '\n')))
