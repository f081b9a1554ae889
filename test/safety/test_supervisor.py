"""The supervisor: every fault that is put in must stop what it has to stop, and nothing else."""

from dataclasses import replace
from math import cos, inf, nan, pi, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.safety.laser.laser_safety import LaserSafety
from qkd_gs.safety.sun_guard import SunGuard
from qkd_gs.safety.supervisor import REACTION_S, Supervisor, SupervisorInputs
from qkd_gs.settings.laser_safety import LaserSafetySettings
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
# the receiver of aircraft and the rest of the laser's safety have tests of their own
UNWATCHED = LaserSafety(
    STATION.model_copy(
        update={'laser_safety': LaserSafetySettings(aircraft={'watch': False}, keep_out='none', permitted_times='any')}
    ),
    load_site('shanghai'),
)
NOW = 1_538_497_130_000_000_000
STEP = 20_000_000
SUN_RATE = 2 * pi / 86164


def night(t_ns):
    return 0.0, radians(-30)


def day(t_ns):
    """A Sun at 45 deg of elevation that moves along its azimuth."""
    return radians(180) + SUN_RATE * (t_ns - NOW) * 1e-9, radians(45)


def reading(az_deg=0.0, el_deg=40.0, az_rate=0.0, el_rate=0.0, stamp_ns=NOW, mode=MountMode.TRACK):
    return MountReading(stamp_ns, *map(radians, (az_deg, el_deg, az_rate, el_rate)), mode)


def inputs(mount, now_ns=NOW, **changes):
    good = SupervisorInputs(mount, BeaconReading(now_ns, True, 1.0, True), 10_000_000)
    return replace(good, **changes)


def judge(mount, sun=night, **changes):
    return Supervisor(STATION, MountModel(), sun, UNWATCHED).step(NOW, inputs(mount, **changes))


def test_a_healthy_station_may_do_everything():
    status = judge(reading(az_rate=2, el_rate=1))
    assert status.motion_permitted
    assert status.light_permitted
    assert status.reasons == ()
    assert status.sun_margin_s == inf


@pytest.mark.parametrize(
    ('mount', 'reason'),
    [
        (None, 'mount.silent'),
        (reading(az_deg=nan), 'mount.not_a_number'),
        (reading(stamp_ns=NOW - 300_000_000), 'mount.stale'),
        (reading(stamp_ns=NOW + 300_000_000), 'mount.stale'),
        (reading(mode=MountMode.FAULT), 'mount.fault'),
        (reading(az_rate=40), 'azimuth.rate'),
        (reading(el_deg=86, el_rate=15), 'elevation.limit'),
        (reading(az_deg=265, az_rate=20), 'azimuth.limit'),
        (reading(az_deg=-265, az_rate=-20), 'azimuth.limit'),
    ],
)
def test_a_faulty_mount_is_stopped(mount, reason):
    status = judge(mount)
    assert reason in status.reasons
    assert not status.motion_permitted


@pytest.mark.parametrize('mount', [None, reading(el_deg=nan), reading(stamp_ns=NOW - 10**9), reading(el_deg=2)])
def test_no_light_without_knowing_where_it_goes(mount):
    assert not judge(mount).light_permitted


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'beacon': None}, 'beacon.silent'),
        ({'beacon': BeaconReading(NOW, True, 1.0, False)}, 'beacon.interlock'),
        ({'beacon': BeaconReading(NOW - 2 * 10**9, True, 1.0, True)}, 'beacon.silent'),
    ],
)
def test_a_beacon_fault_stops_the_light_alone(change, reason):
    status = judge(reading(), **change)
    assert status.reasons == (reason,)
    assert status.motion_permitted
    assert not status.light_permitted


@pytest.mark.parametrize('age_ns', [None, 150_000_000, -1])
def test_silence_of_the_control_process_stops_all(age_ns):
    status = judge(reading(), command_age_ns=age_ns)
    assert status.reasons == ('control.silent',)
    assert not status.motion_permitted
    assert not status.light_permitted


@given(st.floats(-270, 270), st.floats(-30, 30), st.floats(-3, 93), st.floats(-15, 15))
def test_allowed_motion_can_always_brake_inside_the_travel(az_deg, az_rate, el_deg, el_rate):
    if not judge(reading(az_deg, el_deg, az_rate, el_rate)).motion_permitted:
        return
    for place, rate, axis in ((az_deg, az_rate, STATION.mount.azimuth), (el_deg, el_rate, STATION.mount.elevation)):
        assert axis.min_deg - 0.01 <= rest_deg(place, rate, axis.max_acc_deg_s2) <= axis.max_deg + 0.01


def rest_deg(place_deg, rate_deg_s, acc_deg_s2):
    """Where an axis comes to rest: after the reaction, in small steps at full deceleration."""
    place_deg += rate_deg_s * REACTION_S
    while abs(rate_deg_s) > 1e-3:
        slower = max(abs(rate_deg_s) - acc_deg_s2 * 1e-3, 0) * (1 if rate_deg_s > 0 else -1)
        place_deg += 0.5 * (rate_deg_s + slower) * 1e-3
        rate_deg_s = slower
    return place_deg


def test_at_the_end_of_travel_only_the_way_back_is_free():
    supervisor = Supervisor(STATION, MountModel(), night, UNWATCHED)
    assert not supervisor.step(NOW, inputs(reading(az_deg=269, az_rate=10))).motion_permitted
    later = NOW + 10**9
    assert supervisor.step(later, inputs(reading(az_deg=271, stamp_ns=later), later)).motion_permitted
    back = reading(az_deg=270.9, az_rate=-5, stamp_ns=later + STEP)
    assert supervisor.step(later + STEP, inputs(back, later + STEP)).motion_permitted


def test_a_stop_holds_until_the_axes_rest():
    supervisor = Supervisor(STATION, MountModel(), night, UNWATCHED)
    assert not supervisor.step(NOW, inputs(reading(az_deg=262, az_rate=20))).motion_permitted
    slower = reading(az_deg=262.3, az_rate=5, stamp_ns=NOW + STEP)
    assert not supervisor.step(NOW + STEP, inputs(slower, NOW + STEP)).motion_permitted
    rest = reading(az_deg=262.4, stamp_ns=NOW + 2 * STEP)
    assert supervisor.step(NOW + 2 * STEP, inputs(rest, NOW + 2 * STEP)).motion_permitted


def test_a_stop_holds_also_when_another_mount_model_is_used_meanwhile():
    supervisor = Supervisor(STATION, MountModel(), night, UNWATCHED)
    assert not supervisor.step(NOW, inputs(reading(az_deg=262, az_rate=20))).motion_permitted
    supervisor.use(MountModel(IE=1e-3))
    slower = reading(az_deg=262.3, az_rate=5, stamp_ns=NOW + STEP)
    assert not supervisor.step(NOW + STEP, inputs(slower, NOW + STEP)).motion_permitted
    rest = reading(az_deg=262.4, stamp_ns=NOW + 2 * STEP)
    assert supervisor.step(NOW + 2 * STEP, inputs(rest, NOW + 2 * STEP)).motion_permitted


def test_an_impossible_jump_of_an_encoder_stops():
    supervisor = Supervisor(STATION, MountModel(), night, UNWATCHED)
    supervisor.step(NOW, inputs(reading(az_deg=10)))
    jumped = reading(az_deg=20, stamp_ns=NOW + STEP)
    status = supervisor.step(NOW + STEP, inputs(jumped, NOW + STEP))
    assert status.reasons == ('mount.encoder_jump',)
    assert not status.motion_permitted


def test_a_beacon_that_goes_on_shining_is_told():
    supervisor, second = Supervisor(STATION, MountModel(), night, UNWATCHED), 10**9

    def reasons(after_s, emitting, interlock_closed=True):
        now_ns = NOW + round(after_s * second)
        beacon = BeaconReading(now_ns, emitting, 1.0, interlock_closed)
        return supervisor.step(now_ns, inputs(reading(stamp_ns=now_ns), beacon=beacon)).reasons

    assert reasons(0, True) == reasons(9, True) == ()
    assert reasons(10, True, interlock_closed=False) == ('beacon.interlock',)
    assert reasons(11, True, interlock_closed=False) == ('beacon.interlock',)  # it is being switched off
    assert reasons(13, True, interlock_closed=False) == ('beacon.interlock', 'beacon.stuck_on')
    assert reasons(14, False, interlock_closed=False) == ('beacon.interlock',)
    assert reasons(15, True) == ()


# --- the Sun ---


@pytest.mark.parametrize(
    'later', [None, reading(az_deg=nan), reading(az_deg=180, mode=MountMode.FAULT), reading(az_deg=180)]
)
def test_the_sun_is_watched_also_of_a_mount_that_is_not_heard_any_more(later):
    """By where it was seen last."""
    supervisor = Supervisor(STATION, MountModel(), day, UNWATCHED)
    away_deg = 15 / cos(radians(45)) + 1.5  # along the Sun's way: six minutes until it is within 15 deg
    first_s = supervisor.step(NOW, inputs(reading(180 + away_deg, 45))).sun_margin_s
    assert 200 < first_s < 500
    status = supervisor.step(NOW + 120 * 10**9, inputs(later))
    assert status.sun_margin_s == pytest.approx(first_s - 120, abs=1)


@pytest.mark.parametrize('away_deg', [1, 5, 14.9])
def test_motion_into_the_sun_is_stopped(away_deg):
    status = judge(reading(180 - 25 / 0.7071 - away_deg * 0.2, 45, az_rate=25), sun=day)
    assert 'sun.exclusion' in status.reasons
    assert not status.motion_permitted


def test_out_of_the_zone_is_free_and_deeper_is_not():
    assert judge(reading(170, 45, az_rate=-5), sun=day).motion_permitted
    assert not judge(reading(170, 45, az_rate=5), sun=day).motion_permitted
    assert judge(reading(170, 45), sun=day).motion_permitted  # at rest: may start outwards


def test_the_time_left_is_that_of_the_sun_coming_near():
    looks_deg = 180 + (15 + 0.25) / 0.7071  # the Sun comes towards it along the parallel
    guard = SunGuard(day, radians(15), 20)
    margin_s = guard.margin_s(NOW, radians(looks_deg), radians(45))
    then = day(NOW + round(margin_s * 1e9))
    assert 0 < margin_s < inf
    assert separation(*then, radians(looks_deg), radians(45)) == pytest.approx(radians(15), abs=1e-6)


@pytest.mark.parametrize('later_s', [0, 3, 9.99, 10, 25, 1000, -500])
def test_the_table_of_the_sun_may_be_asked_at_any_time(later_s):
    guard = SunGuard(day, radians(15), 20)
    guard.margin_s(NOW, 0.0, 0.5)
    t_ns = NOW + round(later_s * 1e9)
    expected = separation(*day(t_ns), 0.3, 0.5)
    assert guard.distance_rad(t_ns, 0.3, 0.5) == pytest.approx(expected, abs=1e-6)


def test_the_sun_below_the_horizon_does_not_count():
    low = SunGuard(lambda t_ns: (1.0, radians(-2)), radians(15), 20)
    assert low.margin_s(NOW, 1.0, 0.0) == inf


def test_a_station_that_does_not_know_where_it_looks_moves_by_night_only():
    for sun, permitted in ((night, True), (day, False)):
        blind = Supervisor(STATION, MountModel(), sun, UNWATCHED, pi)
        assert blind.step(NOW, inputs(reading(10, 45, az_rate=5))).motion_permitted is permitted


def test_a_rising_sun_counts_before_it_is_up():
    def rising(t_ns):
        return 1.0, radians(-1.2) + SUN_RATE * (t_ns - NOW) * 1e-9

    margin_s = SunGuard(rising, radians(15), 20).margin_s(NOW, 1.0, 0.05)
    up_s = radians(0.2) / SUN_RATE
    assert up_s - 10 <= margin_s <= up_s


def test_an_uncalibrated_mount_stays_farther_away():
    near = reading(180, 45 + 15.5, el_rate=-0.02)
    assert Supervisor(STATION, MountModel(), day, UNWATCHED).step(NOW, inputs(near)).motion_permitted
    careful = Supervisor(STATION, MountModel(), day, UNWATCHED, pointing_uncertainty_rad=radians(10))
    assert not careful.step(NOW, inputs(near)).motion_permitted
