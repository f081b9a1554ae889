"""Compiled search of passes: the intervals above an elevation, their extrema and crossings."""

from __future__ import annotations

from math import acos, asin, cos, pi, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.jit import njit
from qkd_gs.orbit.search.path_kernels import Nodes, motion, sine_and_slopes, sine_at

NO_RISE, NO_SET = 1, 2  # bits: the interval is cut by the first or last node
_TOP_S = 1e-3
_SHIFT_S = 0.02  # of the last of Newton's steps, whose error goes with its square
_NEVER = 0.02  # of the cosine: room for the secant steps
_EDGE_S = 1e-6
_SINE = 1e-9  # some microseconds of a low satellite


@njit(cache=True, error_model='numpy')
def find(sky: Nodes, low: float) -> tuple[FloatArray, IntArray]:
    """Intervals above the sine `low` of elevation: rise, culmination, set (n, 3), s, and the bits of what is cut."""
    n = sky.r.shape[1]
    found = np.empty((n + 2, 3))
    bits = np.zeros(n + 2, np.int64)
    count = 0
    out, state = np.empty(3), np.empty((3, 3))
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
                te = _top(k, cos(widest), g0, sky, state)
        elif g0 < 0 and g1 >= 0 and f0 > low and f1 > low:
            te = _level_slope(t0, t1, g0, sky, state)
        if te > t0:
            fe = sine_at(te, sky, out)
        for half in range(2):
            ta, fa, tb, fb = (t0, f0, te, fe) if half == 0 else (te, fe, t1, f1)
            if tb <= ta:
                continue
            if fa <= low < fb:
                rise = _crossing(ta, tb, fa - low, fb - low, low, sky, state)
                up, top, best, cut = True, rise, low, 0
            if up and fb > best:
                top, best = tb, fb
            if fa > low >= fb and up:
                found[count, 0], found[count, 1] = rise, top
                found[count, 2] = _crossing(ta, tb, fa - low, fb - low, low, sky, state)
                bits[count] = cut
                count += 1
                up = False
    if up:
        found[count, 0], found[count, 1], found[count, 2] = rise, top, (n - 1) * sky.step
        bits[count] = cut | NO_SET
        count += 1
    return found[:count].copy(), bits[:count].copy()


@njit(cache=True, error_model='numpy', forceinline=True)
def _top(k: int, widest: float, g0: float, sky: Nodes, out: FloatArray) -> float:
    """Time of the largest elevation after node `k`; that of the node if the satellite stays too far to be seen.

    The angle to the site at the Earth's centre is smooth in time: two secant steps come within seconds of its smallest
    value, from where Newton's method goes to the top of the elevation, which can be sharp.
    """
    t0, t1 = k * sky.step, (k + 1) * sky.step
    for i in range(3):
        out[0, i], out[1, i] = sky.r[i, k] - sky.site[i], sky.v[i, k]
    ta, ya = t0, _closeness(sky, out)[1]
    for i in range(3):
        out[0, i], out[1, i] = sky.r[i, k + 1] - sky.site[i], sky.v[i, k + 1]
    tb, yb = t1, _closeness(sky, out)[1]
    t = (ta + tb) / 2
    if ya > 0 > yb:
        for _ in range(2):
            t = (ta * yb - tb * ya) / (yb - ya)
            motion(t, sky, out)
            near, y = _closeness(sky, out)
            if near < widest - _NEVER:
                return t0
            if y > 0:
                ta, ya = t, y
            else:
                tb, yb = t, y
        t = (ta * yb - tb * ya) / (yb - ya)
    for _ in range(8):
        _, slope, bend = sine_and_slopes(t, sky, out)
        if bend >= 0:
            break
        shift = -slope / bend
        t += shift
        if t < t0 or t > t1:
            break
        if abs(shift) < _SHIFT_S:
            return float(t)
    return float(_level_slope(t0, t1, g0, sky, out))


@njit(cache=True, error_model='numpy', forceinline=True)
def _closeness(sky: Nodes, line: FloatArray) -> tuple[float, float]:
    """Cosine of the angle between satellite and site at the Earth's centre, and its derivative.

    `line`: vector from the site to the satellite, and its derivative.
    """
    square, dot, size, radial, rate = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(3):
        x = sky.site[i] + line[0, i]
        square += x * x
        dot += x * sky.site[i]
        size += sky.site[i] * sky.site[i]
        radial += x * line[1, i]
        rate += line[1, i] * sky.site[i]
    inverse = 1 / sqrt(square * size)
    return dot * inverse, (rate - dot * radial / square) * inverse


@njit(cache=True, error_model='numpy')
def highest(ta: float, tb: float, sky: Nodes) -> float:
    """Time of the largest elevation from `ta` to `tb`."""
    out, state = np.empty(3), np.empty((3, 3))
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
    ga, gb = _slope(a, sky, state), _slope(b, sky, state)
    if ga > 0 > gb:
        te = _level_slope(a, b, ga, sky, state)
        if sine_at(te, sky, out) > best:
            top = te
    return top


@njit(cache=True, error_model='numpy')
def crossings(arcs: FloatArray, lows: FloatArray, sky: Nodes) -> FloatArray:
    """Times (n, m, 2) at which each interval (rise, culmination, set) passes each sine `lows` (m,), else NaN."""
    times = np.full((arcs.shape[0], lows.size, 2), np.nan)
    out, state = np.empty(3), np.empty((3, 3))
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
                times[i, j, 0] = _crossing(rise, top, f_rise - low, f_top - low, low, sky, state)
            if f_down < low:
                times[i, j, 1] = _crossing(top, down, f_top - low, f_down - low, low, sky, state)
    return times


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


@njit(cache=True, error_model='numpy', forceinline=True)
def _slope(t: float, sky: Nodes, out: FloatArray) -> float:
    return float(sine_and_slopes(t, sky, out)[1])


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


@njit(cache=True, error_model='numpy', forceinline=True)
def _crossing(ta: float, tb: float, ya: float, yb: float, low: float, sky: Nodes, out: FloatArray) -> float:
    """Time between `ta` and `tb` at which the sine of the elevation is `low`; `ya`, `yb`: what it is above it there.

    Halley's method, and bisection where it leaves the interval.
    """
    t = (ta * yb - tb * ya) / (yb - ya)
    for _ in range(80):
        if tb - ta < _EDGE_S or t <= ta or t >= tb:
            break
        f, slope, bend = sine_and_slopes(t, sky, out)
        y = f - low
        if abs(y) < _SINE:
            return t
        if (y > 0) == (ya > 0):
            ta = t
        else:
            tb = t
        t -= 2 * y * slope / (2 * slope * slope - y * bend)
        if not ta < t < tb:
            t = (ta + tb) / 2
    return min(max(t, ta), tb)
