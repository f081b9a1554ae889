"""Aircraft: no light within the cone of any place where one may be, whatever its messages leave open."""

from math import cos, degrees, pi, radians, sin

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from skyfield.api import wgs84

from qkd_gs.devices.aircraft import AircraftReading, AircraftReport
from qkd_gs.orbit.vectors import azel_from_enu, enu_axes, enu_from_azel, enu_rotation, place_itrs_m, site_itrs_m
from qkd_gs.safety.laser.laser_safety import BeamMotion, LaserSafety
from qkd_gs.safety.laser.possible_positions import angle_to_segment, clearance, distance_to_segment
from qkd_gs.settings.laser_safety import LaserSafetySettings
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
SITE = load_site('shanghai')
BASE = load_yaml(share_path('config', 'station.yaml'), StationSettings)


def station(**aircraft):
    chosen = LaserSafetySettings(aircraft={'manoeuvre_m_s2': 3.0} | aircraft, keep_out='none', permitted_times='any')
    return BASE.model_copy(update={'laser_safety': chosen})


def report(latitude_deg, longitude_deg, altitude_m=None, stamp_ns=NOW, icao='4CA2D3', **more):
    given_more = {'geometric': True} | more
    return AircraftReport(stamp_ns, icao, None, latitude_deg, longitude_deg, altitude_m, **given_more)


def seen_from_site(latitude_deg, longitude_deg, altitude_m):
    """Azimuth and elevation, by Skyfield."""
    site = wgs84.latlon(SITE.latitude_deg, SITE.longitude_deg, SITE.altitude_m)
    place = wgs84.latlon(latitude_deg, longitude_deg, altitude_m)
    return azel_from_enu(enu_rotation(SITE) @ (place.itrs_xyz.m - site.itrs_xyz.m))


def codes(laser, now_ns, az_rad, el_rad, **motion):
    return [limit.code for limit in laser.step(now_ns, BeamMotion(az_rad, el_rad, **motion))]


def watching(*reports, now_ns=NOW, **aircraft):
    laser = LaserSafety(station(**aircraft), SITE)
    laser.heard(now_ns - SECOND, AircraftReading(now_ns - SECOND, ()))
    laser.heard(now_ns, AircraftReading(now_ns, tuple(reports)))
    return laser


# --- the geometry ---

vectors = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.05)


@given(vectors, vectors, vectors, st.floats(0, 1), st.floats(0, 0.5), vectors)
def test_no_point_of_a_region_is_nearer_than_the_clearance(beam, low, high, part, radius, way):
    beam = beam / np.linalg.norm(beam)
    point = low + part * (high - low) + radius * way / max(np.linalg.norm(way), 1.0)
    assume(np.linalg.norm(point) > 1e-3)
    angle = np.arctan2(np.linalg.norm(np.cross(beam, point)), beam @ point)
    regions = low[None, None], high[None, None], np.array([[radius]])  # one, at one time
    assert clearance(beam[None], *regions)[0, 0] <= angle + 1e-7


@given(vectors, vectors, vectors)
def test_the_angle_to_a_segment_is_that_of_its_nearest_point(beam, low, high):
    beam = beam / np.linalg.norm(beam)
    points = low + np.linspace(0, 1, 4001)[:, None] * (high - low)
    lengths = np.linalg.norm(points, axis=1)
    assume(lengths.min() > 0.02)
    angles = np.arctan2(np.linalg.norm(np.cross(beam, points), axis=1), points @ beam)
    assert angle_to_segment(beam, low, high) == pytest.approx(angles.min(), abs=0.02)
    assert angle_to_segment(beam, low, high) <= angles.min() + 1e-9
    assert distance_to_segment(low, high) == pytest.approx(lengths.min(), abs=2e-3)


# --- the property that protects people ---


@settings(deadline=None, max_examples=300)
@given(
    north_km=st.floats(-60, 60),
    east_km=st.floats(-60, 60),
    altitude_m=st.floats(300, 13_000),
    speed=st.floats(0, 300),
    track_deg=st.floats(0, 359.9),
    climb=st.floats(-25, 25),
    acc=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
    latency_s=st.floats(0, 1),
    age_s=st.floats(0, 25),
    off_deg=st.floats(0, 3),
    side=st.floats(0, 2 * pi),
    told=st.sampled_from(['all', 'no climb', 'no velocity', 'no altitude', 'pressure altitude']),
    barometer=st.floats(-0.06, 0.06),
)
@example(20, 5, 10_000, 230, 200, 0, (0, 0, 0), 0.5, 3, 2.9, 1.0, 'all', 0)
def test_it_never_shines_within_the_cone_of_a_possible_position(
    north_km, east_km, altitude_m, speed, track_deg, climb, acc, latency_s, age_s, off_deg, side, told, barometer
):
    """An aircraft that manoeuvres as hard as the settings allow, `age_s` after its last message."""
    lat = SITE.latitude_deg + degrees(north_km / 6371)
    lon = SITE.longitude_deg + degrees(east_km / 6371 / cos(radians(SITE.latitude_deg)))
    if told == 'no velocity':
        assume(np.hypot(speed, climb) <= 340)
    message = report(
        lat,
        lon,
        None if told == 'no altitude' else altitude_m * (1 + barometer * (told == 'pressure altitude')),
        geometric=told != 'pressure altitude',
        speed_m_s=None if told == 'no velocity' else speed,
        track_deg=None if told == 'no velocity' else track_deg,
        climb_m_s=None if told in ('no climb', 'no velocity') else climb,
    )
    laser = watching(message, now_ns=NOW, silent_s=60)
    now_ns = NOW + round(age_s * SECOND)

    since_s = age_s + latency_s  # since the position was measured
    velocity = np.array([speed * sin(radians(track_deg)), speed * cos(radians(track_deg)), climb])
    acceleration = 3.0 * np.array(acc) / max(np.linalg.norm(acc), 1.0) * (told != 'no velocity')
    moved = enu_axes(lat, lon).T @ (velocity * since_s + acceleration * since_s**2 / 2)
    true = enu_rotation(SITE) @ (place_itrs_m(lat, lon, altitude_m) + moved - site_itrs_m(SITE))
    az, el = (float(x) for x in azel_from_enu(true))
    towards = enu_from_azel(az, el)
    aside = np.cross(towards, [0.0, 0.0, 1.0])
    aside = aside / np.linalg.norm(aside)
    other = np.cross(towards, aside)
    beam = cos(radians(off_deg)) * towards + sin(radians(off_deg)) * (cos(side) * aside + sin(side) * other)
    beam_az, beam_el = (float(x) for x in azel_from_enu(beam))
    assert 'laser.aircraft' in codes(laser, now_ns, beam_az, beam_el)


@pytest.mark.parametrize('seconds', [5, 15, 29])
def test_light_is_off_before_an_aircraft_reaches_the_beam(seconds):
    """Half a minute ahead: it flies east, and the beam points at where it will be."""
    lat, lon = SITE.latitude_deg + 0.15, SITE.longitude_deg - 0.02
    message = report(lat, lon, 10_000, speed_m_s=230, track_deg=90, climb_m_s=0)
    then = lon + degrees(230 * seconds / 6_371_000 / cos(radians(lat)))
    az, el = seen_from_site(lat, then, 10_000)
    laser = watching(message)
    (limit,) = laser.step(NOW, BeamMotion(float(az), float(el)))
    assert limit.code == 'laser.aircraft'
    assert '4CA2D3' in limit.words


def test_an_aircraft_that_flies_elsewhere_does_not_stop_the_light():
    message = report(SITE.latitude_deg + 0.5, SITE.longitude_deg, 10_000, speed_m_s=230, track_deg=0, climb_m_s=0)
    assert codes(watching(message), NOW, pi, 1.0) == []


def test_a_beam_that_moves_towards_an_aircraft_goes_off_before():
    message = report(SITE.latitude_deg + 0.2, SITE.longitude_deg, 10_000, speed_m_s=0, track_deg=0, climb_m_s=0)
    az, el = (float(x) for x in seen_from_site(SITE.latitude_deg + 0.2, SITE.longitude_deg, 10_000))
    laser = watching(message)
    assert codes(laser, NOW, az - radians(30), el) == []
    assert codes(laser, NOW, az - radians(30), el, az_rate_rad_s=radians(1.2)) == ['laser.aircraft']


@pytest.mark.parametrize(('ago_s', 'climbed_m'), [(8, 470), (9, -500), (25, 1_400), (55, -3_200)])
def test_an_altitude_told_before_a_position_without_one_may_have_changed_since(ago_s, climbed_m):
    lat, lon = SITE.latitude_deg + 0.03, SITE.longitude_deg
    then = NOW - ago_s * SECOND
    laser = watching(report(lat, lon, 6_000, then, speed_m_s=0, track_deg=0), now_ns=then, look_ahead_s=5)
    laser.heard(NOW, AircraftReading(NOW, ()))
    here = report(lat, lon, None, NOW, speed_m_s=0, track_deg=0, climb_m_s=0)
    laser.heard(NOW, AircraftReading(NOW, (here,)))
    az, el = (float(x) for x in seen_from_site(lat, lon, 6_000 + climbed_m))
    assert 'laser.aircraft' in codes(laser, NOW, az, el)


# --- what the feed must have told ---


def test_nothing_is_permitted_before_the_receiver_is_heard_and_after_it_is_lost():
    laser = LaserSafety(station(), SITE)
    assert codes(laser, NOW, 0.0, 1.0) == ['laser.aircraft_unknown']
    laser.heard(NOW, AircraftReading(NOW, ()))
    assert codes(laser, NOW, 0.0, 1.0) == ['laser.aircraft_quiet']
    laser.heard(NOW, AircraftReading(NOW, (report(SITE.latitude_deg - 2, SITE.longitude_deg, 10_000),)))
    assert codes(laser, NOW + SECOND, 0.0, 1.0) == ['laser.hold']
    assert codes(laser, NOW + 2 * SECOND, 0.0, 1.0) == []
    laser.lost('the feed at 127.0.0.1:30003 has closed the connection')
    (limit,) = laser.step(NOW, BeamMotion(0.0, 1.0))
    assert limit.words == 'aircraft are not known: the feed at 127.0.0.1:30003 has closed the connection'


def test_a_feed_that_freezes_counts_as_missing():
    laser = watching(report(SITE.latitude_deg - 2, SITE.longitude_deg, 10_000))
    assert codes(laser, NOW + 5 * SECOND, 0.0, 1.0) == []
    laser.heard(NOW + 6 * SECOND, AircraftReading(NOW, ()))  # read, but last alive before
    assert codes(laser, NOW + 6 * SECOND, 0.0, 1.0) == ['laser.aircraft_unknown']


def test_a_receiver_that_hears_no_aircraft_may_be_deaf():
    laser = watching(report(SITE.latitude_deg - 2, SITE.longitude_deg, 10_000), quiet_s=100, forget_s=60)
    for k in range(1, 110):
        laser.heard(NOW + k * SECOND, AircraftReading(NOW + k * SECOND, ()))
        expected = ['laser.aircraft_quiet'] if k > 100 else []
        assert codes(laser, NOW + k * SECOND, pi / 2, 1.3) == expected


def test_aircraft_may_be_left_out_only_in_writing():
    laser = LaserSafety(station(watch=False), SITE)
    assert codes(laser, NOW, 0.0, 1.0) == []


def test_a_position_out_of_reach_does_not_clear_the_place_before():
    """Somebody else's address, or a false message: both places stay dark."""
    lat, lon = SITE.latitude_deg + 0.15, SITE.longitude_deg
    az, el = (float(x) for x in seen_from_site(lat, lon, 10_000))
    laser = watching(report(lat, lon, 10_000, speed_m_s=0, track_deg=0, climb_m_s=0))
    later = NOW + SECOND
    far = report(lat - 3, lon, 10_000, later, speed_m_s=0, track_deg=0, climb_m_s=0)
    laser.heard(later, AircraftReading(later, (far,)))
    assert 'laser.aircraft' in codes(laser, later, az, el)


def test_a_late_message_does_not_replace_a_newer_one():
    lat, lon = SITE.latitude_deg + 0.15, SITE.longitude_deg
    laser = watching(report(lat, lon, 10_000, speed_m_s=0, track_deg=0, climb_m_s=0))
    before = [(track.latest_ns, track.ground.tolist()) for track in laser._traffic.tracks]
    old = report(lat + 0.02, lon, 10_000, NOW - 8 * SECOND)
    laser.heard(NOW + SECOND, AircraftReading(NOW + SECOND, (old,)))
    assert [(track.latest_ns, track.ground.tolist()) for track in laser._traffic.tracks] == before


def test_those_without_a_position_are_counted():
    nameless = AircraftReport(NOW, 'ABCDEF', altitude_m=3000.0)
    laser = watching(report(SITE.latitude_deg - 2, SITE.longitude_deg, 10_000), nameless)
    assert laser.aircraft == '1 aircraft, 1 more without position'


def test_more_aircraft_than_can_be_are_no_aircraft():
    crowd = tuple(
        report(SITE.latitude_deg - 2, SITE.longitude_deg, 10_000, icao=f'{k:06X}', geometric=True) for k in range(2100)
    )
    assert codes(watching(*crowd), NOW, 0.0, 1.2)[:1] == ['laser.aircraft_unknown']


def test_an_uncertain_direction_widens_the_cone():
    message = report(SITE.latitude_deg + 0.2, SITE.longitude_deg, 10_000, speed_m_s=0, track_deg=0, climb_m_s=0)
    az, el = (float(x) for x in seen_from_site(SITE.latitude_deg + 0.2, SITE.longitude_deg, 10_000))
    laser = watching(message)
    beam = BeamMotion(az + radians(50), el)
    assert not laser.step(NOW, beam)
    assert laser.step(NOW, beam, radians(40))
