"""Polarization angles from the sky to the analyser.

Handedness: every angle is counted counter-clockwise as seen against the light (looking at the source).  On the
sky that is from growing azimuth towards growing elevation.

Mirrors: each one inverts the handedness of image and polarization; after an odd number of them (`parity` -1) an
angle on the sky has changed its sign.  Fixed rotations by the optics are part of the HWP's zero.

HWP: a half-wave plate with its axis at `a` mirrors linear polarization at that axis: an angle b becomes
2 a - b (Hecht, Optics, ch. 8).  So the satellite's H axis at angle f comes out at the receiver's H when
a = zero + parity f / 2, for every f; its V axis comes out at V.  Its D axis, 45 deg further against the
light, comes out 45 deg *clockwise* of H for parity +1 and counter-clockwise for -1: which detector is D is a
matter of wiring and depends on the parity, not on the pass.
"""

from __future__ import annotations

from math import pi, radians, sin
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatOrArray
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.settings.station import HwpSettings

_ROLL_STEP_S = 0.01  # roll bends over the width of the azimuth axis' cone, some 0.1 s in the steepest pass


def hwp_angle(polarization_angle_rad: float, zero_rad: float, parity: int = 1) -> float:
    """HWP angle (not wrapped) that turns the satellite's H axis at `polarization_angle_rad` onto the receiver's H."""
    return zero_rad + parity * polarization_angle_rad / 2


def polarization_angle_at(hwp_rad: float, hwp: HwpSettings) -> float:
    """Polarization angle whose H axis the HWP at an angle turns onto the receiver's H; undoes `hwp_angle`."""
    return 2 * hwp.parity * (hwp_rad - radians(hwp.zero_deg))


def polarization_error(
    hwp_rad: FloatOrArray, zero_rad: float, polarization_angle_rad: FloatOrArray, parity: int = 1
) -> FloatOrArray:
    """Polarization angle left uncorrected, radians in [-pi/2, pi/2]: twice the HWP's own error; floats or arrays.

    Positive: the light is rotated too far counter-clockwise.
    """
    turned = 2 * (hwp_rad - zero_rad) - parity * polarization_angle_rad
    left: FloatOrArray = turned - pi * np.rint(turned / pi)
    return left


def polarization_angle_in_tube(
    model: MountModel,
    motion: AxisMotion[FloatOrArray],
    polarization_angle_rad: FloatOrArray,
    polarization_rate_rad_s: FloatOrArray,
) -> tuple[FloatOrArray, FloatOrArray]:
    """Polarization angle and rate relative to the tube's horizontal instead of the sky's.

    Parameters
    ----------
    motion : AxisMotion
        Encoder angles and rates, commanded or measured.
    polarization_angle_rad, polarization_rate_rad_s : float or ndarray
        Relative to the sky's horizontal, as in `TargetState`.

    Returns
    -------
    polarization_angle_rad, polarization_rate_rad_s : float or ndarray

    Notes
    -----
    The tube is rolled relative to the horizon by the mount's tilt over cos(el): 3 deg at 80 deg for a tilt of 0.5 deg.
    """
    roll: Any
    turned: Any
    if isinstance(motion.az_rad, float):
        roll, turned = model.roll_and_turn(motion, _ROLL_STEP_S)
    else:
        ahead, behind = _roll_at(model, motion, _ROLL_STEP_S), _roll_at(model, motion, -_ROLL_STEP_S)
        roll, turned = _roll_at(model, motion, 0.0), np.arctan2(np.sin(ahead - behind), np.cos(ahead - behind))
    return polarization_angle_rad - roll, polarization_rate_rad_s - turned / (2 * _ROLL_STEP_S)


def convergence(
    az_rad: FloatOrArray, el_rad: FloatOrArray, from_az_rad: FloatOrArray, from_el_rad: FloatOrArray
) -> FloatOrArray:
    """Turn of the horizontal from one direction of the sky to another one nearby.

    A rotation by d(az) turns the horizontal by d(az) sin(el) towards up: at 88 deg by 1 deg for 600 urad across.

    Parameters
    ----------
    az_rad, el_rad, from_az_rad, from_el_rad : float or ndarray
        Both directions, at most some degrees apart.

    Returns
    -------
    float or ndarray
        To be subtracted from an angle relative to the horizontal of the second direction, rad.
    """
    turned = (az_rad - from_az_rad + pi) % (2 * pi) - pi
    middle = 0.5 * (el_rad + from_el_rad)
    turn: FloatOrArray = turned * (sin(middle) if isinstance(middle, float) else np.sin(middle))
    return turn


def _roll_at(model: MountModel, motion: AxisMotion[FloatOrArray], ahead_s: float) -> FloatOrArray:
    az = motion.az_rad + motion.az_rate_rad_s * ahead_s + motion.az_acc_rad_s2 * ahead_s**2 / 2
    el = motion.el_rad + motion.el_rate_rad_s * ahead_s + motion.el_acc_rad_s2 * ahead_s**2 / 2
    return model.roll(az, el)
