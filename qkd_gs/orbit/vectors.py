"""Directions on the station's sky: east-north-up vectors, azimuth and elevation, and the polarization angle."""

from __future__ import annotations

from functools import lru_cache
from math import atan2, cos, hypot, pi, radians, sin

import numpy as np
from numpy.typing import ArrayLike
from skyfield.api import wgs84

from qkd_gs.arrays import FloatArray
from qkd_gs.settings.site import Site

_NOON_2000_NS = 946_728_000_000_000_000  # JD 2451545.0
_DAY_NS = 86_400_000_000_000


def enu_from_azel(az_rad: ArrayLike, el_rad: ArrayLike) -> FloatArray:
    """Unit vector (east, north, up), shape (..., 3), towards azimuth (north through east) and elevation."""
    az, el = np.broadcast_arrays(np.asarray(az_rad, dtype=float), np.asarray(el_rad, dtype=float))
    return np.stack((np.cos(el) * np.sin(az), np.cos(el) * np.cos(az), np.sin(el)), axis=-1)


def azel_from_enu(enu: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Azimuth in [0, 2 pi) and elevation of vectors (..., 3) of any length; full precision at the zenith too."""
    east, north, up = np.moveaxis(np.asarray(enu, dtype=float), -1, 0)
    az = np.arctan2(east, north) % (2 * np.pi)
    return np.where(az == 2 * np.pi, 0.0, az), np.arctan2(up, np.hypot(east, north))


def sky_axes(az_rad: float, el_rad: float) -> tuple[FloatArray, FloatArray]:
    """The two directions of a telescope's field as unit ENU vectors: towards growing azimuth, and up.

    An offset on the sky (rad) along them is (x: cross-elevation = azimuth times cos el, y: elevation).
    """
    across = np.array([cos(az_rad), -sin(az_rad), 0.0])
    up = np.array([-sin(el_rad) * sin(az_rad), -sin(el_rad) * cos(az_rad), cos(el_rad)])
    return across, up


def sky_offset(az_rad: float, el_rad: float, az_ref_rad: float, el_ref_rad: float) -> tuple[float, float]:
    """Offset (x cross-elevation, y elevation; rad) of one direction from a near reference, safe at the zenith."""
    turn = az_rad - az_ref_rad
    x = cos(el_rad) * sin(turn)
    y = sin(el_rad) * cos(el_ref_rad) - cos(el_rad) * sin(el_ref_rad) * cos(turn)
    depth = sin(el_rad) * sin(el_ref_rad) + cos(el_rad) * cos(el_ref_rad) * cos(turn)
    tangent = hypot(x, y)
    scale = atan2(tangent, depth) / tangent if tangent > 0 else 1.0
    return x * scale, y * scale


def polarization_angle(az_rad: float, el_rad: float, axis_enu: ArrayLike) -> float:
    """Angle of an axis (the satellite's H axis, say) in the telescope's field, rad in (-pi, pi].

    The axis, an ENU vector of any length, is projected across the line of sight; the angle runs from the
    telescope's horizontal (towards growing azimuth) towards its up, counter-clockwise seen against the light.
    """
    across, up = sky_axes(az_rad, el_rad)
    axis = np.asarray(axis_enu, dtype=float)
    return atan2(float(up @ axis), float(across @ axis))


def site_itrs_m(site: Site) -> FloatArray:
    """Position of a site in the Earth-fixed frame (ITRS), metres, shape (3,); WGS-84 ellipsoid."""
    return place_itrs_m(site.latitude_deg, site.longitude_deg, site.altitude_m)


def place_itrs_m(latitude_deg: float, longitude_deg: float, altitude_m: float) -> FloatArray:
    """Position of a place in the Earth-fixed frame (ITRS), metres, shape (3,); WGS-84 ellipsoid."""
    return _place_itrs_m(latitude_deg, longitude_deg, altitude_m).copy()


@lru_cache(maxsize=64)
def _place_itrs_m(latitude_deg: float, longitude_deg: float, altitude_m: float) -> FloatArray:
    position: FloatArray = wgs84.latlon(latitude_deg, longitude_deg, elevation_m=altitude_m).itrs_xyz.m
    return position


def enu_rotation(site: Site) -> FloatArray:
    """Matrix (3, 3) from Earth-fixed vectors to the site's east, north, up (the ellipsoid's normal)."""
    return enu_axes(site.latitude_deg, site.longitude_deg)


def enu_axes(latitude_deg: float, longitude_deg: float) -> FloatArray:
    """Unit vectors east, north and up of a place in the Earth-fixed frame, (3, 3), one a row."""
    lat, lon = radians(latitude_deg), radians(longitude_deg)
    return np.array(
        [
            [-sin(lon), cos(lon), 0.0],
            [-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat)],
            [cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)],
        ]
    )


def horizon_rotation(site: Site, t_ns: int) -> FloatArray:
    """Matrix (3, 3) from celestial vectors to east, north, up, by the Earth rotation angle (IERS 2010, eq. 5.15).

    Precession and nutation are left out (0.3 deg since 2000), UTC is taken as UT1.
    """
    days = (t_ns - _NOON_2000_NS) / _DAY_NS
    turn = 2 * pi * ((0.7790572732640 + 0.00273781191135448 * days + days % 1.0) % 1.0) + radians(site.longitude_deg)
    s, c = sin(turn), cos(turn)
    sp, cp = sin(radians(site.latitude_deg)), cos(radians(site.latitude_deg))
    return np.array([[-s, c, 0.0], [-sp * c, -sp * s, cp], [cp * c, cp * s, sp]])
