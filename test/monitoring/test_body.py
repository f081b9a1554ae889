"""The URDF points where the mount model says, moves as far as station.yaml lets it, and sees what the cameras see."""

from itertools import pairwise
from math import degrees, pi, radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.description import robot_description
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.enu import JOINT_NAMES, enu_yaw, joint_positions
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.sky_offsets import offset_direction, separation
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

STATION = load_yaml(share_path('config', 'station.yaml'), StationSettings)
PERFECT = FrameTree(robot_description(STATION, MountModel()))
CROOKED = MountModel(IA=0.17, IE=-0.04, AN=0.009, AW=-0.006, NPAE=3e-4, CA=-5e-4)
ON_ROOF = FrameTree(robot_description(STATION, CROOKED))

azimuths = st.floats(-1.5 * pi, 1.5 * pi)
elevations = st.floats(radians(-3), radians(93))


def positions(az_rad, el_rad):
    return dict(zip(JOINT_NAMES, joint_positions(az_rad, el_rad), strict=True))


def looks(tree, frame, axis, az_rad, el_rad):
    """Direction (east, north, up) of an axis of a frame at encoder angles."""
    return tree.pose(frame, positions(az_rad, el_rad))[0][:, 'xyz'.index(axis)]


@given(azimuths, elevations)
def test_the_tube_points_at_azimuth_and_elevation(az, el):
    assert looks(PERFECT, 'tube', 'x', az, el) == pytest.approx(enu_from_azel(az, el), abs=1e-12)


@pytest.mark.parametrize(
    ('az_deg', 'el_deg', 'enu'), [(0, 0, (0, 1, 0)), (90, 0, (1, 0, 0)), (180, 0, (0, -1, 0)), (0, 90, (0, 0, 1))]
)
def test_the_four_places_that_everybody_knows(az_deg, el_deg, enu):
    assert looks(PERFECT, 'line_of_sight', 'x', radians(az_deg), radians(el_deg)) == pytest.approx(enu, abs=1e-12)


@given(azimuths, st.floats(0, radians(85)))
def test_the_tube_keeps_its_left_side_level_and_its_top_up(az, el):
    assert looks(PERFECT, 'tube', 'y', az, el)[2] == pytest.approx(0, abs=1e-12)
    assert looks(PERFECT, 'tube', 'z', az, el)[2] > 0


@given(azimuths, st.floats(0, radians(85)))
def test_a_calibrated_mount_looks_where_its_model_says(az, el):
    seen = azel_from_enu(looks(ON_ROOF, 'line_of_sight', 'x', az, el))
    assert separation(*map(float, seen), *CROOKED.apparent(az, el)) < 1e-9


@given(azimuths)
def test_yaw_is_its_own_reverse(az):
    assert enu_yaw(enu_yaw(az)) == pytest.approx(az, abs=1e-12)


@pytest.mark.parametrize(
    ('name', 'roll_deg'), [('guiding_camera', 0), ('guiding_camera', 25), ('tracking_camera', -70)]
)
def test_a_star_beside_the_line_of_sight_falls_on_the_right_pixel(name, roll_deg):
    camera = getattr(STATION, name).model_copy(update={'roll_deg': roll_deg})
    tree = FrameTree(robot_description(STATION.model_copy(update={name: camera}), MountModel()))
    x_rad, y_rad = 4e-4, 3e-4
    star = enu_from_azel(*offset_direction(1.1, 0.6, x_rad, y_rad))
    right, down, forward = tree.pose(name, positions(1.1, 0.6))[0].T @ star
    assert forward > 0
    scale = camera.scale_urad_px * 1e-6
    pixel = camera.reference_x_px + right / forward / scale, camera.reference_y_px + down / forward / scale
    assert pixel == pytest.approx(CameraGeometry.of(camera).pixel(x_rad, y_rad), abs=1e-6)


def test_travel_and_rates_are_the_stations():
    joints = {joint.name: joint for joint in ON_ROOF.joints}
    azimuth, elevation = (joints[name] for name in JOINT_NAMES)
    for joint, axis in ((azimuth, STATION.mount.azimuth), (elevation, STATION.mount.elevation)):
        assert degrees(joint.rate_rad_s) == pytest.approx(axis.max_rate_deg_s)
    ends = [joint_positions(radians(az), radians(el)) for az, el in ((-270, -3), (270, 93))]
    assert (azimuth.lower_rad, azimuth.upper_rad) == pytest.approx(sorted(end[0] for end in ends))
    assert (elevation.lower_rad, elevation.upper_rad) == pytest.approx(sorted(end[1] for end in ends))
    axis = STATION.mount.azimuth, STATION.mount.elevation
    assert [(a.min_deg, a.max_deg) for a in axis] == [(-270, 270), (-3, 93)]


def test_the_file_alone_is_the_station_of_station_yaml():
    """`xacro config/station.urdf.xacro` on its own, as robot_state_publisher would be given it."""
    import xacro

    text = xacro.process_file(str(share_path('config', 'station.urdf.xacro'))).toxml()
    for alone, running in zip(FrameTree(text).joints, PERFECT.joints, strict=True):
        assert (alone.name, alone.xyz_m, alone.lower_rad, alone.rate_rad_s) == (
            running.name,
            running.xyz_m,
            running.lower_rad,
            running.rate_rad_s,
        )
        assert np.array_equal(alone.rotation, running.rotation)


def test_the_tree_has_one_root_and_no_loose_end():
    children = [joint.child for joint in PERFECT.joints]
    assert sorted([*children, 'station']) == sorted(PERFECT.links)


def test_what_is_published_puts_together_to_the_pose():
    from transforms3d.quaternions import quat2mat

    at = positions(2.0, 0.7)
    steps = {step.child: step for step in (*ON_ROOF.fixed(), *ON_ROOF.moving(at))}
    chain = ['tracking_camera']
    while chain[-1] != 'station':
        chain.append(steps[chain[-1]].parent)
    assert all(child in steps for child, _ in pairwise(chain))
    rotation = np.eye(3)
    for frame in reversed(chain[:-1]):
        x, y, z, w = steps[frame].quaternion
        rotation = rotation @ quat2mat((w, x, y, z))
    assert rotation == pytest.approx(ON_ROOF.pose('tracking_camera', at)[0], abs=1e-12)


def test_an_unknown_position_moves_nothing():
    assert [step.child for step in PERFECT.moving({'azimuth_joint': 0.0})] == ['fork']


def test_the_description_names_no_machine():
    assert '/' not in robot_description(STATION, MountModel()).replace('</', '').replace('/>', '')
