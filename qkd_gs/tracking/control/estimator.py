"""Kalman filter for the errors of the elements and of the mount model.

State: time bias and cross-track offset of the satellite, and the residual of the mount model in x and y.  That
residual is a smooth function of the axis angles, so its model runs in arc, not in time: a second-order
Gauss-Markov process (critically damped) per radian of axis travel.  The loop's bandwidth follows from it: some
0.02 Hz where the satellite is slow, 0.15 Hz at a culmination of 72 deg, more where the axes turn fast near the
zenith.  Turbulence is much faster.  It enters as coloured measurement noise of known power density and does not
move the mount.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit
from qkd_gs.tracking.control.tuning import Tuning

BIAS, CROSS, X, Y, X_SLOPE, Y_SLOPE = range(6)


@dataclass(frozen=True)
class Residual:
    """Pointing residual along x (cross-elevation) and y, radians, with its rates."""

    x_rad: float = 0.0
    y_rad: float = 0.0
    x_rate_rad_s: float = 0.0
    y_rate_rad_s: float = 0.0


class Estimator:
    """Recursive estimate from offsets measured against the prediction.

    Parameters
    ----------
    tuning : Tuning
        Noise and residual models.
    """

    def __init__(self, tuning: Tuning):
        self._tuning = tuning
        self._last_spot_ns = 0
        self._t_ns = 0
        self.state: FloatArray = np.zeros(6)
        self.covariance: FloatArray = np.zeros((6, 6))
        # compiled code is loaded here, not in the first steps of the loop
        _advanced(self.state, self.covariance, 0.0, 1.0, 0.0, 0.0, 0.0)
        _updated(self.state, self.covariance, np.eye(2), 0.0, 0.0, 0.0, 1.0, 1.0)

    @property
    def time_bias_s(self) -> float:
        """Estimated time bias, s."""
        return float(self.state[BIAS])

    @property
    def cross_track_m(self) -> float:
        """Estimated cross-track offset, m."""
        return float(self.state[CROSS])

    def start(
        self, t_ns: int, time_bias_s: float, cross_track_m: float, jacobian: FloatArray, sigma_rad: float
    ) -> None:
        """Start from a position measured with an error of `sigma_rad`; only the size of the residual is known.

        `jacobian` (2, 2): shift of the apparent direction in x, y (rad) per second and per metre.
        """
        residual = self._tuning.residual_urad * 1e-6
        slope = residual / self._tuning.residual_angle_rad
        self.state = np.array([time_bias_s, cross_track_m, 0.0, 0.0, 0.0, 0.0])
        self.covariance = np.diag([0.0, 0.0, residual**2, residual**2, slope**2, slope**2])
        inverse = np.linalg.inv(jacobian)
        # the direction is known to sigma: orbit and residual errors cancel in the sum
        self.covariance[:2, :2] = inverse @ inverse.T * (sigma_rad**2 + residual**2)
        self.covariance[:2, 2:4] = -inverse * residual**2
        self.covariance[2:4, :2] = self.covariance[:2, 2:4].T
        self._t_ns = self._last_spot_ns = t_ns

    def advance(self, t_ns: int, axis_rate_rad_s: float) -> None:
        """Predict to `t_ns`; `axis_rate_rad_s` is the norm of both axis rates since the last call."""
        dt_s = (t_ns - self._t_ns) * 1e-9
        if dt_s <= 0:
            return
        self._t_ns = t_ns
        tuning = self._tuning
        arc = max(axis_rate_rad_s, 1e-3) * dt_s
        walks = tuning.bias_walk_s**2 * dt_s, tuning.cross_walk_m**2 * dt_s
        self.state, self.covariance = _advanced(
            self.state, self.covariance, arc, 1 / tuning.residual_angle_rad, tuning.residual_urad * 1e-6, *walks
        )

    def residual(self, axis_rate_rad_s: float, ahead_s: float = 0.0) -> Residual:
        """Residual and its rates `ahead_s` after the last `advance`."""
        x_rate = float(self.state[X_SLOPE]) * axis_rate_rad_s
        y_rate = float(self.state[Y_SLOPE]) * axis_rate_rad_s
        x, y = float(self.state[X]) + x_rate * ahead_s, float(self.state[Y]) + y_rate * ahead_s
        return Residual(x, y, x_rate, y_rate)

    def sigma_rad(self, jacobian: FloatArray) -> float:
        """Expected error of the predicted direction, radians, the worse axis."""
        H = _design(jacobian)
        return sqrt(float(np.max(np.diag(H @ self.covariance @ H.T))))

    def update(
        self, stamp_ns: int, offset_rad: tuple[float, float], jacobian: FloatArray, tilt_rad: float, extra_rad: float
    ) -> bool:
        """Update with one spot; False if it lies outside the gate and was rejected.

        Parameters
        ----------
        stamp_ns : int
            Mid-exposure.
        offset_rad : tuple of float
            Measured minus predicted direction (x, y), before the estimated residual is subtracted.
        jacobian : ndarray, shape (2, 2)
            As for `start`.
        tilt_rad : float
            RMS of the turbulence tilt per axis; its correlation time is the tuning's.
        extra_rad : float
            RMS of everything else in one measurement.
        """
        dt_s = max((stamp_ns - self._last_spot_ns) * 1e-9, 1e-3)
        # consecutive images see the same tilt: replaced by white noise of the same density
        noise = extra_rad**2 + tilt_rad**2 * max(1.0, 2 * self._tuning.tilt_correlation_s / dt_s)
        single, gate = tilt_rad**2 + extra_rad**2, self._tuning.gate_sigma**2
        accepted, state, covariance = _updated(
            self.state, self.covariance, jacobian, offset_rad[0], offset_rad[1], gate, single, noise
        )
        if accepted:
            self._last_spot_ns, self.state, self.covariance = stamp_ns, state, covariance
        return bool(accepted)


@njit(cache=True)
def _advanced(
    state: FloatArray,
    covariance: FloatArray,
    arc: float,
    w: float,
    size_rad: float,
    bias_walk: float,
    cross_walk: float,
) -> tuple[FloatArray, FloatArray]:
    """State and covariance after an arc; see `_over_arc`."""
    F, Q = _over_arc(arc, w, size_rad, bias_walk, cross_walk)
    return F @ state, F @ covariance @ F.T + Q


@njit(cache=True)
def _updated(
    state: FloatArray,
    covariance: FloatArray,
    jacobian: FloatArray,
    x_rad: float,
    y_rad: float,
    gate: float,
    single: float,
    noise: float,
) -> tuple[bool, FloatArray, FloatArray]:
    """State and covariance after a spot, whether it was accepted first.

    `gate` is in variances; `single` is the variance of one spot, `noise` that of one among consecutive spots.
    """
    H = _design(jacobian)
    across = covariance @ H.T
    spread = H @ across
    x, y = x_rad - state[X], y_rad - state[Y]
    if x * x > gate * (spread[0, 0] + single) or y * y > gate * (spread[1, 1] + single):
        return False, state, covariance
    a, b, c = spread[0, 0] + noise, spread[0, 1], spread[1, 1] + noise
    gain = across @ np.array([[c, -b], [-b, a]]) / (a * c - b * b)
    keep = np.eye(6) - gain @ H
    joseph = keep @ covariance @ keep.T + noise * (gain @ gain.T)  # this form stays symmetric
    return True, state + gain @ np.array([x, y]), joseph


@njit(cache=True)
def _over_arc(
    arc: float, w: float, size_rad: float, bias_walk: float, cross_walk: float
) -> tuple[FloatArray, FloatArray]:
    """Transition and added covariance over an arc; `w` by radian, the walks are variances (s^2, m^2)."""
    decay = exp(-w * arc)
    F, Q = np.eye(6), np.zeros((6, 6))
    # critically damped: x'' = -2 w x' - w^2 x, exact over the arc
    F[X, X] = F[Y, Y] = decay * (1 + w * arc)
    F[X, X_SLOPE] = F[Y, Y_SLOPE] = decay * arc
    F[X_SLOPE, X] = F[Y_SLOPE, Y] = -decay * w * w * arc
    F[X_SLOPE, X_SLOPE] = F[Y_SLOPE, Y_SLOPE] = decay * (1 - w * arc)
    noise = 4 * size_rad**2 * w**3  # density that keeps the variance
    Q[BIAS, BIAS] = bias_walk
    Q[CROSS, CROSS] = cross_walk
    Q[X, X] = Q[Y, Y] = noise * arc**3 / 3
    Q[X, X_SLOPE] = Q[X_SLOPE, X] = Q[Y, Y_SLOPE] = Q[Y_SLOPE, Y] = noise * arc**2 / 2
    Q[X_SLOPE, X_SLOPE] = Q[Y_SLOPE, Y_SLOPE] = noise * arc
    return F, Q


@njit(cache=True)
def _design(jacobian: FloatArray) -> FloatArray:
    H = np.zeros((2, 6))
    H[:, :2] = jacobian
    H[0, X] = H[1, Y] = 1.0
    return H
