"""The prediction for the control loop: apparent direction for an orbit error, and the direction to aim at."""

from __future__ import annotations

from dataclasses import replace
from math import cos, radians, tan

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit.refraction import dispersion_rad
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.tracking.control.estimator import Residual

KEEP_NS = 50_000_000  # age of a Jacobian; it turns by 1 deg meanwhile in the fastest zenith pass

_LOWEST_RAD, _STEP_RAD, _STEPS = radians(-2.0), radians(0.25), 376  # elevations at which the dispersion is tabulated

# the line of sight aims at the 850 nm light; the camera sees 532 nm, so its spot is higher by the dispersion


class Prediction:
    """A trajectory, its sensitivity to orbit errors, and the dispersion.

    Parameters
    ----------
    trajectory : Trajectory
        Apparent directions at 532 nm.
    """

    def __init__(self, trajectory: Trajectory):
        self._trajectory = trajectory
        grid = _LOWEST_RAD + _STEP_RAD * np.arange(_STEPS + 1)
        self._dispersion: list[float] = dispersion_rad(grid, trajectory.site).tolist()
        self._jacobian: FloatArray = np.eye(2)
        self._jacobian_ns: int | None = None

    def at(self, t_ns: int, error: tuple[float, float]) -> TargetState[float]:
        """Apparent direction for an orbit error (time bias s, cross-track m)."""
        return self._trajectory.at(t_ns, *error)

    def error_of(self, t_ns: int, az_rad: float, el_rad: float) -> tuple[float, float]:
        """Orbit error that explains a direction; StationError if none does."""
        return self._trajectory.bias_of(t_ns, az_rad, el_rad)

    def jacobian(self, t_ns: int, error: tuple[float, float]) -> FloatArray:
        """Shift of the apparent direction, shape (2, 2): x and y in radians per second and per metre."""
        if self._jacobian_ns is None or abs(t_ns - self._jacobian_ns) > KEEP_NS:
            self._jacobian = self._trajectory.bias_jacobian(t_ns, *error)
            self._jacobian_ns = t_ns
        return self._jacobian

    def dispersion(self, el_rad: float) -> float:
        """Elevation of the beacon (532 nm) above the 850 nm light, radians."""
        place = min(max((el_rad - _LOWEST_RAD) / _STEP_RAD, 0.0), float(_STEPS))
        low = min(int(place), _STEPS - 1)
        return self._dispersion[low] + (place - low) * (self._dispersion[low + 1] - self._dispersion[low])

    def aim(self, state: TargetState[float], residual: Residual) -> TargetState[float]:
        """Direction to aim at: the 850 nm light, with the mount's residual added.

        Second derivatives of the residual are neglected: 50 urad at 88 deg give 3 nrad over one command.
        """
        turn, slope = 1 / cos(state.el_rad), tan(state.el_rad)
        x_rate = residual.x_rate_rad_s + residual.x_rad * slope * state.el_rate_rad_s
        return replace(
            state,
            az_rad=state.az_rad + residual.x_rad * turn,
            el_rad=state.el_rad + residual.y_rad - self.dispersion(state.el_rad),
            az_rate_rad_s=state.az_rate_rad_s + x_rate * turn,
            el_rate_rad_s=state.el_rate_rad_s + residual.y_rate_rad_s,
        )


def place(state: TargetState[float], t_ns: int) -> tuple[float, float]:
    """Azimuth and elevation a little before or after a state (0.1 s: below 0.1 urad)."""
    dt_s = (t_ns - state.t_ns) * 1e-9
    return (
        state.az_rad + (state.az_rate_rad_s + 0.5 * state.az_acc_rad_s2 * dt_s) * dt_s,
        state.el_rad + (state.el_rate_rad_s + 0.5 * state.el_acc_rad_s2 * dt_s) * dt_s,
    )
