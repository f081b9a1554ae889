"""The mount's geometry as compiled scalar functions; the terms are defined in `mount_model.py`.

Directions are unit vectors (east, north, up); "axes" are the mechanical angles behind the encoders'
zero points and eccentricities.  `p` holds the terms in the order of `mount_model.TERMS`, radians.
"""

from __future__ import annotations

from math import atan2, cos, floor, hypot, pi, sin, sqrt

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit

IA, IE, AN, AW, NPAE, CA, TF, ACES, ACEC, ECES, ECEC = range(11)
UNREACHABLE = 1e-9  # cosine of axis elevation below which the azimuth is free: the cone that CA and NPAE leave


@njit(cache=True)
def turn_near(angle: float, reference: float) -> float:
    """`angle` plus the multiple of 2 pi that brings it within pi of `reference`."""
    return angle + 2 * pi * floor((reference - angle) / (2 * pi) + 0.5)


@njit(cache=True)
def lean(east: float, north: float, up: float, an: float, aw: float, sign: float) -> tuple[float, float, float]:
    """Rotate a vector from the horizontal frame into that of the tilted azimuth axis (sign +1) or back (-1).

    A single rotation about the horizontal line perpendicular to the tilt, so AN and AW need no order.
    """
    tilt = hypot(an, aw)
    if tilt == 0.0:
        return east, north, up
    to_east, to_north = -aw / tilt, an / tilt
    along = east * to_east + north * to_north
    change = -2 * sin(tilt / 2) ** 2 * along - sign * sin(tilt) * up
    return east + change * to_east, north + change * to_north, up * cos(tilt) + sign * along * sin(tilt)


@njit(cache=True)
def encode(
    az: float, el: float, az1: float, el1: float, az2: float, el2: float, p: FloatArray
) -> tuple[float, float, float, float, float, float]:
    """Encoder angles, rates and accelerations that put the line of sight on a moving apparent direction.

    Every quantity is carried with its first (1) and second (2) derivative in time.  The solution keeps the
    side: elevation beyond 90 deg stays over the top.  Where the line of sight cannot reach (closer to the
    azimuth axis than CA and NPAE allow) the elevation axis stands at 90 deg and the rates are zero.
    """
    side = 1.0 if cos(el) >= 0 else -1.0
    # flexure: the tube hangs, so aim higher
    slope = 1 - p[TF] * sin(el)
    e0, e1, e2 = el + p[TF] * cos(el), el1 * slope, el2 * slope - p[TF] * cos(el) * el1**2
    # direction
    sa, ca, h, u = sin(az), cos(az), cos(e0), sin(e0)
    h1, h2 = -u * e1, -u * e2 - h * e1**2
    u1, u2 = h * e1, h * e2 - u * e1**2
    x, y = h * sa, h * ca
    x1, y1 = h1 * sa + h * ca * az1, h1 * ca - h * sa * az1
    x2 = h2 * sa + 2 * h1 * ca * az1 + h * (ca * az2 - sa * az1**2)
    y2 = h2 * ca - 2 * h1 * sa * az1 - h * (sa * az2 + ca * az1**2)
    x, y, u = lean(x, y, u, p[AN], p[AW], 1.0)
    x1, y1, u1 = lean(x1, y1, u1, p[AN], p[AW], 1.0)
    x2, y2, u2 = lean(x2, y2, u2, p[AN], p[AW], 1.0)
    # elevation axis: s is its sine; r is the part of the sight line along it, f along the forward horizontal
    sc, cc, sp, cp = sin(p[CA]), cos(p[CA]), sin(p[NPAE]), cos(p[NPAE])
    s, s1, s2 = (u + sc * sp) / (cc * cp), u1 / (cc * cp), u2 / (cc * cp)
    r, r1, r2 = -sc * cp - cc * sp * s, -cc * sp * s1, -cc * sp * s2
    across = hypot(x, y)
    f = side * sqrt(max((across - abs(r)) * (across + abs(r)), 0.0))  # exact where 1 - s^2 would lose digits
    c = f / cc
    E = atan2(s, c)
    A = turn_near(atan2(x, y) - atan2(r, f), az)
    A1 = A2 = E1 = E2 = 0.0
    if abs(c) > UNREACHABLE:
        E1 = s1 / c
        E2 = (s2 + s * E1**2) / c
        f1, f2 = -cc * s * E1, -cc * (s * E2 + c * E1**2)
        w = across**2
        g1 = (y * x1 - x * y1) / w
        g2 = (y * x2 - x * y2) / w - 2 * g1 * (x * x1 + y * y1) / w
        b1 = (f * r1 - r * f1) / w
        b2 = (f * r2 - r * f2) / w - 2 * b1 * (f * f1 + r * r1) / w
        A1, A2 = g1 - b1, g2 - b2
    sA, cA, sE, cE = sin(A), cos(A), sin(E), cos(E)
    kA, kE = 1 + p[ACES] * cA - p[ACEC] * sA, 1 + p[ECES] * cE - p[ECEC] * sE
    return (
        A + p[IA] + p[ACES] * sA + p[ACEC] * cA,
        E + p[IE] + p[ECES] * sE + p[ECEC] * cE,
        A1 * kA,
        E1 * kE,
        A2 * kA - A1**2 * (p[ACES] * sA + p[ACEC] * cA),
        E2 * kE - E1**2 * (p[ECES] * sE + p[ECEC] * cE),
    )


@njit(cache=True)
def axis_angle(reading: float, zero: float, es: float, ec: float) -> float:
    """Mechanical angle behind an encoder reading: Newton on reading = a + zero + es sin a + ec cos a."""
    a = reading - zero
    for _ in range(4):  # eccentricities of 1e-2 would still converge to rounding
        a -= (a + zero + es * sin(a) + ec * cos(a) - reading) / (1 + es * cos(a) - ec * sin(a))
    return a


@njit(cache=True)
def tube_vector(A: float, E: float, along: float, right: float, up: float, p: FloatArray) -> tuple[float, float, float]:
    """Direction in the horizontal frame, without flexure, of a tube vector: along the line of sight, right, up."""
    sc, cc, sp, cp = sin(p[CA]), cos(p[CA]), sin(p[NPAE]), cos(p[NPAE])
    a, r = along * cc + right * sc, right * cc - along * sc
    f, u = a * cos(E) - up * sin(E), a * sin(E) + up * cos(E)
    r, u = r * cp - u * sp, r * sp + u * cp
    vector: tuple[float, float, float] = lean(f * sin(A) + r * cos(A), f * cos(A) - r * sin(A), u, p[AN], p[AW], -1.0)
    return vector


@njit(cache=True)
def decode(enc_az: float, enc_el: float, x: float, y: float, p: FloatArray) -> tuple[float, float, float]:
    """Apparent azimuth and elevation of a pixel at (x, y) from the line of sight, and the roll of the image there.

    Azimuth comes within half a turn of the axis angle; over the top (axis elevation beyond 90 deg) the
    elevation is given beyond 90 deg.  Roll: from the sky's horizontal to the tube's, towards up.
    """
    A = axis_angle(enc_az, p[IA], p[ACES], p[ACEC])
    E = axis_angle(enc_el, p[IE], p[ECES], p[ECEC])
    n = sqrt(1 + x * x + y * y)
    east, north, up = tube_vector(A, E, 1 / n, x / n, y / n, p)
    az, el = atan2(east, north), atan2(up, hypot(east, north))
    if cos(E) < 0:
        az, el = az + pi, pi - el
    az = turn_near(az, A)
    to_east, to_north, to_up = tube_vector(A, E, 0.0, 1.0, 0.0, p)
    right = to_east * cos(az) - to_north * sin(az)
    above = -sin(el) * (to_east * sin(az) + to_north * cos(az)) + cos(el) * to_up
    hanging = el
    for _ in range(4):
        el -= (el + p[TF] * cos(el) - hanging) / (1 - p[TF] * sin(el))
    return float(az), float(el), float(atan2(above, right))


@njit(cache=True)
def roll_and_turn(
    az: float, el: float, az1: float, el1: float, az2: float, el2: float, step_s: float, p: FloatArray
) -> tuple[float, float]:
    """Roll of a moving tube, and how far it turns from `step_s` before to `step_s` after.

    Encoder angles with rates (1) and accelerations (2).
    """
    half = step_s * step_s / 2
    _, _, roll = decode(az, el, 0.0, 0.0, p)
    _, _, ahead = decode(az + az1 * step_s + az2 * half, el + el1 * step_s + el2 * half, 0.0, 0.0, p)
    _, _, behind = decode(az - az1 * step_s + az2 * half, el - el1 * step_s + el2 * half, 0.0, 0.0, p)
    return roll, atan2(sin(ahead - behind), cos(ahead - behind))


@njit(cache=True)
def encode_all(motion: FloatArray, p: FloatArray, out: FloatArray) -> None:
    """`encode` for the columns of `motion` (6, n) into `out` (6, n)."""
    for i in range(motion.shape[1]):
        m = motion[:, i]
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i], out[5, i] = encode(m[0], m[1], m[2], m[3], m[4], m[5], p)


@njit(cache=True)
def decode_all(readings: FloatArray, p: FloatArray, out: FloatArray) -> None:
    """`decode` for the columns (azimuth, elevation, x, y) of `readings` (4, n) into `out` (3, n)."""
    for i in range(readings.shape[1]):
        r = readings[:, i]
        out[0, i], out[1, i], out[2, i] = decode(r[0], r[1], r[2], r[3], p)
