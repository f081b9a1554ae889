"""Apparent place of the satellite from tabulated positions: the compiled inner loop of `Trajectory`.

Frame Q is the Earth-fixed frame of the rotation pole (TIRS) stopped at the trajectory's epoch: inertial to
0.01 urad over a pass.  Positions are tabulated in it, so a satellite that runs ahead of its elements is taken
from a later row while the Earth stays where it is.
"""

from __future__ import annotations

from math import atan2, cos, floor, pi, sin, sqrt
from typing import Any, NamedTuple

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.jit import njit

C_M_S = 299792458.0
EARTH_RATE_RAD_S = 7.292115146706979e-5
COLUMNS = 11  # az, el, their rates, their accelerations, range, range rate, light-time, polarization angle, its rate


class Tables(NamedTuple):
    """Everything that `state` reads."""

    first_s: float  # start of the first piece, s after the epoch
    step_s: float  # length of a piece
    pieces: FloatArray  # (8, n, 3) m: positions in Q as polynomials of degree 7, highest power first
    site_m: FloatArray  # (3,) the station in TIRS
    enu: FloatArray  # (3, 3) from TIRS to east, north, up
    bending: FloatArray  # (4, m) the two curves of `Refraction`
    offset: FloatArray
    air_first_rad: float
    air_step_rad: float


@njit(cache=True)
def state(t: float, bias_s: float, cross_m: float, plain: tuple[Any, ...], out: FloatArray) -> bool:
    """Apparent state at `t` (s after the epoch) into `out` (COLUMNS,); False where the table does not reach.

    `plain` holds the fields of `Tables`: a named tuple takes numba longer to recognize than all the rest takes.
    """
    reached: bool = _state(t, bias_s, cross_m, Tables(*plain), out)
    return reached


@njit(cache=True)
def _state(t: float, bias_s: float, cross_m: float, tables: Tables, out: FloatArray) -> bool:
    r, v, a = np.empty(3), np.empty(3), np.empty(3)
    sight = np.empty((3, 3))
    reached, rho, rho1, rho2 = _line_of_sight(t, bias_s, cross_m, tables, r, v, a, sight)
    if not reached:
        return False
    _to_station(t, rho, rho1, rho2, tables, sight)
    az, az1, az2, el, el1, el2 = _angles(sight)
    out[9], out[10] = _polarization_angle(t, r, v, a, tables.enu, az, az1, el, el1)
    out[0], out[2], out[4] = az, az1, az2
    out[1], out[3], out[5] = _refract(el, el1, el2, rho, rho1, rho2, tables)
    out[6], out[7], out[8] = rho, rho1, rho / C_M_S
    return True


@njit(cache=True)
def states(t: FloatArray, bias_s: float, cross_m: float, tables: Tables, out: FloatArray) -> int:
    """The same for many times: `t` (n,), `out` (n, COLUMNS); returns how many rows were reached."""
    for i in range(t.size):
        if not _state(t[i], bias_s, cross_m, tables, out[i]):
            return i
    return t.size


@njit(cache=True)
def add_delay_ps(time_ps: IntArray, sign: int, first_s: float, step_s: float, pieces: FloatArray) -> IntArray:
    """`time_ps` (n,) plus or minus a delay, rounded to ps; the delay, s, is `pieces` (8, m) of degree 7."""
    out = np.empty_like(time_ps)
    last = pieces.shape[1] - 1
    for i in range(time_ps.size):
        t = time_ps[i] * 1e-12 - first_s
        k = min(max(int(t / step_s), 0), last)
        t -= k * step_s
        y = pieces[0, k]
        for j in range(1, 8):
            y = y * t + pieces[j, k]
        out[i] = time_ps[i] + sign * round(y * 1e12)
    return out


@njit(cache=True)
def _line_of_sight(
    t: float,
    bias_s: float,
    cross_m: float,
    tables: Tables,
    r: FloatArray,
    v: FloatArray,
    a: FloatArray,
    sight: FloatArray,
) -> tuple[bool, float, float, float]:
    """Vector from the station to where the light that arrives at `t` has left, in Q, with two derivatives.

    `sight` (3, 3) receives them as rows; the satellite's own position, velocity and acceleration go to `r`,
    `v`, `a`.  Returns whether the table reaches, the range and its two derivatives.
    """
    w = EARTH_RATE_RAD_S
    c, s = cos(w * t), sin(w * t)
    site = tables.site_m
    sx, sy, sz = c * site[0] - s * site[1], s * site[0] + c * site[1], site[2]
    px, py, pz, rho = 0.0, 0.0, 0.0, 0.0
    for _ in range(4):  # light-time: contracts by v/c = 2.5e-5 a round
        if not _position(t - rho / C_M_S + bias_s, cross_m, tables, r, v, a):
            return False, 0.0, 0.0, 0.0
        px, py, pz = r[0] - sx, r[1] - sy, r[2] - sz
        rho = sqrt(px * px + py * py + pz * pz)

    # by arrival time the emission runs as 1 - rho'/c, so p' = v (1 - rho'/c) - v_site
    ux, uy, uz = px / rho, py / rho, pz / rho
    stretch = 1 + (ux * v[0] + uy * v[1] + uz * v[2]) / C_M_S
    rho1 = (ux * (v[0] + w * sy) + uy * (v[1] - w * sx) + uz * v[2]) / stretch
    f = 1 - rho1 / C_M_S
    vx, vy, vz = v[0] * f + w * sy, v[1] * f - w * sx, v[2] * f
    ax, ay, az = a[0] * f * f + w * w * sx, a[1] * f * f + w * w * sy, a[2] * f * f
    turning = (vx * vx + vy * vy + vz * vz - rho1 * rho1) / rho
    rho2 = (turning + ux * ax + uy * ay + uz * az) / stretch
    g = rho2 / C_M_S
    sight[0, 0], sight[0, 1], sight[0, 2] = px, py, pz
    sight[1, 0], sight[1, 1], sight[1, 2] = vx, vy, vz
    sight[2, 0], sight[2, 1], sight[2, 2] = ax - v[0] * g, ay - v[1] * g, az - v[2] * g
    return True, rho, rho1, rho2


@njit(cache=True)
def _to_station(t: float, rho: float, rho1: float, rho2: float, tables: Tables, sight: FloatArray) -> None:
    """Turn `sight` (from Q) into east-north-up of the turning Earth, with the station's aberration.

    In the turning frame x' becomes x' - w x x, and x'' becomes x'' - 2 w x x' + w x (w x x); there the station's
    velocity is constant, and the direction leans towards it by v/c (first order; the next is 1e-12).
    """
    w = EARTH_RATE_RAD_S
    c, s = cos(w * t), sin(w * t)
    p, q, g = sight[0], sight[1], sight[2]
    gx = g[0] + 2 * w * q[1] - w * w * p[0]
    gy = g[1] - 2 * w * q[0] - w * w * p[1]
    qx, qy = q[0] + w * p[1], q[1] - w * p[0]
    lean_x, lean_y = -w * tables.site_m[1] / C_M_S, w * tables.site_m[0] / C_M_S
    enu = tables.enu
    for i, (x, y, z, k) in enumerate(((p[0], p[1], p[2], rho), (qx, qy, q[2], rho1), (gx, gy, g[2], rho2))):
        turned_x = c * x + s * y + k * lean_x
        turned_y = c * y - s * x + k * lean_y
        for j in range(3):
            sight[i, j] = enu[j, 0] * turned_x + enu[j, 1] * turned_y + enu[j, 2] * z


@njit(cache=True)
def _angles(sight: FloatArray) -> tuple[float, float, float, float, float, float]:
    """Azimuth, elevation (both with two derivatives) of an east-north-up vector (row 0) with its derivatives."""
    e, n, u = sight[0]
    e1, n1, u1 = sight[1]
    e2, n2, u2 = sight[2]
    h2 = max(e * e + n * n, 1e-12)  # m^2: in the very zenith azimuth is not defined, but must stay finite
    h = sqrt(h2)
    az1 = (n * e1 - e * n1) / h2
    az2 = (n * e2 - e * n2) / h2 - 2 * az1 * (e * e1 + n * n1) / h2
    h1 = (e * e1 + n * n1) / h
    hh2 = (e1 * e1 + n1 * n1 + e * e2 + n * n2 - h1 * h1) / h
    d2 = h2 + u * u
    el1 = (h * u1 - u * h1) / d2
    el2 = (h * u2 - u * hh2) / d2 - 2 * el1 * (h * h1 + u * u1) / d2
    return atan2(e, n), az1, az2, atan2(u, h), el1, el2


@njit(cache=True)
def _refract(
    el: float, el1: float, el2: float, rho: float, rho1: float, rho2: float, tables: Tables
) -> tuple[float, float, float]:
    """Apparent elevation with two derivatives: first the near satellite's part, then the bending."""
    o, slope, bend = curve(el, tables.offset, tables.air_first_rad, tables.air_step_rad)
    o1 = slope * el1
    o2 = bend * el1 * el1 + slope * el2
    far = el - o / rho
    far1 = el1 - (o1 - o * rho1 / rho) / rho
    far2 = el2 - (o2 - (2 * o1 * rho1 + o * rho2) / rho + 2 * o * rho1 * rho1 / (rho * rho)) / rho
    up, slope, bend = curve(far, tables.bending, tables.air_first_rad, tables.air_step_rad)
    return far + up, far1 * (1 + slope), far2 * (1 + slope) + bend * far1 * far1


@njit(cache=True)
def _position(tau: float, cross_m: float, tables: Tables, r: FloatArray, v: FloatArray, a: FloatArray) -> bool:
    """Position, velocity and acceleration in Q at `tau`, moved by `cross_m` along the orbit normal."""
    k = floor((tau - tables.first_s) / tables.step_s)
    if k < 0 or k >= tables.pieces.shape[1]:
        return False
    x = tau - tables.first_s - k * tables.step_s
    for i in range(3):
        y, y1, y2 = tables.pieces[0, k, i], 0.0, 0.0
        for j in range(1, 8):  # Horner for the value and two derivatives (y2: half the second)
            y2 = y2 * x + y1
            y1 = y1 * x + y
            y = y * x + tables.pieces[j, k, i]
        r[i], v[i], a[i] = y, y1, 2 * y2
    if cross_m != 0.0:
        nx, ny, nz, n1x, n1y, n1z = _normal(r, v, a)
        r[0], r[1], r[2] = r[0] + cross_m * nx, r[1] + cross_m * ny, r[2] + cross_m * nz
        v[0], v[1], v[2] = v[0] + cross_m * n1x, v[1] + cross_m * n1y, v[2] + cross_m * n1z
    return True


@njit(cache=True)
def _normal(r: FloatArray, v: FloatArray, a: FloatArray) -> tuple[float, float, float, float, float, float]:
    """Unit orbit normal r x v, and its rate (the plane's precession, 1e-7 rad/s)."""
    x, y, z = r[1] * v[2] - r[2] * v[1], r[2] * v[0] - r[0] * v[2], r[0] * v[1] - r[1] * v[0]
    size = sqrt(x * x + y * y + z * z)
    x, y, z = x / size, y / size, z / size
    tx = (r[1] * a[2] - r[2] * a[1]) / size
    ty = (r[2] * a[0] - r[0] * a[2]) / size
    tz = (r[0] * a[1] - r[1] * a[0]) / size
    along = tx * x + ty * y + tz * z
    return x, y, z, tx - along * x, ty - along * y, tz - along * z


@njit(cache=True)
def _polarization_angle(
    t: float,
    r: FloatArray,
    v: FloatArray,
    a: FloatArray,
    enu: FloatArray,
    az: float,
    az1: float,
    el: float,
    el1: float,
) -> tuple[float, float]:
    """Angle of the orbit normal from the telescope's horizontal towards its up, and its rate.

    Taken across the unrefracted line of sight: refraction carries the polarization along with the ray, in the
    vertical plane, so the angle to the vertical stays.
    """
    w = EARTH_RATE_RAD_S
    c, s = cos(w * t), sin(w * t)
    nx, ny, nz, n1x, n1y, n1z = _normal(r, v, a)
    n1x, n1y = n1x + w * ny, n1y - w * nx
    e, n, u = _turned(enu, c, s, nx, ny, nz)
    e1, n1, u1 = _turned(enu, c, s, n1x, n1y, n1z)
    ca, sa, ce, se = cos(az), sin(az), cos(el), sin(el)
    x = e * ca - n * sa  # along growing azimuth
    k = e * sa + n * ca  # along the horizontal projection of the line of sight
    y = ce * u - se * k  # along growing elevation
    x1 = e1 * ca - n1 * sa - az1 * k
    k1 = e1 * sa + n1 * ca + az1 * x
    y1 = ce * u1 - se * k1 - el1 * (se * u + ce * k)
    return atan2(y, x), (x * y1 - y * x1) / max(x * x + y * y, 1e-30)


@njit(cache=True)
def _turned(enu: FloatArray, c: float, s: float, x: float, y: float, z: float) -> tuple[float, float, float]:
    """East, north, up of a vector in Q when the Earth has turned by the angle of cosine `c`, sine `s`."""
    x, y = c * x + s * y, c * y - s * x
    return (
        enu[0, 0] * x + enu[0, 1] * y + enu[0, 2] * z,
        enu[1, 0] * x + enu[1, 1] * y + enu[1, 2] * z,
        enu[2, 0] * x + enu[2, 1] * y + enu[2, 2] * z,
    )


@njit(cache=True)
def curve(x: float, pieces: FloatArray, first: float, step: float) -> tuple[float, float, float]:
    """Value and two derivatives of a cubic curve on a uniform grid."""
    k = min(max(int((x - first) / step), 0), pieces.shape[1] - 1)
    u = x - first - k * step
    c0, c1, c2, c3 = pieces[0, k], pieces[1, k], pieces[2, k], pieces[3, k]
    return ((c0 * u + c1) * u + c2) * u + c3, (3 * c0 * u + 2 * c1) * u + c2, 6 * c0 * u + 2 * c1


def nearest_turn(angle: float, reference: float) -> float:
    """The value of `angle` (rad, known modulo a turn) nearest to `reference`."""
    return angle + 2 * pi * floor((reference - angle) / (2 * pi) + 0.5)
