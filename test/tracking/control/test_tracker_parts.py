"""The parts of the tracker alone: axis follower, encoder history, estimator, candidates, search, regions, frame."""

from dataclasses import replace
from math import atan2, cos, degrees, nan, pi, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plant import MODEL, crossing_ns, station, trajectory

from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.station import AxisSettings
from qkd_gs.tracking.control.axis_profile import AxisFollower, AxisPoint
from qkd_gs.tracking.control.candidates import Candidate, CandidateFilter
from qkd_gs.tracking.control.encoder_history import TRUST_AGAIN, EncoderHistory
from qkd_gs.tracking.control.estimator import Estimator
from qkd_gs.tracking.control.measured_polarization import measured_polarization_angle
from qkd_gs.tracking.control.prediction import Prediction
from qkd_gs.tracking.control.requests import FIELD_PX, field_around
from qkd_gs.tracking.control.search import BeaconSearch
from qkd_gs.tracking.control.tuning import Tuning

AXIS = AxisSettings(min_deg=-270, max_deg=270, max_rate_deg_s=30, max_acc_deg_s2=15)
DT = 0.01

# --- axis follower ---


def follow(start_deg, rate_deg_s, target_at, seconds):
    follower = AxisFollower(AXIS, share=0.95, settle_rate_s=6.0)
    follower.restart(radians(start_deg), radians(rate_deg_s))
    points = [follower.point]
    for k in range(1, round(seconds / DT) + 1):
        points.append(follower.step(target_at(k * DT), DT))
    return points


@settings(max_examples=40, deadline=None)
@given(st.floats(-260, 260), st.floats(-20, 20), st.floats(-260, 260))
def test_a_slew_keeps_the_limits_and_arrives(start_deg, rate_deg_s, goal_deg):
    brake_deg = rate_deg_s**2 / (2 * 0.95 * 15)
    if not -269 < start_deg + np.sign(rate_deg_s) * brake_deg < 269:
        return
    points = follow(start_deg, rate_deg_s, lambda t: AxisPoint(radians(goal_deg)), 35)
    places, rates = (np.degrees([getattr(p, name) for p in points]) for name in ('position', 'rate'))
    assert np.abs(places).max() <= 270 + 1e-6
    assert np.abs(rates).max() <= 30
    assert np.abs(np.diff(rates)).max() <= 15 * DT * 1.0001
    assert places[-1] == pytest.approx(goal_deg, abs=1e-4)


def test_a_slew_takes_hardly_longer_than_it_must():
    points = follow(-100, 0, lambda t: AxisPoint(radians(100)), 20)
    arrived = next(k for k, p in enumerate(points) if abs(degrees(p.position) - 100) < 0.03) * DT
    least = 200 / 28.5 + 28.5 / 14.25
    assert arrived < 1.25 * least


@pytest.mark.parametrize('rate_deg_s', [0.2, 10.0, -10.0])
def test_a_jump_of_a_moving_target_dies_out_and_leaves_no_lag(rate_deg_s):
    acc = 1.1  # deg/s^2: a culmination of 85 deg

    def target(t):
        return AxisPoint(*map(radians, (0.2 + rate_deg_s * t + acc * t * t / 2, rate_deg_s + acc * t, acc)))

    points = follow(0.0, rate_deg_s, target, 5)
    assert abs(points[-1].position - target(5).position) < 1e-9
    assert points[-1].rate == pytest.approx(target(5).rate, abs=1e-8)


# --- encoder history ---


def moving(k, az_jump=0.0):
    t = k * DT
    return MountReading(
        round(t * 1e9), 0.1 * sin(t) + az_jump, 0.2 + 0.05 * cos(t), 0.1 * cos(t), -0.05 * sin(t), MountMode.TRACK
    )


def filled(count=100):
    history = EncoderHistory(max_acc_rad_s2=0.5)
    for k in range(count):
        assert history.add(moving(k))
    return history


@given(st.integers(0, 990_000_000))
def test_between_readings_the_axes_are_known_to_a_nanoradian(t_ns):
    az, el = filled().at(t_ns)
    assert az == pytest.approx(0.1 * sin(t_ns * 1e-9), abs=1e-9)
    assert el == pytest.approx(0.2 + 0.05 * cos(t_ns * 1e-9), abs=1e-9)


def test_outside_the_history_nothing_is_invented():
    history = filled()
    assert history.at(-1) is None
    assert history.at(990_000_000 + 60_000_000) is None
    assert EncoderHistory(0.5).at(0) is None


def test_a_glitch_is_refused_and_a_new_place_believed_in_the_end():
    history = filled()
    assert not history.add(moving(100, az_jump=0.01))
    assert history.newest == moving(99)
    assert history.add(moving(101))
    taken = [history.add(moving(102 + k, az_jump=0.01)) for k in range(TRUST_AGAIN)]
    assert taken == [False] * (TRUST_AGAIN - 1) + [True]


# --- estimator ---


def fed_estimator(seed, jacobian_at, bias_s, cross_m, residual_rad, seconds=60):
    rng = np.random.default_rng(seed)
    tuning = Tuning()
    estimator = Estimator(tuning)
    first = np.linalg.inv(jacobian_at(0)) @ (30e-6 * rng.normal(size=2))
    estimator.start(0, bias_s + first[0], cross_m + first[1], jacobian_at(0), 30e-6)
    tilt = np.zeros(2)
    keep = np.exp(-DT / tuning.tilt_correlation_s)
    errors = []
    for k in range(1, round(seconds / DT)):
        t = k * DT
        tilt = keep * tilt + np.sqrt(1 - keep**2) * 4e-6 * rng.normal(size=2)
        estimator.advance(round(t * 1e9), 0.03)
        J = jacobian_at(t)
        wrong = np.array([bias_s - estimator.time_bias_s, cross_m - estimator.cross_track_m])
        offset = J @ wrong + residual_rad(0.03 * t) + tilt
        assert estimator.update(round(t * 1e9), tuple(offset), J, 4e-6, 1e-6)
        wrong = np.array([bias_s - estimator.time_bias_s, cross_m - estimator.cross_track_m])
        errors.append(J @ wrong + residual_rad(0.03 * t) - estimator.state[2:4])
    return estimator, np.array(errors)


def turning(t):
    """Satellite that turns from along y to along x while it comes nearer."""
    angle, rate, per_m = 0.02 * t, 6e-3 + 1e-4 * t, 1.2e-6
    return np.array([[rate * sin(angle), per_m * cos(angle)], [rate * cos(angle), -per_m * sin(angle)]])


@pytest.mark.parametrize('seed', range(3))
def test_the_estimate_rejects_the_tilt_and_knows_its_error(seed):
    estimator, errors = fed_estimator(seed, turning, 0.2, -500.0, lambda arc: np.array([1e-5 * sin(4 * arc), 0.0]))
    settled = errors[1000:]
    assert np.sqrt(np.mean(settled**2)) < 1.6e-6  # of 4 urad of tilt
    assert np.sqrt(np.mean(settled**2)) < 2 * estimator.sigma_rad(turning(60))
    assert estimator.time_bias_s == pytest.approx(0.2, abs=4e-3)


def test_a_spot_outside_the_gate_changes_nothing():
    estimator, _ = fed_estimator(0, turning, 0.2, -500.0, lambda arc: np.zeros(2), seconds=20)
    before = estimator.state.copy()
    assert not estimator.update(20_000_000_000, (2e-4, 0.0), turning(20), 4e-6, 1e-6)
    assert np.array_equal(before, estimator.state)


def test_the_residual_model_keeps_its_size_and_the_covariance_positive():
    estimator = Estimator(Tuning())
    estimator.start(0, 0.0, 0.0, turning(0), 1e-5)
    for k in range(1, 2000):
        estimator.advance(k * 100_000_000, 0.1)
    assert np.all(np.linalg.eigvalsh(estimator.covariance) > 0)
    sigma_urad = np.sqrt(estimator.covariance[2, 2]) * 1e6
    assert sigma_urad == pytest.approx(Tuning().residual_urad, rel=0.05)


# --- candidates ---


def test_a_steady_place_is_confirmed_and_a_passing_star_is_not():
    rng = np.random.default_rng(2)
    beacon, star = CandidateFilter(Tuning()), CandidateFilter(Tuning())
    found = []
    for k in range(15):
        t_ns = k * 100_000_000
        noise = rng.normal(scale=2e-3, size=2)
        found.append(beacon.add(Candidate(t_ns, 0.2 + noise[0], 300 + 5 * noise[1]), 5e3, 0.5))
        assert star.add(Candidate(t_ns, 0.7 - 0.1 * k, 0.0), 5e3, 0.5) is None
    first = next(k for k, candidate in enumerate(found) if candidate is not None)
    assert first == 3
    assert found[first].time_bias_s == pytest.approx(0.2, abs=5e-3)


# --- search ---


@pytest.mark.parametrize('culmination_rad_s', [4e-3, 16e-3])
def test_every_place_within_the_limits_is_lit_long_enough_in_the_end(culmination_rad_s):
    tuning = Tuning()
    limits, half_angle = (0.5, 1500.0), 1.5e-3
    per_m = 0.5e-6 if culmination_rad_s < 0.01 else 2e-6
    J = np.array([[0.0, per_m], [culmination_rad_s, 0.0]])
    search = BeaconSearch(tuning, limits, half_angle)
    bias, cross = np.meshgrid(np.linspace(-0.5, 0.5, 21), np.linspace(-1500, 1500, 21))
    covered, done = np.zeros(bias.shape), np.zeros(bias.shape, dtype=bool)
    inside = (np.abs(bias) <= 0.3) & (np.abs(cross) <= 1000)
    for k in range(6000):
        aim = search.step(0.1, search.aim, J, hold=False)
        away = np.hypot((bias - aim[0]) * culmination_rad_s, (cross - aim[1]) * per_m)
        covered = np.where(away < half_angle, covered + 0.1, 0.0)
        done |= covered >= tuning.light_delay_s
        if done[inside].all() and (k + 1) * 0.1 > 90:
            break
    # the expected errors within a minute and a half, at the culmination's full rate
    assert (k + 1) * 0.1 <= 91
    for _ in range(3000):
        aim = search.step(0.1, search.aim, J, hold=False)
        away = np.hypot((bias - aim[0]) * culmination_rad_s, (cross - aim[1]) * per_m)
        covered = np.where(away < half_angle, covered + 0.1, 0.0)
        done |= covered >= tuning.light_delay_s
    assert done.all()


def test_a_dark_beam_teaches_nothing_and_a_known_place_is_kept():
    J = np.array([[0.0, 1e-6], [1e-2, 0.0]])
    search = BeaconSearch(Tuning(), (1.0, 3000.0), 1.5e-3, centre=(0.2, 100.0), found_before=True)
    before = search.probability.copy()
    for _ in range(100):
        search.step(0.1, (nan, nan), J, hold=False)
    assert np.array_equal(before, search.probability)
    for _ in range(120):
        assert search.step(0.1, search.aim, J, hold=False) == pytest.approx((0.2, 100.0))


# --- regions ---


@given(st.floats(-2e-3, 2e-3), st.floats(-2e-3, 2e-3))
def test_the_region_lies_on_the_sensor_and_holds_the_spot(x_rad, y_rad):
    camera = station().tracking_camera
    roi = field_around(camera, x_rad, y_rad)
    assert 0 <= roi.x0_px <= camera.width_px - FIELD_PX
    assert 0 <= roi.y0_px <= camera.height_px - FIELD_PX
    x_px, y_px = CameraGeometry.of(camera).pixel(x_rad, y_rad)
    if 0 <= x_px < camera.width_px and 0 <= y_px < camera.height_px:
        assert roi.x0_px <= x_px < roi.x0_px + FIELD_PX
        assert roi.y0_px <= y_px < roi.y0_px + FIELD_PX


# --- polarization angle and aim ---


@pytest.mark.parametrize('model', [MountModel(), MODEL])
@pytest.mark.parametrize('astray_rad', [0.0, 2e-3, -1e-3])
def test_the_frame_is_that_of_vectors_seen_from_where_the_tube_stands(model, astray_rad):
    track = trajectory(85.0)
    state = track.at(crossing_ns(track, 84))
    enc_az, enc_el = model.encoder(state.az_rad, state.el_rad)
    reading = MountReading(int(state.t_ns), enc_az + astray_rad, enc_el, 0.0, 0.0, MountMode.TRACK)
    frame, _ = measured_polarization_angle(model, reading, state)
    # the satellite's H axis as a vector, and the tube's right and up from three looks of the mount model
    right, up = axes_of(state.az_rad, state.el_rad)
    h_axis = cos(state.polarization_angle_rad) * right + sin(state.polarization_angle_rad) * up
    centre, beside, above = (
        vector(*model.apparent(reading.az_rad, reading.el_rad, *xy)) for xy in ((0.0, 0.0), (1e-5, 0.0), (0.0, 1e-5))
    )
    expected = atan2(h_axis @ (above - centre), h_axis @ (beside - centre))
    assert (frame - expected + pi) % (2 * pi) - pi == pytest.approx(0, abs=4e-6)


def vector(az, el):
    return np.array([cos(el) * sin(az), cos(el) * cos(az), sin(el)])


def axes_of(az, el):
    return np.array([cos(az), -sin(az), 0.0]), np.array([-sin(el) * sin(az), -sin(el) * cos(az), cos(el)])


def test_the_frame_rate_is_the_frame_of_later_minus_the_frame_of_now():
    track = trajectory(85.0)
    t0 = crossing_ns(track, 83)
    frames = []
    for ahead_ns in (0, 10_000_000, 20_000_000):
        state = track.at(t0 + ahead_ns)
        motion = MODEL.encoder_command(state)
        reading = MountReading(
            t0 + ahead_ns, motion.az_rad, motion.el_rad, motion.az_rate_rad_s, motion.el_rate_rad_s, MountMode.TRACK
        )
        frames.append(measured_polarization_angle(MODEL, reading, state))
    assert frames[1][1] == pytest.approx((frames[2][0] - frames[0][0]) / 0.02, rel=1e-3)


@pytest.mark.parametrize('ahead_deg', [2.0, -1.5])
def test_a_telescope_that_turns_at_its_own_rate_in_a_gap_turns_the_frame(ahead_deg):
    """Off the track, at half the rate of the satellite: the rate is the frame of later minus that of before."""
    track = trajectory(88.0)
    t0 = crossing_ns(track, 87.5)
    start = MODEL.encoder_command(track.at(t0))
    frames = []
    for ahead_ns in (-10_000_000, 0, 10_000_000):
        state = track.at(t0 + ahead_ns)
        az_rad = start.az_rad + radians(ahead_deg) + start.az_rate_rad_s * 0.5 * ahead_ns * 1e-9
        el_rad = start.el_rad + start.el_rate_rad_s * ahead_ns * 1e-9
        reading = MountReading(
            t0 + ahead_ns, az_rad, el_rad, start.az_rate_rad_s * 0.5, start.el_rate_rad_s, MountMode.TRACK
        )
        frames.append(measured_polarization_angle(MODEL, reading, state))
    assert frames[1][1] == pytest.approx((frames[2][0] - frames[0][0]) / 0.02, rel=0.01)


def test_the_aim_is_below_the_beacon_by_the_dispersion():
    track = trajectory(72.0)
    prediction = Prediction(track)
    state = track.at(crossing_ns(track, 20))
    assert prediction.dispersion(state.el_rad) == pytest.approx(9.4e-6, abs=0.5e-6)
    estimator = Estimator(Tuning())
    aim = prediction.aim(state, estimator.residual(0.0))
    assert aim.el_rad == pytest.approx(state.el_rad - prediction.dispersion(state.el_rad))
    assert replace(aim, el_rad=state.el_rad) == state
