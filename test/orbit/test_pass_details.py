"""What is listed of a pass beside its times: azimuths, Sun and Moon, further elevations, the site's horizon."""

import csv
import io
import json

import numpy as np
import pytest
from skyfield.api import EarthSatellite, wgs84

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.orbit import Limits, find_passes
from qkd_gs.orbit.passes import find_passes_of_sites
from qkd_gs.orbit.sky import moon_azel, planets, sun_and_moon_itrs_m, sun_azel, sunlit
from qkd_gs.orbit.timescale import DAY_NS, parse_utc, timescale, to_time
from qkd_gs.orbit.vectors import azel_from_enu, enu_rotation, site_itrs_m
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path

SECOND_NS = 1_000_000_000
ELEMENTS = str(share_path('config', 'elements', 'micius.tle'))
SPAN = ('--start', '2018-10-03T00:00:00Z', '--end', '2018-10-04T00:00:00Z')
START_NS = parse_utc('2018-09-15')


@pytest.fixture(scope='module')
def found(micius, shanghai):
    return find_passes(micius.orbits[0], shanghai, START_NS, START_NS + 15 * DAY_NS, [5.0, 20.0, 45.0])


@pytest.fixture(scope='module')
def vector(micius, shanghai):
    place = wgs84.latlon(shanghai.latitude_deg, shanghai.longitude_deg, elevation_m=shanghai.altitude_m)
    return EarthSatellite.from_satrec(micius.orbits[0].satrec, timescale()) - place, place


def test_azimuths_are_skyfields(found, vector):
    for one in found[::5]:
        for t_ns, az_deg in (
            (one.rise_ns, one.rise_az_deg),
            (one.culmination_ns, one.culmination_az_deg),
            (one.set_ns, one.set_az_deg),
        ):
            _, azimuth, _ = vector[0].at(to_time(t_ns)).altaz()
            assert abs((azimuth.degrees - az_deg + 180) % 360 - 180) < 0.005


def test_further_elevations_are_passed_at_their_times(found, vector):
    levels = [level for one in found for level, _, _ in one.above]
    assert levels.count(20.0) > levels.count(45.0) > 0
    for one in found:
        assert [level for level, _, _ in one.above] == [el for el in (20.0, 45.0) if el < one.max_elevation_deg]
        for level, rise_ns, set_ns in one.above:
            assert one.rise_ns < rise_ns < one.culmination_ns < set_ns < one.set_ns
            for t_ns in (rise_ns, set_ns):
                assert vector[0].at(to_time(t_ns)).altaz()[0].degrees == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize('body', ['sun', 'moon'])
def test_the_smallest_angle_to_sun_and_moon_is_skyfields(found, vector, shanghai, body):
    place = planets()['earth'] + vector[1]
    checked = 0
    for one in found:
        t_ns = np.arange(one.rise_ns, one.set_ns, SECOND_NS // 2)
        azel = (sun_azel if body == 'sun' else moon_azel)(shanghai, t_ns)
        said_deg = one.sun_separation_deg if body == 'sun' else one.moon_separation_deg
        if azel[1].min() < -0.014 < azel[1].max():
            continue
        if azel[1].max() < -0.015:
            assert said_deg == 180
            continue
        time = to_time(t_ns)
        there = place.at(time).observe(planets()[body]).apparent()
        nearest_deg = there.separation_from(vector[0].at(time)).degrees.min()
        assert said_deg == pytest.approx(nearest_deg, abs=0.3)
        checked += 1
    assert checked > 10


def test_tabulated_sun_and_moon_are_where_they_are(shanghai):
    t_ns = START_NS + np.arange(0, 20 * 86400, 7000) * SECOND_NS
    for itrs_m, azel in zip(sun_and_moon_itrs_m(t_ns), (sun_azel, moon_azel), strict=True):
        az, el = azel_from_enu((itrs_m - site_itrs_m(shanghai)) @ enu_rotation(shanghai).T)
        az_there, el_there = azel(shanghai, t_ns)
        off = np.hypot(np.angle(np.exp(1j * (az - az_there))) * np.cos(el), el - el_there)
        assert off.max() < 2e-5


def test_sunlight_at_culmination_is_skyfields(found):
    times = np.array([one.culmination_ns for one in found])
    lit = sunlit(found[0].orbit.itrs_m(times), times)
    assert [one.satellite_sunlit for one in found] == lit.tolist()
    assert 0 < lit.sum() < len(found)


def test_several_sites_are_searched_as_each_by_itself(micius):
    sites = [load_site('mohe'), load_site('lijiang'), load_site('-33.8688,151.2093,58')]
    together = find_passes_of_sites(micius.orbits[0], sites, START_NS, START_NS + 3 * DAY_NS)
    assert together == [find_passes(micius.orbits[0], site, START_NS, START_NS + 3 * DAY_NS) for site in sites]


def test_a_pass_in_progress_is_listed_if_asked_for(demo, shanghai):
    after_ns = demo.middle_ns + 60 * SECOND_NS
    assert find_passes(demo.orbit, shanghai, after_ns, after_ns + 3600 * SECOND_NS) == []
    (one,) = find_passes(demo.orbit, shanghai, after_ns, after_ns + 3600 * SECOND_NS, in_progress=True)
    assert one.rise_ns < one.culmination_ns < after_ns < one.set_ns


def with_horizon(shanghai, corners):
    return shanghai.model_copy(update={'horizon': corners})


def test_the_horizon_of_the_site_moves_rise_and_set(demo, shanghai):
    span = (demo.start_ns, demo.end_ns)
    (free,) = find_passes(demo.orbit, shanghai, *span)
    level = with_horizon(shanghai, ((0.0, 20.0), (180.0, 20.0)))
    (one,) = find_passes(demo.orbit, level, *span)
    (expected,) = find_passes(demo.orbit, shanghai, *span, 20.0)
    assert abs(one.rise_ns - expected.rise_ns) < SECOND_NS // 20
    assert abs(one.set_ns - expected.set_ns) < SECOND_NS // 20
    assert one.rise_az_deg == pytest.approx(expected.rise_az_deg, abs=0.01)
    assert one.usable
    north = with_horizon(shanghai, ((0.0, 40.0), (40.0, 40.0), (41.0, 0.0), (359.0, 0.0)))
    (late,) = find_passes(demo.orbit, north, *span)
    assert late.rise_ns > free.rise_ns
    assert late.set_ns == pytest.approx(free.set_ns, abs=SECOND_NS // 20)


def test_what_the_horizon_hides_is_a_reason(demo, shanghai):
    span = (demo.start_ns, demo.end_ns)
    (east,) = find_passes(
        demo.orbit, with_horizon(shanghai, ((60.0, 0.0), (90.0, 80.0), (110.0, 80.0), (140.0, 0.0))), *span
    )
    assert any('hidden by the horizon of the site for' in reason for reason in east.reasons)
    (all_around,) = find_passes(demo.orbit, with_horizon(shanghai, ((0.0, 80.0), (180.0, 80.0))), *span)
    assert all_around.reasons == ('hidden by the horizon of the site',)


@pytest.mark.parametrize(('old', 'new'), [('0, 10', '-5, 10'), ('0, 10', '0, 95'), ('Shanghai', 'Atlantis')])
def test_a_horizon_or_zone_that_cannot_be_is_refused(tmp_path, old, new):
    text = (
        'name: X\nlatitude_deg: 31\nlongitude_deg: 121\naltitude_m: 5\nhorizon: [[0, 10]]\ntime_zone: Asia/Shanghai\n'
    )
    path = tmp_path / 'x.yaml'
    path.write_text(text.replace(old, new))
    with pytest.raises(StationError, match=r'x.yaml:[56]: (horizon|time_zone)'):
        load_site(str(path))


def listed(capsys, *more):
    assert main(['passes', '--elements', ELEMENTS, '--site', 'Shanghai', *SPAN, *more]) == 0
    return capsys.readouterr().out


def test_command_writes_csv(capsys):
    printed = listed(capsys, '--format', 'csv', '--min-elevation', '10,20', '--site', 'mohe')
    rows = list(csv.DictReader(io.StringIO(printed)))
    same = json.loads(listed(capsys, '--json', '--min-elevation', '10,20', '--site', 'mohe'))
    assert [row['culmination'] for row in rows] == [one['culmination'] for one in same]
    assert {row['site'] for row in rows} == {'Shanghai', 'Mohe'}
    top = max(rows, key=lambda row: float(row['max_elevation_deg']))
    assert top['rise'] < top['rise_20_deg'] < top['culmination'] < top['set_20_deg']


def test_command_shows_local_time(capsys):
    printed = listed(capsys, '--local-time')
    assert 'times of Asia/Shanghai' in printed
    assert '2018-10-03 23:56:42' in printed


def test_command_draws_the_sky(capsys, tmp_path):
    path = tmp_path / 'sky.svg'
    listed(capsys, '--plot', str(path))
    assert '<svg' in path.read_text()
    assert main(['passes', '--elements', ELEMENTS, '--site', 'Shanghai', *SPAN, '--plot', str(tmp_path / 'x.doc')]) == 2
    assert 'cannot be drawn' in capsys.readouterr().err


def test_end_may_be_told_from_the_start(capsys):
    assert json.loads(listed(capsys, '--json', '--end', '+24h')) == json.loads(listed(capsys, '--json'))


def test_reasons_follow_the_limits(found):
    one = found[0]._replace(limits=Limits(sun_elevation_deg=90, culmination_deg=0, sun_separation_deg=0))
    assert one.usable
