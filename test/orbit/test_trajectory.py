"""The trajectory against Skyfield's vectors, difference quotients, the paper's figures, and itself backwards."""

from math import degrees, pi, radians

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from skyfield.api import EarthSatellite, wgs84
from skyfield.constants import AU_M
from skyfield.relativity import add_aberration

from qkd_gs.errors import StationError
from qkd_gs.orbit import Trajectory, find_passes
from qkd_gs.orbit.refraction import site_refraction
from qkd_gs.orbit.timescale import timescale, to_time
from qkd_gs.orbit.vectors import polarization_angle, sky_offset
from qkd_gs.settings.site import Site

C = 299792458.0
SECOND_NS = 1_000_000_000


def skyfield_place(demo, t_ns, bias_s=0.0, cross_m=0.0):
    """Apparent azimuth, elevation, range, light-time and polarization angle, by Skyfield."""
    scale = timescale()
    satellite = EarthSatellite.from_satrec(demo.orbit.satrec, scale)
    place = wgs84.latlon(demo.site.latitude_deg, demo.site.longitude_deg, elevation_m=demo.site.altitude_m)
    time = to_time(t_ns)
    station = place.at(time)
    light_s = np.zeros(len(t_ns))
    for _ in range(5):
        emitted = satellite.at(scale.tt_jd(time.whole, time.tt_fraction + (bias_s - light_s) / 86400))
        normal = np.cross(emitted.xyz.m.T, emitted.velocity.m_per_s.T).T
        normal /= np.linalg.norm(normal, axis=0)
        position = emitted.xyz.m + cross_m * normal
        sight = position - station.xyz.m
        light_s = np.linalg.norm(sight, axis=0) / C
    seen = sight / AU_M
    add_aberration(seen, station.velocity.au_per_d, light_s / 86400)
    turn = place.rotation_at(time)  # GCRS -> north, east, up
    north, east, up = np.einsum('ijn,jn->in', turn, seen)
    el = np.arctan2(up, np.hypot(north, east))
    range_m = light_s * C
    normal = np.cross(position.T, emitted.velocity.m_per_s.T).T  # of the plane that the moved satellite flies in
    axis = np.einsum('ijn,jn->in', turn, normal)[[1, 0, 2]].T
    az = np.arctan2(east, north)
    angle = np.array([polarization_angle(*row) for row in zip(az, el, axis, strict=True)])
    return az, site_refraction(demo.site).apparent(el, range_m), range_m, light_s, angle


@pytest.mark.parametrize(('bias_s', 'cross_m'), [(0.0, 0.0), (0.3, 1000.0), (-4.0, -3000.0)])
def test_apparent_place_against_skyfield(demo, bias_s, cross_m):
    t_ns = demo.middle_ns + np.arange(-295, 296, 5) * SECOND_NS + 123_456_789
    state = demo.trajectory.table(t_ns, bias_s, cross_m)
    az, el, range_m, light_s, angle = skyfield_place(demo, t_ns, bias_s, cross_m)
    across = np.angle(np.exp(1j * (state.az_rad - az))) * np.cos(el)
    normal_rad = 1e-6 * abs(cross_m) / 5e5  # SGP4's velocity is not quite its position's, so nor is the normal here
    assert np.abs(across).max() < 1e-9 + normal_rad  # 0.001 urad
    assert np.abs(state.el_rad - el).max() < 1e-9 + normal_rad
    assert np.abs(state.range_m - range_m).max() < 1e-3 + normal_rad * 5e5
    assert np.abs(state.light_time_s - light_s).max() < (1e-3 + normal_rad * 5e5) / C
    assert (
        np.abs(np.angle(np.exp(1j * (state.polarization_angle_rad - angle)))).max() < 3e-6
    )  # Skyfield's normal is SGP4's own


def test_culmination_of_the_papers_pass(demo):
    state = demo.trajectory.at(demo.middle_ns)
    assert degrees(state.el_rad) == pytest.approx(72.0, abs=0.2)
    assert state.range_m == pytest.approx(523e3, abs=1e3)
    assert abs(state.el_rate_rad_s / state.el_acc_rad_s2) < 2  # s from the very top


@pytest.mark.parametrize(
    ('angle', 'rate_name'),
    [
        ('az_rad', 'az_rate_rad_s'),
        ('el_rad', 'el_rate_rad_s'),
        ('polarization_angle_rad', 'polarization_rate_rad_s'),
    ],
)
def test_rates_are_the_angles_derivatives(demo, angle, rate_name):
    step_ns = 50_000_000
    t_ns = demo.middle_ns + np.arange(-290, 291, 1) * SECOND_NS
    rows = [getattr(demo.trajectory.table(t_ns + k * step_ns, 0.1, 700.0), angle) for k in (-2, -1, 1, 2)]
    slope = (rows[0] - 8 * rows[1] + 8 * rows[2] - rows[3]) / (12 * step_ns * 1e-9)
    rate = getattr(demo.trajectory.table(t_ns, 0.1, 700.0), rate_name)
    assert np.abs(slope - rate).max() < 3e-9


@pytest.mark.parametrize('angle', ['az', 'el'])
def test_accelerations_are_the_rates_derivatives(demo, angle):
    step_ns = 50_000_000
    t_ns = demo.middle_ns + np.arange(-290, 291, 1) * SECOND_NS
    rows = [getattr(demo.trajectory.table(t_ns + k * step_ns), f'{angle}_rate_rad_s') for k in (-2, -1, 1, 2)]
    slope = (rows[0] - 8 * rows[1] + 8 * rows[2] - rows[3]) / (12 * step_ns * 1e-9)
    # the curve of refraction is piecewise cubic: its third derivative steps
    assert np.abs(slope - getattr(demo.trajectory.table(t_ns), f'{angle}_acc_rad_s2')).max() < 2e-7


def test_range_is_smooth_enough_for_picoseconds(demo):
    """Over the joints of the table: 4 s of range are a polynomial of degree 8 to far below 1 mm (3 ps)."""
    worst = 0.0
    for centre_s in range(-290, 290, 7):
        t_ns = demo.middle_ns + centre_s * SECOND_NS + np.arange(-2000, 2001, 20) * 1_000_000
        x = np.linspace(-1, 1, len(t_ns))
        range_m = demo.trajectory.table(t_ns).range_m
        fit = np.polynomial.chebyshev.Chebyshev.fit(x, range_m, 8)
        worst = max(worst, float(np.abs(fit(x) - range_m).max()))
    assert worst < 1e-6


def test_range_rate(demo):
    t_ns = demo.middle_ns + np.arange(-290, 291) * SECOND_NS
    rows = [demo.trajectory.table(t_ns + k * 100_000_000).range_m for k in (-2, -1, 1, 2)]
    slope = (rows[0] - 8 * rows[1] + 8 * rows[2] - rows[3]) / 1.2
    assert np.abs(slope - demo.trajectory.table(t_ns).range_rate_m_s).max() < 1e-4


def test_one_reading_is_a_row_of_the_table(demo):
    t_ns = demo.middle_ns + np.arange(-5, 5) * SECOND_NS
    rows = demo.trajectory.table(t_ns, 0.2, -500.0)
    for k, t in enumerate(t_ns.tolist()):
        one = demo.trajectory.at(t, 0.2, -500.0)
        for name in (
            'az_rad',
            'el_rad',
            'el_acc_rad_s2',
            'range_m',
            'polarization_angle_rad',
            'polarization_rate_rad_s',
        ):
            assert getattr(one, name) == getattr(rows, name)[k]


@pytest.mark.parametrize(
    ('culmination_deg', 'az_deg_s', 'az_deg_s2', 'polarization_deg_s'),
    [(72, 2.7, 0.08, 2.8), (85, 10, 1.1, 10), (88, 25, 7, 25)],
)
def test_rates_of_a_pass_500_km_up(demo, culmination_deg, az_deg_s, az_deg_s2, polarization_deg_s):
    """What a mount must follow; the demo pass seen from sites ever nearer below its track."""
    site, top = site_with_culmination(demo, culmination_deg)
    trajectory = Trajectory.predict(demo.orbit, site, top.rise_ns, top.set_ns)
    states = trajectory.table(
        np.arange(top.culmination_ns - 60 * SECOND_NS, top.culmination_ns + 60 * SECOND_NS, 10**8)
    )
    assert states.range_m.min() == pytest.approx(500e3, rel=0.05)
    assert np.degrees(np.abs(states.az_rate_rad_s)).max() == pytest.approx(az_deg_s, rel=0.06)
    assert np.degrees(np.abs(states.az_acc_rad_s2)).max() == pytest.approx(az_deg_s2, rel=0.12)
    assert np.degrees(np.abs(states.polarization_rate_rad_s)).max() == pytest.approx(polarization_deg_s, rel=0.06)
    half_turn = abs(states.az_rad[-1] - states.az_rad[0])
    assert radians(100) < half_turn < pi
    assert np.abs(np.diff(states.az_rad)).max() < 1.1 * radians(az_deg_s) * 0.1


def site_with_culmination(demo, culmination_deg):
    def culmination(longitude_deg):
        site = Site(name='below', latitude_deg=31.1263, longitude_deg=longitude_deg, altitude_m=25)
        return site, find_passes(demo.orbit, site, demo.start_ns, demo.end_ns)[0]

    # the track runs west of Shanghai or east of it: go towards it until the satellite stands high enough
    towards = -1 if degrees(demo.trajectory.at(demo.middle_ns).az_rad) > 180 else 1
    longitude_deg = brentq(
        lambda x: culmination(x)[1].max_elevation_deg - culmination_deg, 121.5 - towards * 1, 121.5 + towards * 1.62
    )
    return culmination(longitude_deg)


@pytest.mark.parametrize('offset_m', [0.0, 0.5, -0.5])
def test_through_the_very_zenith_everything_stays_finite(demo, offset_m):
    site, top = site_with_culmination(demo, 89.6)
    trajectory = Trajectory.predict(demo.orbit, site, top.rise_ns, top.set_ns)
    missing = radians(90) - trajectory.at(top.culmination_ns).el_rad
    cross_m = trajectory.at(top.culmination_ns).range_m * missing
    states = trajectory.table(
        np.arange(top.rise_ns, top.set_ns, 10**7), cross_track_m=(cross_m if offset_m >= 0 else -cross_m) + offset_m
    )
    for values in vars(states).values():
        assert np.isfinite(values).all()
    x_rate = states.az_rate_rad_s * np.cos(states.el_rad)
    assert np.hypot(x_rate, states.el_rate_rad_s).max() < 0.016  # the sky's own speed stays that of a satellite


def test_azimuth_and_polarization_angle_are_continuous_over_north(micius, demo):
    """No jump at the fold of the compass, for every pass of a week."""
    passes = find_passes(demo.orbit, demo.site, demo.start_ns, demo.start_ns + 7 * 86400 * SECOND_NS)
    assert len(passes) > 15
    for one in passes:
        states = Trajectory.predict(demo.orbit, demo.site, one.rise_ns, one.set_ns).table(
            np.arange(one.rise_ns, one.set_ns, 10**8)
        )
        for angle, rate in (
            (states.az_rad, states.az_rate_rad_s),
            (states.polarization_angle_rad, states.polarization_rate_rad_s),
        ):
            steps = np.diff(angle)
            fastest = np.abs(rate).max() * 0.1
            assert np.abs(steps).max() <= fastest * 1.1
        assert 0 <= states.az_rad[0] < 2 * pi


def test_a_bias_of_the_prediction_is_the_bias_of_a_reading(demo):
    moved = Trajectory.predict(
        demo.orbit, demo.site, demo.start_ns, demo.end_ns, cross_track_m=800.0, along_track_s=-0.27
    )
    a, b = moved.at(demo.middle_ns), demo.trajectory.at(demo.middle_ns, -0.27, 800.0)
    assert sky_offset(a.az_rad, a.el_rad, b.az_rad, b.el_rad) == pytest.approx((0, 0), abs=1e-11)
    assert a.range_m == pytest.approx(b.range_m, abs=1e-5)


def test_a_satellite_ahead_of_its_elements_is_seen_earlier(demo):
    """0.3 s at 523 km: 4.3 mrad along the track; the Earth's own turning keeps it from being a mere shift in time."""
    now, ahead = demo.trajectory.at(demo.middle_ns), demo.trajectory.at(demo.middle_ns, 0.3)
    later = demo.trajectory.at(demo.middle_ns + 300_000_000)
    x, y = sky_offset(ahead.az_rad, ahead.el_rad, now.az_rad, now.el_rad)
    assert np.hypot(x, y) == pytest.approx(0.3 * 7600 / 523e3, rel=0.05)
    x, y = sky_offset(ahead.az_rad, ahead.el_rad, later.az_rad, later.el_rad)
    assert np.hypot(x, y) == pytest.approx(0.3 * 465 * np.cos(radians(31)) / 523e3, rel=0.2)


@settings(max_examples=30, deadline=None)
@given(st.integers(-200, 200), st.floats(-1, 1), st.floats(-3000, 3000))
def test_the_bias_is_found_again_from_a_direction(demo, second, bias_s, cross_m):
    t_ns = demo.middle_ns + second * SECOND_NS
    seen = demo.trajectory.at(t_ns, bias_s, cross_m)
    found = demo.trajectory.bias_of(t_ns, seen.az_rad, seen.el_rad)
    assert found[0] == pytest.approx(bias_s, abs=1e-7)
    assert found[1] == pytest.approx(cross_m, abs=1e-3)


def test_a_direction_off_the_track_has_no_bias(demo):
    state = demo.trajectory.at(demo.middle_ns)
    with pytest.raises(StationError, match='not near the track'):
        demo.trajectory.bias_of(demo.middle_ns, state.az_rad + 1.5, state.el_rad - 1.0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 600 * 10**12), min_size=1, max_size=50), st.floats(-0.3, 0.3), st.floats(-1000, 1000))
def test_pulses_arrive_and_are_traced_back(demo, emissions, bias_s, cross_m):
    emission_ps = np.array(emissions, dtype=np.int64)
    arrival_ps = demo.trajectory.arrival_ps(emission_ps, bias_s, cross_m)
    back_ps = demo.trajectory.emission_ps(arrival_ps, bias_s, cross_m)
    assert np.abs(back_ps - emission_ps).max() <= 1


def test_arrivals_are_those_of_the_light_time(demo):
    """The fast table against the trajectory itself at whole nanoseconds of arrival."""
    t_ns = demo.start_ns + np.arange(1, 600, 7) * SECOND_NS + 987_654_321
    arrival_ps = (t_ns - demo.trajectory.epoch_ns) * 1000
    emission_ps = demo.trajectory.emission_ps(arrival_ps, 0.1)
    assert np.abs((arrival_ps - emission_ps) - demo.trajectory.table(t_ns, 0.1).light_time_s * 1e12).max() < 1
    assert np.abs(demo.trajectory.arrival_ps(emission_ps, 0.1) - arrival_ps).max() <= 1


def test_pulses_keep_their_distance_to_a_picosecond(demo):
    """10 ns apart at the satellite: arrivals a straight line within the rounding, over 10 us."""
    emission_ps = 300 * 10**12 + np.arange(1000, dtype=np.int64) * 10_000
    arrival_ps = demo.trajectory.arrival_ps(emission_ps)
    offsets = (arrival_ps - arrival_ps[0]).astype(float)
    fit = np.polynomial.Polynomial.fit(np.arange(1000), offsets, 1)
    assert np.abs(fit(np.arange(1000)) - offsets).max() < 1


def test_no_pulses_no_arrivals(demo):
    assert demo.trajectory.arrival_ps(np.empty(0, dtype=np.int64)).size == 0


@pytest.mark.parametrize('second', [-320, 320])
def test_beyond_the_table_is_refused(demo, second):
    t_ns = demo.middle_ns + second * SECOND_NS
    with pytest.raises(StationError, match='outside the prediction'):
        demo.trajectory.at(t_ns)
    with pytest.raises(StationError, match='outside the prediction'):
        demo.trajectory.table(np.array([t_ns]))
    with pytest.raises(StationError, match='outside the prediction'):
        demo.trajectory.at(demo.middle_ns, time_bias_s=second)


def test_an_end_before_the_start_is_refused(demo):
    with pytest.raises(StationError, match='ends at'):
        Trajectory.predict(demo.orbit, demo.site, demo.end_ns, demo.start_ns)
