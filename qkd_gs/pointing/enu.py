"""Azimuth (from north through east) to yaw of ROS (REP-103: from east through north) and back."""

from __future__ import annotations

from math import pi

JOINT_NAMES = ('azimuth_joint', 'elevation_joint')  # of JointState and of the URDF


def enu_yaw(azimuth_rad: float) -> float:
    """Yaw (rad, from east through north, about up) of an azimuth, or the azimuth of a yaw: it is its own inverse."""
    return pi / 2 - azimuth_rad


def joint_positions(az_rad: float, el_rad: float) -> tuple[float, float]:
    """Positions (rad) of `JOINT_NAMES` at encoder angles of the mount; elevation stays upwards positive."""
    return enu_yaw(az_rad), el_rad


def joint_rates(az_rate_rad_s: float, el_rate_rad_s: float) -> tuple[float, float]:
    """Velocities (rad/s) of `JOINT_NAMES` at rates of the encoder angles."""
    return -az_rate_rad_s, el_rate_rad_s
