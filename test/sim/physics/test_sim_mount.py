"""The twin's mount obeys mechanics, its own limits and its Protocol."""

from __future__ import annotations

from math import cos, exp, pi, radians, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.devices.mount import MountCommand, MountMode
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.twin_plant import Gust
from qkd_gs.sim.physics import axis_kernel as kernel
from qkd_gs.sim.physics.mount import SimMount

MS = 1_000_000


def make(twin, station, seed=1, **changes):
    return SimMount(twin.plant.mount.model_copy(update=changes), station.mount, 0, 1000, np.random.default_rng(seed))


def calm(twin):
    """Axes without wind."""
    return {
        'azimuth': twin.plant.mount.azimuth.model_copy(update={'wind_n_m': 0.0}),
        'elevation': twin.plant.mount.elevation.model_copy(update={'wind_n_m': 0.0}),
    }


def follow(mount, path, seconds, period_ms=10):
    """Send timed set-points of `path(t) -> ((az, rate, acc), (el, rate, acc))`; true angles every ms, (n, 2)."""
    now_ns, parts = round(mount.read(0).stamp_ns), []
    for _ in range(round(seconds * 1000 / period_ms)):
        at_ns = now_ns + period_ms * MS
        (az, az1, az2), (el, el1, el2) = path(at_ns * 1e-9)
        mount.command(now_ns, MountCommand(at_ns, az, el, az1, el1, az2, el2))
        parts.append(mount.advance(period_ms))
        now_ns = at_ns
    return np.concatenate(parts)


def test_an_axis_without_torque_runs_down_by_coulomb_and_viscous_friction(twin, station):
    mount = make(twin, station, **calm(twin))
    axis, rate = twin.plant.mount.azimuth, 0.4
    mount._state[0, kernel.RATE] = rate
    out = np.empty((400, 2))
    noise = np.zeros((1600, 2, 2))
    kernel.run(mount._state, mount._constants, np.zeros((2, 3)), 0.0, kernel.FREE, 1600, 1 / 4000, 2, 4, noise,
               np.zeros(2), 0, out)  # fmt: skip
    inertia, coulomb, viscous = axis.inertia_kg_m2, axis.coulomb_n_m, axis.viscous_n_m_s
    # J w' = -F - b w, after the friction has built up over the presliding travel
    expected = (rate + coulomb / viscous) * exp(-viscous / inertia * 0.4) - coulomb / viscous
    assert mount._state[0, kernel.RATE] == pytest.approx(expected, abs=2e-4)


def test_the_loop_is_stiff_in_light_wind(twin, station):
    """Following error below 1 urad RMS at the rates of a pass (15 mrad/s and accelerating)."""
    mount = make(twin, station)
    mount.enable(0)

    def path(t):
        return (
            (0.015 * t + 0.1 * sin(0.1 * t), 0.015 + 0.01 * cos(0.1 * t), -0.001 * sin(0.1 * t)),
            (0.3 + 0.005 * t, 0.005, 0.0),
        )

    angles = follow(mount, path, 20.0)
    t_s = 1e-3 * np.arange(1, len(angles) + 1)
    wanted = np.array([[axis[0] for axis in path(t)] for t in t_s])
    error_urad = (angles - wanted)[4000:] * 1e6
    assert np.sqrt((error_urad**2).mean(axis=0)).max() < 1.0
    assert np.abs(error_urad).max() < 3.0


def test_a_far_set_point_is_shaped_by_rate_and_acceleration(twin, station):
    mount = make(twin, station, **calm(twin))
    mount.enable(0)
    goal = radians(60.0)
    angles = follow(mount, lambda _: ((goal, 0.0, 0.0), (0.2, 0.0, 0.0)), 8.0)[:, 0]
    limits = station.mount.azimuth
    rate = np.diff(angles, prepend=0.0) * 1000
    acc = (rate[20:] - rate[:-20]) * 50  # over 20 ms: the loop rings for a few
    assert np.degrees(np.abs(rate)).max() <= limits.max_rate_deg_s
    assert np.degrees(np.abs(acc)).max() <= limits.max_acc_deg_s2
    arrived = np.flatnonzero(np.abs(angles - goal) > 1e-5)[-1] * 1e-3
    best = 2 * sqrt(60 / limits.max_acc_deg_s2) if limits.max_rate_deg_s**2 / limits.max_acc_deg_s2 > 60 else (
        60 / limits.max_rate_deg_s + limits.max_rate_deg_s / limits.max_acc_deg_s2
    )  # fmt: skip
    assert arrived < 1.5 * best
    assert angles.max() < goal + 1e-4


set_points = st.lists(
    st.tuples(st.floats(-4.7, 4.7), st.floats(-0.05, 1.6), st.floats(-1, 1), st.floats(-1, 1), st.floats(-2, 2)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, deadline=None)
@given(points=set_points)
def test_limits_hold_under_any_commands(twin, station, points):
    mount = make(twin, station)
    mount.enable(0)
    now_ns, parts = 0, []
    for az, el, az_rate, el_rate, acc in points:
        mount.command(now_ns, MountCommand(now_ns + 20 * MS, az, el, az_rate, el_rate, acc, -acc))
        parts.append(mount.advance(90))
        now_ns += 90 * MS
    parts.append(mount.advance(2500))
    angles = np.concatenate(parts)
    rate = np.diff(angles, axis=0) * 1000
    acc = (rate[20:] - rate[:-20]) * 50
    for axis, limits in enumerate((station.mount.azimuth, station.mount.elevation)):
        assert np.degrees(np.abs(rate[:, axis])).max() <= limits.max_rate_deg_s
        assert np.degrees(np.abs(acc[:, axis])).max() <= limits.max_acc_deg_s2
        assert np.degrees(angles[:, axis].max()) <= limits.max_deg + 0.01
        assert np.degrees(angles[:, axis].min()) >= limits.min_deg - 0.01
    assert np.abs(rate[-100:]).max() < 1e-3  # the control process is silent: at rest
    assert mount.read(0).mode == MountMode.HOLD


def test_silence_brakes_within_the_watchdog_time(twin, station):
    mount = make(twin, station)
    mount.enable(0)
    follow(mount, lambda t: ((0.2 * t, 0.2, 0.0), (0.1, 0.0, 0.0)), 5.0)
    heard_ns = 4990 * MS  # the last call
    mount.advance(90 + 1)  # just beyond the watchdog time, and the delay of the call
    assert mount.read(0).mode == MountMode.STOPPING
    assert mount.read(0).stamp_ns - heard_ns <= 0.102e9
    braking = 0.2 / radians(station.mount.azimuth.max_acc_deg_s2 * 0.88)
    mount.advance(round(braking * 1000) + 30)
    reading = mount.read(0)
    assert reading.mode == MountMode.HOLD
    assert abs(np.diff(mount.advance(100)[:, 0])).max() < 1e-6


def test_stop_brakes_at_once_and_may_be_repeated(twin, station):
    mount = make(twin, station)
    mount.enable(0)
    before = follow(mount, lambda t: ((0.2 * t, 0.2, 0.0), (0.1, 0.0, 0.0)), 5.0)[-1, 0]
    for _ in range(3):
        mount.stop(5_000 * MS)
    way = mount.advance(1500)[-1, 0] - before
    acc = radians(station.mount.azimuth.max_acc_deg_s2 * (1 - twin.plant.mount.servo.acceleration_reserve))
    assert way == pytest.approx(0.2**2 / 2 / acc, rel=0.02)
    mount.stop(6_500 * MS)
    assert mount.read(0).mode == MountMode.HOLD


def test_the_end_of_travel_stops_a_runaway(twin, station):
    mount = make(twin, station)
    mount.enable(0)
    follow(mount, lambda _: ((0.0, 0.0, 0.0), (radians(80), 0.0, 0.0)), 9.0)
    now_ns = mount.read(0).stamp_ns
    for k in range(60):  # a set-point within the travel, with a rate that leads out of it
        at_ns = now_ns + k * 90 * MS
        mount.command(at_ns, MountCommand(at_ns, 0.0, radians(92.5), 0.0, 1.0))
        top = np.degrees(mount.advance(90)[:, 1].max())
    assert station.mount.elevation.max_deg - 3 < top < station.mount.elevation.max_deg + 0.01
    assert mount.read(0).fault == 'mount.limit'


def test_set_points_that_cannot_be_are_refused(twin, station):
    mount = make(twin, station)
    with pytest.raises(DeviceFault, match=r'mount\.off'):
        mount.command(0, MountCommand(0, 0.0, 0.0))
    mount.enable(0)
    with pytest.raises(DeviceFault, match=r'mount\.limit.*elevation 94'):
        mount.command(0, MountCommand(0, 0.0, radians(94)))
    with pytest.raises(DeviceFault, match=r'mount\.command'):
        mount.command(0, MountCommand(0, float('nan'), 0.0))
    assert mount.read(0).mode == MountMode.HOLD


def test_readings_are_the_true_angle_to_the_encoders_resolution(twin, station):
    mount = make(twin, station)
    mount.enable(0)
    encoder = twin.plant.mount.encoder
    lsb = 2 * pi / 2**26
    errors = []
    for k in range(300):
        mount.command(k * 10 * MS, MountCommand(k * 10 * MS, 1e-3 * k * 0.01, 0.1, 1e-3))
        mount.advance(10)
        reading = mount.read(0)
        assert reading.az_rad / lsb == pytest.approx(round(reading.az_rad / lsb), abs=1e-6)
        errors.append(reading.az_rad - mount.true_angles()[0])
    bound = encoder.interpolation_urad * 1e-6 + 5 * encoder.jitter_urad * 1e-6 + lsb / 2
    assert np.abs(errors).max() < bound
    assert np.std(errors) > lsb / sqrt(12)


def test_a_storm_beyond_the_motors_is_a_fault_that_enable_clears(twin, station):
    mount = make(twin, station)
    mount.set_gusts((Gust(start_s=0.5, duration_s=1.0, torque_n_m=120.0),), 0)
    mount.enable(0)
    mount.advance(1200)
    assert (mount.read(0).mode, mount.read(0).fault) == (MountMode.FAULT, 'mount.following_error')
    with pytest.raises(DeviceFault, match=r'mount\.off'):
        mount.command(1200 * MS, MountCommand(1200 * MS, 0.0, 0.0))
    mount.advance(1000)
    mount.enable(2200 * MS)
    mount.advance(500)
    assert (mount.read(0).mode, mount.read(0).fault) == (MountMode.HOLD, '')


@pytest.mark.parametrize('step', [1, 7])
def test_the_motion_does_not_depend_on_the_steps_of_time(twin, station, step):
    def run(step):
        mount = make(twin, station, seed=5)
        mount.enable(0)
        mount.command(0, MountCommand(50 * MS, 0.1, 0.1, 0.05, 0.0))
        return np.concatenate([mount.advance(step) for _ in range(140 // step)])

    assert np.array_equal(run(step), run(140))
