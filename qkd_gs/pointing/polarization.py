"""Polarization angles from the sky to the analyser, and what an angle left uncorrected costs.

Handedness: every angle is counted counter-clockwise as seen against the light (looking at the source).  On the
sky that is from growing azimuth towards growing elevation.

Mirrors: each one shows the picture, and the polarization, mirror-wise; after an odd number of them (`parity`
-1) an angle on the sky has changed its sign.  Fixed turns by the optics are part of the plate's zero.

Plate: a half-wave plate with its axis at `a` mirrors linear polarization at that axis: an angle b becomes
2 a - b (Hecht, Optics, ch. 8).  So the satellite's H axis at frame angle f comes out at the receiver's H when
a = zero + parity f / 2, for every f; its V axis comes out at V.  Its D axis, 45 deg further against the
light, comes out 45 deg *clockwise* of H for parity +1 and counter-clockwise for -1: which detector is D is a
matter of wiring and depends on the parity, not on the pass.
"""

from __future__ import annotations

from math import pi, sin

import numpy as np

from qkd_gs.arrays import FloatOrArray
from qkd_gs.pointing.mount_model import AxisMotion, MountModel

_ROLL_STEP_S = 0.01  # roll bends over the width of the azimuth axis' cone, some 0.1 s in the steepest pass


def plate_angle(frame_rad: float, zero_rad: float, parity: int = 1) -> float:
    """Plate angle (not folded) that brings the frame at `frame_rad` onto the receiver's."""
    return zero_rad + parity * frame_rad / 2


def frame_error(plate_rad: FloatOrArray, zero_rad: float, frame_rad: FloatOrArray, parity: int = 1) -> FloatOrArray:
    """Frame angle left uncorrected, radians in [-pi/2, pi/2]: twice the plate's own error; floats or arrays.

    Positive: the light comes out too far counter-clockwise.
    """
    turned = 2 * (plate_rad - zero_rad) - parity * frame_rad
    left: FloatOrArray = turned - pi * np.rint(turned / pi)
    return left


def wrong_fraction(error_rad: float) -> float:
    """Share of the photons of either basis that a frame error sends to the wrong detector (Malus)."""
    return sin(error_rad) ** 2


def analyser_axis(state: str, zero_rad: float, parity: int = 1) -> float:
    """Where the axis of a state (H, V, D, A) of an aligned frame comes out behind the plate, in [0, pi)."""
    from_h = {'H': 0.0, 'V': pi / 2, 'D': pi / 4, 'A': -pi / 4}[state]
    return (2 * zero_rad - parity * from_h) % pi


def tube_frame(
    model: MountModel, motion: AxisMotion[FloatOrArray], frame_rad: FloatOrArray, frame_rate_rad_s: FloatOrArray
) -> tuple[FloatOrArray, FloatOrArray]:
    """Frame angle and rate against the tube's horizontal instead of the sky's.

    Parameters
    ----------
    motion : AxisMotion
        Encoder angles and rates, commanded or measured.
    frame_rad, frame_rate_rad_s : float or ndarray
        Against the sky's horizontal, as `TargetState` has them.

    Returns
    -------
    frame_rad, frame_rate_rad_s : float or ndarray

    Notes
    -----
    The tube rolls against the horizon by the mount's tilt over cos(el): 3 deg at 80 deg for a tilt of 0.5 deg.
    """
    ahead = _roll_at(model, motion, _ROLL_STEP_S)
    behind = _roll_at(model, motion, -_ROLL_STEP_S)
    turned = np.arctan2(np.sin(ahead - behind), np.cos(ahead - behind))
    frame: FloatOrArray = frame_rad - _roll_at(model, motion, 0.0)
    rate: FloatOrArray = frame_rate_rad_s - turned / (2 * _ROLL_STEP_S)
    return frame, rate


def _roll_at(model: MountModel, motion: AxisMotion[FloatOrArray], ahead_s: float) -> FloatOrArray:
    az = motion.az_rad + motion.az_rate_rad_s * ahead_s + motion.az_acc_rad_s2 * ahead_s**2 / 2
    el = motion.el_rad + motion.el_rate_rad_s * ahead_s + motion.el_acc_rad_s2 * ahead_s**2 / 2
    return model.roll(az, el)
