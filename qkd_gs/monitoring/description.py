"""URDF of the station: config/station.urdf.xacro with the limits and the calibrated mounting of this station."""

from __future__ import annotations

from math import hypot

import numpy as np
import xacro
from transforms3d.axangles import axangle2mat
from transforms3d.euler import mat2euler

from qkd_gs.arrays import FloatArray
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

_FILE = 'station.urdf.xacro'
_FORWARD, _LEFT, _UP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def robot_description(station: StationSettings, model: MountModel) -> str:
    """URDF of the station.

    Parameters
    ----------
    station : StationSettings
        Limits of travel and rate, rolls of the cameras.
    model : MountModel
        Zero points, tilt, non-perpendicularity and collimation become fixed rotations, so the axis `x` of the
        frame `line_of_sight` points where the model predicts; flexure and eccentricities, below a milliradian,
        are neglected.
    """
    mount = station.mount
    values = {
        'azimuth_min_deg': mount.azimuth.min_deg,
        'azimuth_max_deg': mount.azimuth.max_deg,
        'azimuth_rate_deg_s': mount.azimuth.max_rate_deg_s,
        'elevation_min_deg': mount.elevation.min_deg,
        'elevation_max_deg': mount.elevation.max_deg,
        'elevation_rate_deg_s': mount.elevation.max_rate_deg_s,
        'guiding_roll_deg': station.guiding_camera.roll_deg,
        'tracking_roll_deg': station.tracking_camera.roll_deg,
        'mount_rpy': _rpy(_lean(model['AN'], model['AW']) @ axangle2mat(_UP, model['IA'])),
        'elevation_rpy': _rpy(axangle2mat(_FORWARD, -model['NPAE']) @ axangle2mat(_LEFT, model['IE'])),
        'line_of_sight_rpy': _rpy(axangle2mat(_UP, model['CA'])),
    }
    document = xacro.process_file(
        str(share_path('config', _FILE)), mappings={key: str(value) for key, value in values.items()}
    )
    for node in [node for node in document.childNodes if node.nodeType == node.COMMENT_NODE]:
        document.removeChild(node)  # the banner of xacro contains a path of this machine
    text: str = document.toprettyxml(indent='  ')
    return text


def _lean(an_rad: float, aw_rad: float) -> FloatArray:
    """Rotation of a mount whose azimuth axis is tilted by `an_rad` towards north and `aw_rad` towards west."""
    tilt = hypot(an_rad, aw_rad)
    if tilt == 0:
        return np.eye(3)
    turn: FloatArray = axangle2mat((-an_rad / tilt, -aw_rad / tilt, 0.0), tilt)
    return turn


def _rpy(rotation: FloatArray) -> str:
    """Roll, pitch and yaw of a rotation as URDF has them: about the fixed x, then y, then z."""
    return ' '.join(f'{angle:.12g}' for angle in mat2euler(rotation, 'sxyz'))
