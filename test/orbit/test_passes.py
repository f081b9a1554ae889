"""Lists of passes against Skyfield's altitudes and events, and the awkward cases."""

import json
import logging
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orbit_files import ephemeris_of
from sgp4.api import WGS72, Satrec
from skyfield.api import EarthSatellite, wgs84
from skyfield.nutationlib import iau2000b_radians

from qkd_gs.bench import passes as bench
from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.orbit import Elements, Limits, find_passes, pass_nearest
from qkd_gs.orbit.propagate import MeanElements
from qkd_gs.orbit.sky import planets, sun_azel
from qkd_gs.orbit.timescale import DAY_NS, from_time, parse_utc, timescale, to_time
from qkd_gs.settings.site import Site, load_site, site_names
from qkd_gs.share import share_path

SECOND_NS = 1_000_000_000
EPOCH_NS = parse_utc('2018-09-15T00:00:00Z')


def satellite(revolutions, inclination_deg=97.36, eccentricity=0.0015, node_deg=172.0, perigee_deg=104.0):
    satrec = Satrec()
    days = EPOCH_NS / DAY_NS + (2440587.5 - 2433281.5)
    satrec.sgp4init(
        WGS72, 'i', 5, days, 0.0, 0.0, 0.0, eccentricity, np.radians(perigee_deg), np.radians(inclination_deg),
        0.5, revolutions * 2 * np.pi / 1440, np.radians(node_deg),
    )  # fmt: skip
    return MeanElements('TEST', '5', EPOCH_NS, satrec, 'test')


def altitude_deg(orbit, site, t_ns):
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    vector = EarthSatellite.from_satrec(orbit.satrec, timescale()) - place
    time = to_time(np.atleast_1d(t_ns))
    time._nutation_angles_radians = iau2000b_radians(time)  # cancels anyway
    return vector.at(time).altaz()[0].degrees


def test_the_papers_pass(demo):
    passes = find_passes(demo.orbit, demo.site, parse_utc('2018-10-03'), parse_utc('2018-10-04'))
    top = max(passes, key=lambda one: one.max_elevation_deg)
    assert abs(top.culmination_ns - parse_utc('2018-10-03T15:56:42Z')) < 2 * SECOND_NS
    assert top.max_elevation_deg == pytest.approx(72.0, abs=0.2)
    assert top.min_range_km == pytest.approx(523, abs=1)
    assert top.usable
    assert not top.satellite_sunlit


@pytest.mark.parametrize('name', site_names())
def test_a_month_has_the_passes_that_skyfield_finds(micius, name):
    orbit, site = micius.orbits[0], load_site(name)
    end_ns = EPOCH_NS + 10 * DAY_NS
    passes = find_passes(orbit, site, EPOCH_NS, end_ns, 10.0)
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    theirs = EarthSatellite.from_satrec(orbit.satrec, timescale())
    times, events = theirs.find_events(place, to_time(EPOCH_NS), to_time(end_ns), altitude_degrees=10.0)
    found = from_time(times)
    assert len(passes) == (events == 1).sum()
    # Skyfield stops at half a second; its altitudes say who is right
    for event, attribute in enumerate(('rise_ns', 'culmination_ns', 'set_ns')):
        ours = np.array([getattr(one, attribute) for one in passes])
        assert np.abs(ours - found[events == event]).max() < 0.6 * SECOND_NS
        if attribute != 'culmination_ns':
            assert altitude_deg(orbit, site, ours) == pytest.approx(10.0, abs=2e-4)
    tops = np.array([one.culmination_ns for one in passes])
    heights = [altitude_deg(orbit, site, tops + k * SECOND_NS // 2) for k in (-1, 0, 1)]
    assert (heights[1] > heights[0]).all()
    assert (heights[1] > heights[2]).all()
    assert [one.max_elevation_deg for one in passes] == pytest.approx(heights[1], abs=2e-4)


def test_every_moment_above_the_horizon_is_in_a_pass(micius, shanghai):
    """No grazing pass is missed in two days."""
    orbit = micius.orbits[0]
    t_ns = EPOCH_NS + np.arange(0, 2 * 86400, 15) * SECOND_NS
    up = altitude_deg(orbit, shanghai, t_ns) > 5
    listed = np.zeros_like(up)
    for one in find_passes(orbit, shanghai, EPOCH_NS - DAY_NS, EPOCH_NS + 3 * DAY_NS):
        listed |= (t_ns > one.rise_ns) & (t_ns < one.set_ns)
    assert np.array_equal(up, listed)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 3 * 86400), min_size=3, max_size=5, unique=True), st.floats(0, 60))
def test_adjoining_spans_share_the_passes_out(demo, shanghai, seconds, low_deg):
    edges = sorted(EPOCH_NS + second * SECOND_NS for second in seconds)
    whole = find_passes(demo.orbit, shanghai, edges[0], edges[-1], low_deg)
    parts = [one for span in pairwise(edges) for one in find_passes(demo.orbit, shanghai, *span, low_deg)]
    assert len(parts) == len(whole)
    for one, two in zip(parts, whole, strict=True):
        assert abs(one.culmination_ns - two.culmination_ns) < SECOND_NS // 100
        assert abs(one.rise_ns - two.rise_ns) < SECOND_NS // 50


def test_a_pass_over_the_start_is_told_whole(demo, shanghai):
    inside_ns = demo.middle_ns - 60 * SECOND_NS
    (one,) = find_passes(demo.orbit, shanghai, inside_ns, inside_ns + 3600 * SECOND_NS)
    assert one.rise_ns < inside_ns
    assert one.usable
    assert find_passes(demo.orbit, shanghai, demo.middle_ns + SECOND_NS, demo.middle_ns + 3600 * SECOND_NS) == []


@pytest.mark.parametrize('latitude_deg', [90, -90, 89.99])
def test_a_polar_orbit_passes_the_pole_every_revolution(latitude_deg):
    site = Site(name='pole', latitude_deg=latitude_deg, longitude_deg=0, altitude_m=0)
    passes = find_passes(satellite(15.2), site, EPOCH_NS, EPOCH_NS + DAY_NS)
    assert len(passes) in (15, 16)
    assert {one.satellite_sunlit for one in passes} == {True} or latitude_deg < 0


def test_a_low_inclination_never_rises_over_mohe():
    assert find_passes(satellite(15.2, inclination_deg=10), load_site('mohe'), EPOCH_NS, EPOCH_NS + 5 * DAY_NS) == []


def test_a_satellite_that_stands_still_is_up_from_start_to_end():
    orbit = satellite(1.0027, inclination_deg=0.05, eccentricity=1e-4, node_deg=200)
    t_ns = EPOCH_NS + np.arange(0, 86400, 600) * SECOND_NS
    longitude_deg = np.degrees(np.arctan2(orbit.itrs_m(t_ns)[:, 1], orbit.itrs_m(t_ns)[:, 0])).mean()
    site = Site(name='below', latitude_deg=20, longitude_deg=longitude_deg, altitude_m=0)
    (one,) = find_passes(orbit, site, EPOCH_NS, EPOCH_NS + DAY_NS)
    assert (one.rise_ns, one.set_ns) == (EPOCH_NS, EPOCH_NS + DAY_NS)
    assert not one.usable
    assert 'still up where the search ends' in one.reasons
    assert one.min_range_km == pytest.approx(36500, abs=1000)
    far = Site(name='far', latitude_deg=0, longitude_deg=(longitude_deg + 360) % 360 - 180, altitude_m=0)
    assert find_passes(orbit, far, EPOCH_NS, EPOCH_NS + DAY_NS) == []


def test_a_high_ellipse_has_its_hours_and_its_quick_perigee():
    """Molniya: up for hours; every stay agrees with Skyfield's altitudes minute by minute."""
    orbit = satellite(2.0057, inclination_deg=63.4, eccentricity=0.72, perigee_deg=270)
    site = load_site('mohe')
    t_ns = EPOCH_NS + np.arange(0, 3 * 1440) * 60 * SECOND_NS
    up = altitude_deg(orbit, site, t_ns) > 5
    listed = np.zeros_like(up)
    for one in find_passes(orbit, site, EPOCH_NS - DAY_NS, EPOCH_NS + 4 * DAY_NS):
        listed |= (t_ns > one.rise_ns) & (t_ns < one.set_ns)
    assert np.array_equal(up, listed)


def test_reasons_name_sun_and_height(micius, shanghai):
    passes = find_passes(micius, shanghai, parse_utc('2018-10-03'), parse_utc('2018-10-04'))
    reasons = [' '.join(one.reasons) for one in passes]
    assert reasons[0].startswith('Sun at 52.')
    assert 'culminates at 13.1 deg' in reasons[1]
    assert reasons[2] == ''
    relaxed = Limits(sun_elevation_deg=90, culmination_deg=0, sun_separation_deg=0)
    assert all(
        one.usable
        for one in find_passes(micius, shanghai, parse_utc('2018-10-03'), parse_utc('2018-10-04'), limits=relaxed)
    )


def test_a_pass_near_the_sun_says_so(micius, shanghai):
    """Every daylight pass of ten days: the separation said is the smallest of Skyfield's angles."""
    limits = Limits(sun_elevation_deg=90, culmination_deg=0, sun_separation_deg=180)
    orbit = micius.orbits[0]
    place = wgs84.latlon(shanghai.latitude_deg, shanghai.longitude_deg, elevation_m=shanghai.altitude_m)
    checked = 0
    for one in find_passes(orbit, shanghai, EPOCH_NS, EPOCH_NS + 10 * DAY_NS, limits=limits):
        t_ns = np.linspace(one.rise_ns, one.set_ns, 61).astype(np.int64)
        if sun_azel(shanghai, t_ns)[1].min() < 0.02:
            continue
        time = to_time(t_ns)
        sun = (planets()['earth'] + place).at(time).observe(planets()['sun']).apparent()
        sight = (EarthSatellite.from_satrec(orbit.satrec, timescale()) - place).at(time)
        nearest_deg = sun.separation_from(sight).degrees.min()
        said_deg = float(one.reasons[0].split()[1])
        assert said_deg == pytest.approx(nearest_deg, abs=0.6)
        checked += 1
    assert checked > 10


def test_each_time_uses_the_set_nearest_to_it(tmp_path, micius, shanghai, caplog):
    """Two sets of one satellite ten days apart, the second with its node moved: the list changes over halfway."""
    first, second = satellite(15.2), satellite(15.2, node_deg=20.0)
    later_ns = EPOCH_NS + 10 * DAY_NS
    moved = MeanElements('TEST', '5', later_ns, second.satrec, 'test')
    elements = Elements(tmp_path, (first, moved))
    passes = find_passes(elements, shanghai, EPOCH_NS, later_ns)
    is_later = [one.orbit is moved for one in passes]
    change = is_later.index(True)
    assert is_later == [False] * change + [True] * (len(is_later) - change)
    halfway_ns = EPOCH_NS + 5 * DAY_NS
    assert passes[change - 1].culmination_ns < halfway_ns <= passes[change].culmination_ns


def test_too_old_elements_and_bad_spans_are_refused(micius, shanghai):
    with pytest.raises(StationError, match='--force'):
        find_passes(micius, shanghai, parse_utc('2019-06-01'), parse_utc('2019-06-02'))
    assert find_passes(micius, shanghai, parse_utc('2019-06-01'), parse_utc('2019-06-02'), force=True)
    with pytest.raises(StationError, match='not after its start'):
        find_passes(micius, shanghai, EPOCH_NS, EPOCH_NS)
    with pytest.raises(StationError, match='minimum elevation'):
        find_passes(micius, shanghai, EPOCH_NS, EPOCH_NS + DAY_NS, 90)


def test_an_ephemeris_is_searched_as_far_as_it_reaches(demo, shanghai, caplog):
    t_ns = demo.middle_ns + np.arange(-120, 121) * 30 * SECOND_NS
    ephemeris = ephemeris_of('MICIUS', '41731', 'test', t_ns, demo.orbit.itrs_m(t_ns))
    (one,) = find_passes(ephemeris, shanghai, demo.middle_ns - DAY_NS, demo.middle_ns + DAY_NS)
    assert 'only this part' in caplog.text
    (same,) = find_passes(demo.orbit, shanghai, demo.start_ns, demo.end_ns)
    assert abs(one.rise_ns - same.rise_ns) < 2_000_000
    assert abs(one.culmination_ns - same.culmination_ns) < 1_000_000
    with pytest.raises(StationError, match='covers 2018-10-03T14:56:42'):
        find_passes(ephemeris, shanghai, demo.middle_ns + DAY_NS, demo.middle_ns + 2 * DAY_NS)


def test_the_pass_nearest_to_a_time(micius, shanghai, caplog):
    caplog.set_level(logging.INFO)
    one = pass_nearest(micius, shanghai, parse_utc('2018-10-03T15:50:00Z'))
    assert abs(one.culmination_ns - parse_utc('2018-10-03T15:56:42Z')) < SECOND_NS
    assert one.orbit is micius.orbits[0]
    assert altitude_deg(one.orbit, shanghai, one.rise_ns) == pytest.approx(0, abs=1e-4)
    caplog.clear()
    pass_nearest(micius, shanghai, parse_utc('2018-10-03T16:40:00Z'))
    assert any(record.levelno == logging.WARNING and 'nearest' in record.message for record in caplog.records)


def test_a_pass_too_low_is_refused_with_a_better_one(micius, shanghai):
    with pytest.raises(StationError, match=r'culminates at 13.1 deg, below 20 .*2018-10-03T02:50:21Z'):
        pass_nearest(micius, shanghai, parse_utc('2018-10-03T04:24:00Z'))


def test_no_pass_within_half_a_day_is_refused(tmp_path):
    elements = Elements(tmp_path, (satellite(15.2, inclination_deg=10),))
    with pytest.raises(StationError, match='does not rise over Mohe within 12 h'):
        pass_nearest(elements, load_site('mohe'), EPOCH_NS)


def run_cli(capsys, *more):
    status = main(['passes', '--elements', str(share_path('config', 'elements', 'micius.tle')), *more])
    return status, capsys.readouterr()


SPAN = ('--start', '2018-10-03T00:00:00Z', '--end', '2018-10-04T00:00:00Z')


def test_command_prints_one_json_document(capsys):
    status, printed = run_cli(capsys, '--site', 'Shanghai', *SPAN, '--json')
    assert status == 0
    top = max(json.loads(printed.out), key=lambda one: one['max_elevation_deg'])
    assert list(top) == [
        'satellite', 'rise', 'culmination', 'set', 'max_elevation_deg', 'min_range_km', 'sun_elevation_deg',
        'satellite_sunlit', 'usable', 'reasons', 'rise_az_deg', 'culmination_az_deg', 'set_az_deg',
        'sun_separation_deg', 'moon_separation_deg', 'moon_elevation_deg', 'above', 'site',
    ]  # fmt: skip
    assert top['culmination'].startswith('2018-10-03T15:56:42.')
    assert top['culmination'].endswith('Z')
    assert top['reasons'] == []


def test_command_prints_a_table(capsys):
    status, printed = run_cli(capsys, '--site', '31.1263,121.5424,25', *SPAN)
    assert status == 0
    assert len(printed.out.splitlines()) == 5
    assert '72.0°' in printed.out
    status, printed = run_cli(capsys, '--site', 'Shanghai', *SPAN, '--min-elevation', '80')
    assert printed.out == 'No pass over Shanghai.\n'


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (('--site', 'Shanghai', '--start', 'now', '--end', '2018-10-04'), 'not after its start'),
        (('--site', 'Atlantis', *SPAN), 'unknown site'),
        (('--site', 'Shanghai', *SPAN, '--satellite', 'SPUTNIK'), 'no satellite'),
        (('--site', 'Shanghai', '--start', '2018-10-04', '--end', '2018-10-03'), 'not after its start'),
        (('--site', 'Shanghai', '--start', '2019-10-04', '--end', '2019-10-05'), '--force'),
    ],
)
def test_command_refuses_with_one_sentence(capsys, more, message):
    status, printed = run_cli(capsys, *more)
    assert status == 2
    assert printed.out == ''
    assert message in printed.err
    assert 'Traceback' not in printed.err


def test_command_names_a_broken_file(capsys, tmp_path):
    path = tmp_path / 'x.tle'
    path.write_text('MICIUS\n1 41731U\n2 41731')
    assert main(['passes', '--elements', str(path), '--site', 'Shanghai', *SPAN]) == 2
    assert 'x.tle:2' in capsys.readouterr().err


def test_benchmark_compares_with_skyfield(monkeypatch):
    for name, value in (('_DAYS', 3), ('_REPEATS', 1), ('_SATELLITES', 21), ('_SKYFIELD_PAIRS', 3)):
        monkeypatch.setattr(bench, name, value)
    figures = bench.run()
    assert figures['missed'] == 0
    assert figures['worst_time_difference_s'] < 0.1
    assert figures['worst_elevation_difference_deg'] < 0.005
    json.dumps(figures, allow_nan=False)


IN_PROCESSES = """
import logging
from dataclasses import replace

from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.listing import Query
from qkd_gs.orbit.listing_pool import Search, in_processes
from qkd_gs.orbit.passes import Limits
from qkd_gs.orbit.search.arcs import Place
from qkd_gs.orbit.timescale import DAY_NS, parse_utc
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path

told = []


class Told(logging.Handler):
    def emit(self, record):
        told.append(record.getMessage())


logging.getLogger('qkd_gs').addHandler(Told())
first = load_elements(share_path('config', 'elements', 'micius.tle')).orbits[0]
old = replace(first, name='OLD', epoch_ns=first.epoch_ns - 100 * DAY_NS)
satellites = [[replace(first, name=f'S{k}')] if k != 3 else [old] for k in range(6)]
start_ns = parse_utc('2018-09-20')
hidden = load_site('mohe').model_copy(update={'horizon': ((0.0, 12.0), (180.0, 8.0))})
query = Query(start_ns, start_ns + 2 * DAY_NS, (5.0, 30.0), Limits(), in_progress=True, force=False)
search = Search(satellites, [Place.of(load_site('shanghai')), Place.of(hidden)], query, quiet=False)


def comparable(outcomes):
    return [str(one) if isinstance(one, ValueError) else one for one in outcomes]


alone = comparable(search.outcome(k) for k in range(1, 6))
said = [*told]
told.clear()
assert comparable(in_processes(search, 2)) == alone
assert told == said and len(said) == 4, told
assert 'OLD (41731)' in alone[2], alone[2]
assert [listing.site for listing in alone[0][0]] == [0, 1]
"""


def test_processes_find_the_same_passes_and_say_the_same():
    done = subprocess.run([sys.executable, '-c', IN_PROCESSES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
