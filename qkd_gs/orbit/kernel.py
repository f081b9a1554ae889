"""Apparent place of the satellite from tabulated positions: the compiled inner loop of `Trajectory`.

Frame Q is the Earth-fixed frame of the rotation pole (TIRS) stopped at the trajectory's epoch: inertial to
0.01 urad over a pass.  Positions are tabulated in it, so a satellite that runs ahead of its elements is taken
from a later row while the Earth stays where it is.
"""

from __future__ import annotations

from math import atan2, cos, floor, pi, sin, sqrt

import numpy as np
from numba import njit

C_M_S = 299792458.0
EARTH_RATE_RAD_S = 7.292115146706979e-5
COLUMNS = 11  # az, el, their rates, their accelerations, range, range rate, light-time, frame angle, its rate


@njit(cache=True)
def state(t, bias_s, cross_m, first_s, step_s, pieces, site, enu, bend, offset, air_first, air_step, out):
    """Apparent state at `t` (s after the epoch) into `out` (COLUMNS,); False where the table does not reach.

    `pieces` (8, n, 3): positions in Q as polynomials of degree 7, highest power first, from `first_s` every
    `step_s`.  `site` (3,): the station in TIRS; `enu` (3, 3): TIRS to east-north-up.  `bend`, `offset` (4, m):
    the two curves of `Refraction`.
    """
    w = EARTH_RATE_RAD_S
    c, s = cos(w * t), sin(w * t)
    sx, sy, sz = c * site[0] - s * site[1], s * site[0] + c * site[1], site[2]
    svx, svy = -w * sy, w * sx  # velocity and acceleration of the station
    sax, say = -w * w * sx, -w * w * sy

    # where the light that arrives at t has left: contracts by v/c = 2.5e-5 a round
    light_s = 0.0
    r = np.empty(3)
    v = np.empty(3)
    a = np.empty(3)
    for _ in range(4):
        if not _position(t - light_s + bias_s, cross_m, first_s, step_s, pieces, r, v, a):
            return False
        px, py, pz = r[0] - sx, r[1] - sy, r[2] - sz
        light_s = sqrt(px * px + py * py + pz * pz) / C_M_S
    rho = light_s * C_M_S

    # derivatives by arrival time: emission time runs as 1 - light', so p' = v (1 - light') - v_site
    ux, uy, uz = px / rho, py / rho, pz / rho
    stretch = 1 + (ux * v[0] + uy * v[1] + uz * v[2]) / C_M_S
    rho1 = (ux * (v[0] - svx) + uy * (v[1] - svy) + uz * v[2]) / stretch
    f = 1 - rho1 / C_M_S
    p1x, p1y, p1z = v[0] * f - svx, v[1] * f - svy, v[2] * f
    gx, gy, gz = a[0] * f * f - sax, a[1] * f * f - say, a[2] * f * f
    across2 = (p1x * p1x + p1y * p1y + p1z * p1z - rho1 * rho1) / rho
    rho2 = (across2 + ux * gx + uy * gy + uz * gz) / stretch
    g = rho2 / C_M_S
    p2x, p2y, p2z = gx - v[0] * g, gy - v[1] * g, gz - v[2] * g

    # diurnal aberration: the direction leans by v_site / c (to first order; the next is 1e-12)
    b, b1, b2 = rho / C_M_S, rho1 / C_M_S, rho2 / C_M_S
    jx, jy = -w * w * svx, -w * w * svy
    qx, qy, qz = px + b * svx, py + b * svy, pz
    q1x, q1y, q1z = p1x + b1 * svx + b * sax, p1y + b1 * svy + b * say, p1z
    q2x = p2x + b2 * svx + 2 * b1 * sax + b * jx
    q2y = p2y + b2 * svy + 2 * b1 * say + b * jy

    # into the turning frame: x' - w x x, x'' - 2 w x x' + w x (w x x)
    d1x, d1y = q1x + w * qy, q1y - w * qx
    d2x, d2y = q2x + 2 * w * q1y - w * w * qx, q2y - 2 * w * q1x - w * w * qy
    e, n, u = _to_enu(enu, c * qx + s * qy, c * qy - s * qx, qz)
    e1, n1, u1 = _to_enu(enu, c * d1x + s * d1y, c * d1y - s * d1x, q1z)
    e2, n2, u2 = _to_enu(enu, c * d2x + s * d2y, c * d2y - s * d2x, p2z)

    h2 = max(e * e + n * n, 1e-12)
    h = sqrt(h2)
    az = atan2(e, n)
    az1 = (n * e1 - e * n1) / h2
    az2 = (n * e2 - e * n2) / h2 - 2 * az1 * (e * e1 + n * n1) / h2
    h1 = (e * e1 + n * n1) / h
    hh2 = (e1 * e1 + n1 * n1 + e * e2 + n * n2 - h1 * h1) / h
    d2 = h2 + u * u
    el = atan2(u, h)
    el1 = (h * u1 - u * h1) / d2
    el2 = (h * u2 - u * hh2) / d2 - 2 * el1 * (h * h1 + u * u1) / d2

    out[9], out[10] = _frame(r, v, a, c, s, enu, az, az1, el, el1)

    # refraction: first the near satellite's part, then the bending
    o, o1, o2 = _curve(el, offset, air_first, air_step)
    far = el - o / rho
    k1 = o1 * el1
    far1 = el1 - k1 / rho + o * rho1 / (rho * rho)
    k2 = o2 * el1 * el1 + o1 * el2
    far2 = el2 - k2 / rho + (2 * k1 * rho1 + o * rho2) / (rho * rho) - 2 * o * rho1 * rho1 / (rho * rho * rho)
    o, o1, o2 = _curve(far, bend, air_first, air_step)
    out[0] = az
    out[1] = far + o
    out[2] = az1
    out[3] = far1 * (1 + o1)
    out[4] = az2
    out[5] = far2 * (1 + o1) + o2 * far1 * far1
    out[6] = rho
    out[7] = rho1
    out[8] = light_s
    return True


@njit(cache=True)
def states(t, bias_s, cross_m, first_s, step_s, pieces, site, enu, bend, offset, air_first, air_step, out):
    """`state` for many times: `t` (n,), `out` (n, COLUMNS); returns how many rows were reached."""
    for i in range(t.size):
        if not state(
            t[i], bias_s, cross_m, first_s, step_s, pieces, site, enu, bend, offset, air_first, air_step, out[i]
        ):
            return i
    return t.size


@njit(cache=True)
def unwrap(angle, reference):
    """The value of `angle` (rad, known modulo a turn) nearest to `reference`."""
    return angle + 2 * pi * floor((reference - angle) / (2 * pi) + 0.5)


@njit(cache=True)
def add_polynomial_ps(time_ps, sign, first_s, step_s, pieces):
    """`time_ps` (n,) plus or minus a delay, all integer ps; the delay (s) is piecewise of degree 7, `pieces` (8, m)."""
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
def _position(tau, cross_m, first_s, step_s, pieces, r, v, a):
    """Position, velocity and acceleration in Q at `tau`, moved by `cross_m` along the orbit normal."""
    k = floor((tau - first_s) / step_s)
    if k < 0 or k >= pieces.shape[1]:
        return False
    x = tau - first_s - k * step_s
    piece = pieces[:, int(k), :]
    for i in range(3):
        y, y1, y2 = piece[0, i], 0.0, 0.0
        for j in range(1, 8):  # Horner for the value and two derivatives (y2: half the second)
            y2 = y2 * x + y1
            y1 = y1 * x + y
            y = y * x + piece[j, i]
        r[i], v[i], a[i] = y, y1, 2 * y2
    if cross_m != 0.0:
        nx, ny, nz, n1x, n1y, n1z = _normal(r, v, a)
        r[0] += cross_m * nx
        r[1] += cross_m * ny
        r[2] += cross_m * nz
        v[0] += cross_m * n1x
        v[1] += cross_m * n1y
        v[2] += cross_m * n1z
    return True


@njit(cache=True)
def _normal(r, v, a):
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
def _frame(r, v, a, c, s, enu, az, az1, el, el1):
    """Angle of the orbit normal from the telescope's horizontal towards its up, and its rate.

    Taken across the unrefracted line of sight: refraction carries the polarization along with the ray, in the
    vertical plane, so the angle to the vertical stays.
    """
    w = EARTH_RATE_RAD_S
    nx, ny, nz, n1x, n1y, n1z = _normal(r, v, a)
    n1x, n1y = n1x + w * ny, n1y - w * nx
    e, n, u = _to_enu(enu, c * nx + s * ny, c * ny - s * nx, nz)
    e1, n1, u1 = _to_enu(enu, c * n1x + s * n1y, c * n1y - s * n1x, n1z)
    ca, sa, ce, se = cos(az), sin(az), cos(el), sin(el)
    x = e * ca - n * sa  # along growing azimuth
    k = e * sa + n * ca  # along the horizontal projection of the line of sight
    y = ce * u - se * k  # along growing elevation
    x1 = e1 * ca - n1 * sa - az1 * k
    k1 = e1 * sa + n1 * ca + az1 * x
    y1 = ce * u1 - se * k1 - el1 * (se * u + ce * k)
    return atan2(y, x), (x * y1 - y * x1) / max(x * x + y * y, 1e-30)


@njit(cache=True)
def _to_enu(enu, x, y, z):
    return (
        enu[0, 0] * x + enu[0, 1] * y + enu[0, 2] * z,
        enu[1, 0] * x + enu[1, 1] * y + enu[1, 2] * z,
        enu[2, 0] * x + enu[2, 1] * y + enu[2, 2] * z,
    )


@njit(cache=True)
def _curve(x, pieces, first, step):
    """Value and two derivatives of a cubic curve on a uniform grid."""
    k = min(max(int((x - first) / step), 0), pieces.shape[1] - 1)
    u = x - first - k * step
    c0, c1, c2, c3 = pieces[0, k], pieces[1, k], pieces[2, k], pieces[3, k]
    return ((c0 * u + c1) * u + c2) * u + c3, (3 * c0 * u + 2 * c1) * u + c2, 6 * c0 * u + 2 * c1
