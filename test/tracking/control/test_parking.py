"""The way to the park position, with a mount that follows, one that does not, and one that falls silent."""

from dataclasses import replace
from math import degrees, inf, radians

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.devices.mount import MountMode, MountReading
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.slew import slew
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.control.parking import Parking, ParkState, away_rad, is_parked, require_no_sun, rests_near_park

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
MOUNT = STATION.mount
NOW_NS = parse_utc('2018-10-03T15:00:00Z')
STEP_NS, SECOND = 10**7, 10**9
AZ, EL = MOUNT.azimuth, MOUNT.elevation
places = st.tuples(st.floats(AZ.min_deg, AZ.max_deg), st.floats(EL.min_deg, EL.max_deg))


def at(az_deg, el_deg, now_ns=NOW_NS, mode=MountMode.HOLD):
    return MountReading(now_ns, radians(az_deg), radians(el_deg), 0.0, 0.0, mode)


def drive(parking, reading, seconds, obeys=True):
    """Step it with a mount that is where it was told to be; every command given."""
    commands, now_ns = [], reading.stamp_ns
    for _ in range(round(seconds * SECOND / STEP_NS)):
        now_ns += STEP_NS
        command = parking.step(now_ns, reading)
        reading = replace(reading, stamp_ns=now_ns, az_rate_rad_s=0.0, el_rate_rad_s=0.0)
        if command is not None:
            commands.append(command)
            if obeys:
                reading = MountReading(
                    now_ns, command.az_rad, command.el_rad, command.az_rate_rad_s, command.el_rate_rad_s,
                    MountMode.TRACK,
                )  # fmt: skip
        if parking.state is not ParkState.MOVING:
            break
    return commands, reading


@settings(deadline=None, max_examples=25)
@given(places)
def test_it_arrives_from_everywhere_within_the_limits(place):
    parking, start = Parking(MOUNT, NOW_NS), at(*place)
    commands, end = drive(parking, start, 120)
    assert parking.state is ParkState.PARKED
    assert is_parked(MOUNT, end)
    for axis, name in ((AZ, 'az'), (EL, 'el')):
        angles = [degrees(getattr(one, f'{name}_rad')) for one in commands]
        rates = [abs(degrees(getattr(one, f'{name}_rate_rad_s'))) for one in commands]
        assert min(angles, default=axis.min_deg) >= axis.min_deg - 1e-6
        assert max(angles, default=axis.min_deg) <= axis.max_deg + 1e-6
        assert max(rates, default=0.0) <= axis.max_rate_deg_s
    parked = radians(MOUNT.park_az_deg), radians(MOUNT.park_el_deg)
    least_s = slew((start.az_rad, start.el_rad), parked, MOUNT).duration_s
    assert len(commands) * STEP_NS / SECOND < 1.5 * least_s + 3


def test_a_mount_that_does_not_follow_is_told_and_no_longer_commanded():
    parking = Parking(MOUNT, NOW_NS)
    commands, reading = drive(parking, at(90, 40), 60, obeys=False)
    assert parking.state is ParkState.STUCK
    assert parking.message.startswith('the mount stands 98.5 deg from its park position')
    assert len(commands) * STEP_NS == pytest.approx(10 * SECOND, rel=0.01)
    assert parking.step(reading.stamp_ns + STEP_NS, reading) is None


@pytest.mark.parametrize('mode', [MountMode.OFF, MountMode.FAULT])
def test_a_mount_without_power_is_not_commanded(mode):
    parking = Parking(MOUNT, NOW_NS)
    commands, _ = drive(parking, at(90, 40, mode=mode), 60, obeys=False)
    assert not commands
    assert parking.state is ParkState.STUCK


def test_while_the_mount_is_silent_nothing_is_commanded_and_no_time_runs():
    parking, reading = Parking(MOUNT, NOW_NS), at(90, 40)
    _, reading = drive(parking, reading, 2)
    now_ns = reading.stamp_ns
    for k in range(60):
        command = parking.step(now_ns + 2 * SECOND + k * SECOND, reading)
        assert command is None
    assert parking.state is ParkState.MOVING
    _, reading = drive(parking, replace(reading, stamp_ns=now_ns + 63 * SECOND), 120)
    assert parking.state is ParkState.PARKED


def test_an_abort_gives_no_more_set_points():
    parking = Parking(MOUNT, NOW_NS)
    _, reading = drive(parking, at(90, 40), 2)
    parking.abort()
    assert parking.step(reading.stamp_ns + STEP_NS, reading) is None
    assert parking.state is ParkState.ABORTED
    assert parking.message == 'aborted by the operator'


def test_the_brakes_may_give_by_a_little():
    parked = at(MOUNT.park_az_deg, MOUNT.park_el_deg)
    assert away_rad(MOUNT, parked) == 0
    for off_deg, near in ((0.5, True), (1.5, False), (inf, False)):
        reading = at(MOUNT.park_az_deg + off_deg, MOUNT.park_el_deg)
        assert rests_near_park(MOUNT, reading) is near
        assert not is_parked(MOUNT, reading)
    assert not rests_near_park(MOUNT, replace(parked, az_rate_rad_s=0.01))


def test_a_way_across_the_sun_is_refused_and_one_at_night_is_not():
    """At noon of that day the Sun stands in the south, 55 deg high; the telescope comes from the other side of it."""
    site, model = load_site('shanghai'), MountModel()
    station = STATION.model_copy(update={'mount': MOUNT.model_copy(update={'park_az_deg': 120.0, 'park_el_deg': 55.0})})
    noon_ns = parse_utc('2018-10-03T03:44:00Z')
    with pytest.raises(StationError, match='the slew to the park position comes within'):
        require_no_sun(station, site, model, at(240, 55, noon_ns), noon_ns)
    require_no_sun(STATION, site, model, at(240, 55), NOW_NS)
    require_no_sun(STATION, site, model, at(350, 40, noon_ns), noon_ns)
