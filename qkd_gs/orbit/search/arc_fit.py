"""Orbit of one pass from directions seen at one site: Newtonian motion with the Earth's flattening, fitted to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from qkd_gs.arrays import FloatArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S
from qkd_gs.orbit.rotation import turn_z

_GM_M3_S2 = 3.986004418e14
_J2 = 1.0826267e-3
_RADIUS_M = 6378137.0
_RANGE_SCALE_M = 10.0  # of an error of the range that weighs as much as one of the direction
_DIRECTION_SCALE_RAD = 1e-6
_HEIGHTS_M = 1e3 * np.array([200, 300, 400, 500, 600, 800, 1000, 1400, 2000, 4000, 8000, 20200, 23200, 35786])
_TOLERANCE = 1e-11


class Arc(NamedTuple):
    """An orbit fitted to a pass."""

    states: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    """Positions (n, 3), m, and velocities, m/s, at s (n,): in the frame of `fit_arc`."""
    rms_rad: float  # of the directions, two-dimensional radial
    worst_rad: float


def fit_arc(
    t_s: FloatArray, direction: FloatArray, site_m: FloatArray, range_m: FloatArray | None, margin_s: float
) -> Arc:
    """Fit six numbers, the state in the middle, to the directions of a pass.

    Parameters
    ----------
    t_s : (n,) array
        Times, s, ascending.
    direction : (n, 3) array
        Geometric unit vectors from the site, Earth-fixed.
    site_m : (3,) array
        The site, Earth-fixed.
    range_m : (n,) array, optional
        Distances; without them they follow from the motion.
    margin_s : float
        Time by which the orbit is to reach beyond the first and last time.

    Returns
    -------
    Arc
        In the frame that coincides with the Earth-fixed one at t = 0 and does not turn.  Within 1 m of a low orbit in a
        pass of ten minutes: the harmonics beyond the flattening and the air drag are left out.

    Raises
    ------
    StationError
        The fit finds no orbit.
    """
    turn = EARTH_RATE_RAD_S * t_s
    sight = turn_z(direction, turn)
    place_m = turn_z(np.repeat(site_m[None, :], len(t_s), axis=0), turn)
    middle_s = float(t_s[len(t_s) // 2])
    span_s = (float(t_s[0]) - margin_s, float(t_s[-1]) + margin_s)

    def residuals(state: FloatArray) -> FloatArray:
        path = _propagate(state, middle_s, span_s)(t_s)
        line = path[:3].T - place_m
        length = np.linalg.norm(line, axis=1)
        across = np.cross(sight, line / length[:, None]) / _DIRECTION_SCALE_RAD
        parts = [across.ravel()]
        if range_m is not None:
            parts.append((length - range_m) / _RANGE_SCALE_M)
        return np.concatenate(parts)

    start = _start(t_s, sight, place_m, range_m)
    scale = np.array([1e3] * 3 + [1.0] * 3)
    try:
        found = least_squares(residuals, start, x_scale=scale, method='lm', xtol=1e-14, ftol=1e-14, max_nfev=400)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise StationError('the directions are not those of an orbit') from error
    solution = _propagate(found.x, middle_s, span_s)
    across = residuals(found.x)[: 3 * len(t_s)].reshape(-1, 3) * _DIRECTION_SCALE_RAD
    off_rad = np.linalg.norm(across, axis=1)

    def states(at_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        path = solution(at_s)
        return np.ascontiguousarray(path[:3].T), np.ascontiguousarray(path[3:].T)

    return Arc(states, float(np.sqrt(np.mean(off_rad**2))), float(off_rad.max()))


def _start(t_s: FloatArray, sight: FloatArray, place_m: FloatArray, range_m: FloatArray | None) -> FloatArray:
    """State in the middle: from the ranges, else on the circular orbit whose speed fits best."""
    k = len(t_s) // 2
    if range_m is not None:
        path = place_m + range_m[:, None] * sight
        return np.concatenate((path[k], _velocity(t_s, path)))
    best, best_miss = None, np.inf
    along = np.einsum('ij,ij->i', sight, place_m)
    for height_m in _HEIGHTS_M:
        radius_m = _RADIUS_M + height_m
        length = -along + np.sqrt(along**2 + radius_m**2 - np.einsum('ij,ij->i', place_m, place_m))
        path = place_m + length[:, None] * sight
        velocity = _velocity(t_s, path)
        miss = abs(float(np.linalg.norm(velocity)) / np.sqrt(_GM_M3_S2 / radius_m) - 1)
        if miss < best_miss:
            best, best_miss = np.concatenate((path[k], velocity)), miss
    assert best is not None
    return best


def _velocity(t_s: FloatArray, path: FloatArray) -> FloatArray:
    """Velocity in the middle of a path, by a parabola through its inner half."""
    quarter = max(len(t_s) // 4, 1)
    k = len(t_s) // 2
    inner = slice(max(k - quarter, 0), k + quarter + 1)
    fit = np.polynomial.polynomial.polyfit(t_s[inner] - t_s[k], path[inner], 2)
    return np.asarray(fit[1])


def _propagate(state: FloatArray, at_s: float, span_s: tuple[float, float]) -> Callable[[FloatArray], FloatArray]:
    """Positions and velocities (6, n) at any time of the span, from the state at one time of it."""
    options = {'method': 'DOP853', 'rtol': _TOLERANCE, 'atol': 1e-4, 'dense_output': True}
    before = solve_ivp(_acceleration, (at_s, span_s[0]), state, **options)
    after = solve_ivp(_acceleration, (at_s, span_s[1]), state, **options)
    if not (before.success and after.success):
        raise ValueError('the motion cannot be integrated')

    def path(t_s: FloatArray) -> FloatArray:
        return np.asarray(np.where(t_s < at_s, before.sol(t_s), after.sol(t_s)))

    return path


def _acceleration(_: float, state: FloatArray) -> FloatArray:
    r = state[:3]
    radius = float(np.sqrt(r @ r))
    if radius < 0.9 * _RADIUS_M:
        return np.zeros(6)  # within the Earth: no orbit, but the fit may look there
    pull = -_GM_M3_S2 / radius**3
    flat = 1.5 * _J2 * (_RADIUS_M / radius) ** 2
    sine2 = (r[2] / radius) ** 2
    factors = np.array([1 + flat * (1 - 5 * sine2), 1 + flat * (1 - 5 * sine2), 1 + flat * (3 - 5 * sine2)])
    return np.concatenate((state[3:], pull * factors * r))
