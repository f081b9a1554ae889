"""What is drawn is where things are, and only while they are."""

from math import acos, pi, radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.description import robot_description
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.monitoring.markers import cone
from qkd_gs.monitoring.scene import FAR_M, SceneState, TargetPosition, Trail, draw
from qkd_gs.monitoring.scene_builder import SceneBuilder
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.tracking.types import Phase

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
SECOND_NS = 10**9


def seen(t_s=0.0, az=1.0, el=0.5, satellite='MICIUS'):
    return TargetPosition(satellite, round(t_s * 1e9), az, el, 7e5)


def names(sky, trail=()):
    return {thing.name for thing in draw(sky, trail, STATION)}


@given(st.floats(0, 2 * pi), st.floats(-pi / 2, pi / 2), st.floats(1e-3, 1.0))
def test_a_cone_opens_by_its_angle_about_its_axis(az, el, half_rad):
    axis = enu_from_azel(az, el)
    corners = np.array(cone(axis, 10.0, half_rad)).reshape(-1, 3, 3)
    assert not corners[:, 0].any()
    rim = corners[:, 1:].reshape(-1, 3)
    assert rim @ axis == pytest.approx(10.0)
    angles = np.arccos(rim @ axis / np.linalg.norm(rim, axis=1))
    assert angles == pytest.approx(half_rad, rel=1e-6)
    assert np.array_equal(corners[:, 2], np.roll(corners[:, 1], -1, axis=0))  # closed, no gap


@given(st.floats(0.01, 2 * pi - 0.01), st.floats(0.01, 1.5))
def test_the_satellite_is_drawn_where_it_appears(az, el):
    sky = SceneState(Phase.ACQUIRE, seen(az=az, el=el), False, None)
    ball = next(thing for thing in draw(sky, (), STATION) if thing.name == 'satellite')
    assert ball.frame == 'sky'
    assert np.linalg.norm(ball.at_m) == pytest.approx(FAR_M)
    assert azel_from_enu(ball.at_m) == pytest.approx((az, el), abs=1e-9)


def test_light_is_drawn_while_it_shines():
    dark = SceneState(Phase.WAIT, seen(), False, None)
    assert names(dark) == {'line_of_sight', 'satellite', 'label'}
    assert names(SceneState(Phase.ACQUIRE, seen(), True, None)) == names(dark) | {'our_beacon'}
    assert names(SceneState(Phase.FINE, seen(), True, None)) == names(dark) | {'our_beacon', 'satellite_beacon'}
    assert names(SceneState(Phase.IDLE, None, False, None)) == {'line_of_sight'}


def test_the_suns_zone_is_drawn_by_day():
    assert 'sun_exclusion' not in names(SceneState(Phase.IDLE, None, False, (1.0, radians(-5))))
    sky = SceneState(Phase.IDLE, None, False, (1.0, radians(30)))
    zone = next(thing for thing in draw(sky, (), STATION) if thing.name == 'sun_exclusion')
    rim = np.array(zone.points_m[1])
    angle = acos(rim @ enu_from_azel(1.0, radians(30)) / np.linalg.norm(rim))
    assert angle == pytest.approx(radians(STATION.sun.exclusion_deg))


def test_every_frame_that_is_drawn_in_is_in_the_body():
    links = FrameTree(robot_description(STATION, MountModel())).links
    sky = SceneState(Phase.FINE, seen(), True, (1.0, 0.5))
    assert {thing.frame for thing in draw(sky, ((0, 0, 1), (0, 1, 0)), STATION)} <= set(links)


def test_the_trail_is_a_point_a_second():
    trail = Trail()
    for tenth in range(100):
        trail.add(seen(tenth / 10, az=tenth / 100))
    assert len(trail.points_m) == 10
    assert azel_from_enu(trail.points_m[-1])[0] == pytest.approx(0.9)


@pytest.mark.parametrize('other', [seen(200), seen(-5), seen(3, satellite='OTHER')])
def test_another_pass_begins_another_trail(other):
    trail = Trail()
    for second in range(5):
        trail.add(seen(second))
    trail.add(other)
    assert len(trail.points_m) == 1


def test_a_long_pass_does_not_grow_without_end():
    trail = Trail()
    for second in range(3000):
        trail.add(seen(second))
    assert len(trail.points_m) == 1800


def board(sun=lambda t_ns: (1.0, radians(-20))):
    heard = SceneBuilder(STATION, sun)
    heard.update_target(seen(10))
    heard.update_phase(10 * SECOND_NS, Phase.FINE)
    heard.update_beacon(10 * SECOND_NS, True)
    return heard


def test_what_is_no_more_is_taken_away_once():
    heard = board()
    things, gone = heard.step(10 * SECOND_NS)
    assert {thing.name for thing in things} == {
        'line_of_sight', 'satellite', 'label', 'our_beacon', 'satellite_beacon'
    }  # fmt: skip
    assert not gone
    heard.update_beacon(10 * SECOND_NS, False)
    assert heard.step(10 * SECOND_NS)[1] == {'our_beacon'}
    assert not heard.step(10 * SECOND_NS)[1]


def test_silence_leaves_nothing_but_the_line_of_sight():
    heard = board()
    heard.step(10 * SECOND_NS)
    things, gone = heard.step(13 * SECOND_NS)
    assert [thing.name for thing in things] == ['line_of_sight']
    assert 'our_beacon' in gone


def test_the_sun_is_asked_for_once_in_ten_seconds():
    asked = []
    heard = board(lambda t_ns: (asked.append(t_ns), (1.0, 0.5))[1])
    for tenth in range(250):
        heard.step(tenth * SECOND_NS // 10)
    assert asked == [0, 10 * SECOND_NS, 20 * SECOND_NS]
