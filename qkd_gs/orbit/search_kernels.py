"""Compiled search of passes: positions between the nodes of a table, elevations, and their extrema and crossings.

Between nodes the Earth-fixed position is the polynomial of degree 11 through six nodes and their velocities.
"""

from __future__ import annotations

from math import acos, asin, atan2, cos, pi, sin, sqrt
from typing import NamedTuple

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.jit import njit
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S


class Nodes(NamedTuple):
    """A satellite's path and a site, as the functions here take them; all Earth-fixed."""

    step: float  # s, between nodes; the first is at 0
    r: FloatArray  # (3, n) m, n at least ROWS
    v: FloatArray  # (3, n) m/s, derivative of r
    radius: FloatArray  # (n,) m, length of r
    site: FloatArray  # (3,) m
    enu: FloatArray  # (3, 3) from Earth-fixed to east, north, up


ROWS = 6  # of one polynomial
NO_RISE, NO_SET = 1, 2  # bits: the interval is cut by the first or last node
DETAILS = 10  # columns of `details`
_SLOPE_S = 0.05  # half the base of numerical derivatives
_BEND_S = 1.0  # half the base of second derivatives
_TOP_S = 1e-3
_SHIFT_S = 0.02  # of the last of Newton's steps, whose error goes with its square
_NEVER = 0.02  # of the cosine: room for the secant steps
_EDGE_S = 1e-6
_SINE = 1e-9  # some microseconds of a low satellite
_SAMPLES = 8  # of the distance to Sun and Moon in a pass, before the smallest is refined
_LONG_PASS_S = 1800.0
_GOLDEN = 0.6180339887498949
_FINE, _COARSE = 10, 5  # steps of the golden section
_CLOSE = 0.7  # cosine: within 45 deg
_SMALL_TURN = 0.07
_RANGE_STEP_S = 10.0
_EARTH_M = 6378136.6
_RISEN = -0.0145  # sine of -0.83 deg: refraction and half the disk
_NEAR_RISEN = -0.18  # sine of an elevation below which a body does not rise in a pass of half an hour


@njit(cache=True, error_model='numpy')
def sight(t: float, sky: Nodes, out: FloatArray) -> float:
    """Earth-fixed vector from the site to the satellite at `t` into `out` (3,), m; returns its length."""
    w = min(max(int(t / sky.step) - 2, 0), sky.r.shape[1] - ROWS)
    x = t / sky.step - w
    x1, x2, x3, x4, x5 = x - 1, x - 2, x - 3, x - 4, x - 5
    a, b, c = x * x1, x2 * x3, x4 * x5
    ab, ac, bc = a * b, a * c, b * c
    l0, l1, l2 = x1 * bc / -120, x * bc / 24, ac * x3 / -12
    l3, l4, l5 = ac * x2 / 12, ab * x5 / -24, ab * x4 / 120
    q0, q1, q2, q3, q4, q5 = l0 * l0, l1 * l1, l2 * l2, l3 * l3, l4 * l4, l5 * l5
    h0, h1, h2 = (1 + 137 / 30 * x) * q0, (1 + 13 / 6 * x1) * q1, (1 + 2 / 3 * x2) * q2
    h3, h4, h5 = (1 - 2 / 3 * x3) * q3, (1 - 13 / 6 * x4) * q4, (1 - 137 / 30 * x5) * q5
    d0, d1, d2 = sky.step * x * q0, sky.step * x1 * q1, sky.step * x2 * q2
    d3, d4, d5 = sky.step * x3 * q3, sky.step * x4 * q4, sky.step * x5 * q5
    r, v = sky.r, sky.v
    square = 0.0
    for i in range(3):
        p = h0 * r[i, w] + h1 * r[i, w + 1] + h2 * r[i, w + 2] + h3 * r[i, w + 3] + h4 * r[i, w + 4] + h5 * r[i, w + 5]
        p += d0 * v[i, w] + d1 * v[i, w + 1] + d2 * v[i, w + 2] + d3 * v[i, w + 3] + d4 * v[i, w + 4] + d5 * v[i, w + 5]
        out[i] = p - sky.site[i]
        square += out[i] * out[i]
    return sqrt(square)


@njit(cache=True, error_model='numpy')
def _along(axis: int, sky: Nodes, vector: FloatArray) -> float:
    """Part of an Earth-fixed vector towards east (0), north (1) or up (2)."""
    return float(sky.enu[axis, 0] * vector[0] + sky.enu[axis, 1] * vector[1] + sky.enu[axis, 2] * vector[2])


@njit(cache=True, error_model='numpy')
def sine_at(t: float, sky: Nodes, out: FloatArray) -> float:
    """Sine of the elevation at `t`."""
    rho: float = sight(t, sky, out)
    return float(_along(2, sky, out) / rho)


@njit(cache=True, error_model='numpy')
def sights(t: FloatArray, sky: Nodes, out: FloatArray) -> None:
    """East, north, up (n, 3), m, at times (n,)."""
    vector = np.empty(3)
    for i in range(t.size):
        sight(t[i], sky, vector)
        for axis in range(3):
            out[i, axis] = _along(axis, sky, vector)


@njit(cache=True, error_model='numpy')
def find(sky: Nodes, low: float) -> tuple[FloatArray, IntArray]:
    """Intervals above the sine `low` of elevation: rise, culmination, set (n, 3), s, and the bits of what is cut."""
    n = sky.r.shape[1]
    found = np.empty((n + 2, 3))
    bits = np.zeros(n + 2, np.int64)
    count = 0
    out = np.empty(3)
    low_rad = asin(low)
    size = sqrt(sky.site[0] ** 2 + sky.site[1] ** 2 + sky.site[2] ** 2)
    f, g, psi, turn = _nodes(sky)
    up = f[0] > low
    rise, top, best = 0.0, 0.0, f[0]
    cut = NO_RISE if up else 0
    for k in range(n - 1):
        f0, g0, f1, g1 = f[k], g[k], f[k + 1], g[k + 1]
        t0, t1 = k * sky.step, (k + 1) * sky.step
        te, fe = t0, f0
        if g0 > 0 and g1 <= 0:
            # the angle to the site at the Earth's centre below which the satellite may be above `low` between the nodes
            highest_m = max(sky.radius[k], sky.radius[k + 1])
            widest = acos(min(size / highest_m * cos(low_rad), 1.0)) - low_rad
            reach = widest + 0.6 * sky.step * max(turn[k], turn[k + 1]) + 0.02
            if reach > pi or max(psi[k], psi[k + 1]) > cos(reach):
                te = _top(t0, t1, cos(widest), g0, sky, out)
        elif g0 < 0 and g1 >= 0 and f0 > low and f1 > low:
            te = _level_slope(t0, t1, g0, sky, out)
        if te > t0:
            fe = sine_at(te, sky, out)
        for half in range(2):
            ta, fa, tb, fb = (t0, f0, te, fe) if half == 0 else (te, fe, t1, f1)
            if tb <= ta:
                continue
            if fa <= low < fb:
                rise = _crossing(ta, tb, fa - low, fb - low, low, sky, out)
                up, top, best, cut = True, rise, low, 0
            if up and fb > best:
                top, best = tb, fb
            if fa > low >= fb and up:
                found[count, 0], found[count, 1] = rise, top
                found[count, 2] = _crossing(ta, tb, fa - low, fb - low, low, sky, out)
                bits[count] = cut
                count += 1
                up = False
    if up:
        found[count, 0], found[count, 1], found[count, 2] = rise, top, (n - 1) * sky.step
        bits[count] = cut | NO_SET
        count += 1
    return found[:count].copy(), bits[:count].copy()


@njit(cache=True, error_model='numpy')
def _top(t0: float, t1: float, widest: float, g0: float, sky: Nodes, out: FloatArray) -> float:
    """Time of the largest elevation between two nodes; `t0` if the satellite stays too far to be seen.

    The angle to the site at the Earth's centre is smooth in time: two secant steps come within seconds of its smallest
    value, from where Newton's method goes to the top of the elevation, which can be sharp.
    """
    ta, tb = t0, t1
    _, ya = _closeness(ta, sky, out)
    _, yb = _closeness(tb, sky, out)
    t = (ta + tb) / 2
    if ya > 0 > yb:
        for _ in range(2):
            t = (ta * yb - tb * ya) / (yb - ya)
            near, y = _closeness(t, sky, out)
            if near < widest - _NEVER:
                return t0
            if y > 0:
                ta, ya = t, y
            else:
                tb, yb = t, y
        t = (ta * yb - tb * ya) / (yb - ya)
    for _ in range(8):
        before, here = sine_at(t - _BEND_S, sky, out), sine_at(t, sky, out)
        after = sine_at(t + _BEND_S, sky, out)
        bend = before - 2 * here + after
        if bend >= 0:
            break
        shift = _BEND_S * (before - after) / (2 * bend)
        t += shift
        if t < t0 or t > t1:
            break
        if abs(shift) < _SHIFT_S:
            return float(t)
    return float(_level_slope(t0, t1, g0, sky, out))


@njit(cache=True, error_model='numpy')
def _closeness(t: float, sky: Nodes, out: FloatArray) -> tuple[float, float]:
    """Cosine of the angle between satellite and site at the Earth's centre, and a number with the sign of its slope."""
    sight(t - _BEND_S, sky, out)
    before = _central(sky, out)
    sight(t + _BEND_S, sky, out)
    after = _central(sky, out)
    return max(before, after), after - before


@njit(cache=True, error_model='numpy')
def _central(sky: Nodes, line: FloatArray) -> float:
    square, dot, size = 0.0, 0.0, 0.0
    for i in range(3):
        x = sky.site[i] + line[i]
        square += x * x
        dot += x * sky.site[i]
        size += sky.site[i] * sky.site[i]
    return dot / sqrt(square * size)


@njit(cache=True, error_model='numpy')
def highest(ta: float, tb: float, sky: Nodes) -> float:
    """Time of the largest elevation from `ta` to `tb`."""
    out = np.empty(3)
    top, best = ta, sine_at(ta, sky, out)
    f = sine_at(tb, sky, out)
    if f > best:
        top, best = tb, f
    k0, k1 = int(ta / sky.step) + 1, min(int(tb / sky.step), sky.r.shape[1] - 1)
    for k in range(k0, k1 + 1):
        f = sine_at(k * sky.step, sky, out)
        if f > best:
            top, best = k * sky.step, f
    a, b = max(top - sky.step, ta), min(top + sky.step, tb)
    ga, gb = _slope(a, sky, out), _slope(b, sky, out)
    if ga > 0 > gb:
        te = _level_slope(a, b, ga, sky, out)
        if sine_at(te, sky, out) > best:
            top = te
    return top


@njit(cache=True, error_model='numpy')
def crossings(arcs: FloatArray, lows: FloatArray, sky: Nodes) -> FloatArray:
    """Times (n, m, 2) at which each interval (rise, culmination, set) passes each sine `lows` (m,), else NaN."""
    times = np.full((arcs.shape[0], lows.size, 2), np.nan)
    out = np.empty(3)
    for i in range(arcs.shape[0]):
        rise, top, down = arcs[i]
        f_top = sine_at(top, sky, out)
        f_rise, f_down = sine_at(rise, sky, out), sine_at(down, sky, out)
        for j in range(lows.size):
            low = lows[j]
            if f_top <= low:
                continue
            times[i, j, 0], times[i, j, 1] = rise, down
            if f_rise < low:
                times[i, j, 0] = _crossing(rise, top, f_rise - low, f_top - low, low, sky, out)
            if f_down < low:
                times[i, j, 1] = _crossing(top, down, f_top - low, f_down - low, low, sky, out)
    return times


@njit(cache=True, error_model='numpy')
def details(arcs: FloatArray, bodies: FloatArray, sky: Nodes) -> FloatArray:
    """What is listed of each interval (rise, culmination, set).

    Parameters
    ----------
    bodies : (n, 2, 3) array
        Earth-fixed unit vectors to Sun and Moon at culmination; they are taken to stand still among the stars.

    Returns
    -------
    (n, DETAILS) array
        Azimuth at rise, culmination and set (rad), sine of the largest elevation, smallest range (m), sine of the
        elevation of Sun and Moon at culmination, cosine of the smallest angle to each of them while it is up (-1: it is
        not), and whether the Sun's centre is seen from the satellite past the Earth's sphere (1 or 0).
    """
    table = np.empty((arcs.shape[0], DETAILS))
    out = np.empty(3)
    for i in range(arcs.shape[0]):
        rise, top, down = arcs[i]
        for j in range(3):
            rho = sight(arcs[i, j], sky, out)
            table[i, j] = atan2(_along(0, sky, out), _along(1, sky, out)) % (2 * pi)
            table[i, 4] = rho if j == 0 else min(table[i, 4], rho)
            if j == 1:
                table[i, 3] = _along(2, sky, out) / rho
                table[i, 9] = _lit(bodies[i, 0], sky, out)
        table[i, 4] = min(table[i, 4], _vertex(rise, top, down, sky, out))
        for body in range(2):
            table[i, 5 + body] = _along(2, sky, bodies[i, body])
            table[i, 7 + body] = -1.0
        if max(table[i, 5], table[i, 6]) > _NEAR_RISEN or down - rise > _LONG_PASS_S:
            _nearest(rise, top, down, bodies[i], sky, out, table[i, 7:9])
    return table


@njit(cache=True, error_model='numpy')
def _vertex(rise: float, top: float, down: float, sky: Nodes, out: FloatArray) -> float:
    """Smallest range: near culmination its square is a parabola in time, within metres."""
    step = min(_RANGE_STEP_S, (down - rise) / 2)
    middle = min(max(top, rise + step), down - step)
    before, here = sight(middle - step, sky, out) ** 2, sight(middle, sky, out) ** 2
    after = sight(middle + step, sky, out) ** 2
    bend = before - 2 * here + after
    if bend <= 0:
        return sqrt(here)
    t = min(max(middle + step * (before - after) / (2 * bend), rise), down)
    smallest: float = sight(t, sky, out)
    return smallest


@njit(cache=True, error_model='numpy')
def _lit(sun: FloatArray, sky: Nodes, line: FloatArray) -> float:
    """1 where the straight line from the satellite, at `line` from the site, to the Sun passes the Earth, else 0."""
    along, square = 0.0, 0.0
    for i in range(3):
        x = sky.site[i] + line[i]
        along += x * sun[i]
        square += x * x
    return 1.0 if along > 0 or square - along * along > _EARTH_M**2 else 0.0


@njit(cache=True, error_model='numpy')
def _nearest(
    ta: float, top: float, tb: float, bodies: FloatArray, sky: Nodes, out: FloatArray, found: FloatArray
) -> None:
    """Cosine of the smallest angle of satellite and Sun, and Moon, from `ta` to `tb` while they are up; else -1."""
    count = _SAMPLES if tb - ta < _LONG_PASS_S else 10 * _SAMPLES
    spacing = (tb - ta) / count
    at = (top, top)
    for j in range(count + 1):
        t = ta + j * spacing
        rho = sight(t, sky, out)
        c0 = _cosine(t - top, bodies[0], rho, sky, out)
        c1 = _cosine(t - top, bodies[1], rho, sky, out)
        if c0 > found[0]:
            found[0], at = c0, (t, at[1])
        if c1 > found[1]:
            found[1], at = c1, (at[0], t)
    for k in range(2):
        if found[k] > -1:
            a, b = max(at[k] - spacing, ta), min(at[k] + spacing, tb)
            m1, m2 = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
            c1 = _cosine(m1 - top, bodies[k], sight(m1, sky, out), sky, out)
            c2 = _cosine(m2 - top, bodies[k], sight(m2, sky, out), sky, out)
            for _ in range(_FINE if found[k] > _CLOSE else _COARSE):
                found[k] = max(found[k], c1, c2)
                if c1 > c2:
                    b, m2, c2 = m2, m1, c1
                    m1 = b - _GOLDEN * (b - a)
                    c1 = _cosine(m1 - top, bodies[k], sight(m1, sky, out), sky, out)
                else:
                    a, m1, c1 = m1, m2, c2
                    m2 = a + _GOLDEN * (b - a)
                    c2 = _cosine(m2 - top, bodies[k], sight(m2, sky, out), sky, out)
            found[k] = max(found[k], c1, c2)


@njit(cache=True, error_model='numpy')
def _cosine(since_s: float, body: FloatArray, rho: float, sky: Nodes, line: FloatArray) -> float:
    """Cosine of the angle of a line of sight and a body, whose place was known `since_s` before; -1: it is not up."""
    turn = EARTH_RATE_RAD_S * since_s
    half = turn * turn / 2  # of a pass of half an hour: the next terms are 1e-5
    c, s = (1 - half, turn - turn * half / 3) if abs(turn) < _SMALL_TURN else (cos(turn), sin(turn))
    x, y, z = c * body[0] + s * body[1], c * body[1] - s * body[0], body[2]
    if sky.enu[2, 0] * x + sky.enu[2, 1] * y + sky.enu[2, 2] * z < _RISEN:
        return -1.0
    return float((line[0] * x + line[1] * y + line[2] * z) / rho)


@njit(cache=True, error_model='numpy')
def _nodes(sky: Nodes) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """At all nodes: sine of the elevation, its derivative, and what tells how far the satellite is from being seen.

    That is the cosine of the angle between satellite and site at the Earth's centre, and the satellite's angular speed.
    """
    n = sky.r.shape[1]
    f, g, psi, turn = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    x, y, z = sky.r[0], sky.r[1], sky.r[2]
    vx, vy, vz = sky.v[0], sky.v[1], sky.v[2]
    sx, sy, sz = sky.site[0], sky.site[1], sky.site[2]
    ux, uy, uz = sky.enu[2, 0], sky.enu[2, 1], sky.enu[2, 2]
    size = sqrt(sx * sx + sy * sy + sz * sz)
    for k in range(n):
        gx, gy, gz = x[k] - sx, y[k] - sy, z[k] - sz
        inverse = 1 / sqrt(gx * gx + gy * gy + gz * gz)
        sine = (ux * gx + uy * gy + uz * gz) * inverse
        along = (gx * vx[k] + gy * vy[k] + gz * vz[k]) * inverse
        f[k] = sine
        g[k] = (ux * vx[k] + uy * vy[k] + uz * vz[k] - sine * along) * inverse
        psi[k] = (x[k] * sx + y[k] * sy + z[k] * sz) / (sky.radius[k] * size)
        turn[k] = sqrt(vx[k] * vx[k] + vy[k] * vy[k] + vz[k] * vz[k]) / sky.radius[k]
    return f, g, psi, turn


@njit(cache=True, error_model='numpy')
def _slope(t: float, sky: Nodes, out: FloatArray) -> float:
    return float(sine_at(t + _SLOPE_S, sky, out) - sine_at(t - _SLOPE_S, sky, out))


@njit(cache=True, error_model='numpy')
def _level_slope(ta: float, tb: float, ga: float, sky: Nodes, out: FloatArray) -> float:
    """Time between `ta` and `tb` at which the slope changes its sign; `ga` has the sign at `ta`."""
    rising = ga > 0
    ya, yb = _slope(ta, sky, out), _slope(tb, sky, out)
    side = 0
    for _ in range(60):
        if tb - ta < _TOP_S:
            break
        t = (ta + tb) / 2 if ya * yb >= 0 else (ta * yb - tb * ya) / (yb - ya)
        nearby = min(0.05 * (tb - ta), _TOP_S / 2)  # off the edge, so that the other edge moves too
        t = min(max(t, ta + nearby), tb - nearby)
        y = _slope(t, sky, out)
        if y == 0:
            return t
        if (y > 0) == rising:
            ta, ya = t, y
            if side == 1:
                yb *= 0.5
            side = 1
        else:
            tb, yb = t, y
            if side == -1:
                ya *= 0.5
            side = -1
    return (ta + tb) / 2


@njit(cache=True, error_model='numpy')
def _crossing(ta: float, tb: float, ya: float, yb: float, low: float, sky: Nodes, out: FloatArray) -> float:
    """Time between `ta` and `tb` at which the sine of the elevation is `low`; `ya`, `yb`: what it is above it there."""
    side = 0
    for _ in range(80):
        t = (ta * yb - tb * ya) / (yb - ya)
        if tb - ta < _EDGE_S or t <= ta or t >= tb:
            break
        y = sine_at(t, sky, out) - low
        if abs(y) < _SINE:
            return t
        if (y > 0) == (ya > 0):
            ta, ya = t, y
            if side == 1:
                yb *= 0.5
            side = 1
        else:
            tb, yb = t, y
            if side == -1:
                ya *= 0.5
            side = -1
    return min(max(t, ta), tb)
