"""Distance of a planned path from the Sun: the pass itself, and the slews before and after it."""

from __future__ import annotations

from collections.abc import Callable
from math import degrees, pi, radians

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.pointing.slew import Slew

SunPlace = Callable[[IntArray], tuple[FloatArray, FloatArray]]  # t_ns (n,) -> apparent azimuth and elevation, rad

_STEP_NS = 10_000_000_000  # the Sun moves 0.04 deg meanwhile
_DOWN_RAD = radians(-1)  # refraction and the disc's radius: below this no sunlight reaches the telescope


def nearest_sun_of_pass(target: TargetState[FloatArray], sun: SunPlace, exclusion_rad: float) -> float:
    """Smallest angle between the satellite and the Sun while that is up, rad; pi if it never is.

    Raises
    ------
    StationError
        It is below `exclusion_rad`.
    """
    return _nearest(
        np.asarray(target.t_ns, dtype=np.int64), target.az_rad, target.el_rad, sun, exclusion_rad, 'the line of sight',
        'end the pass earlier, or choose another',
    )  # fmt: skip


def nearest_sun_of_slew(
    path: Slew, start_ns: int, model: MountModel, sun: SunPlace, exclusion_rad: float, which: str
) -> float:
    """The same of a slew that starts at `start_ns`; `which` names it in the message."""
    az, el, _ = model.line_of_sight(path.az_rad, path.el_rad)
    t_ns = start_ns + np.rint(path.t_s * 1e9).astype(np.int64)
    return _nearest(
        t_ns, az, el, sun, exclusion_rad, which, 'park elsewhere (mount.park_az_deg), or choose another pass'
    )


def _nearest(
    t_ns: IntArray, az: FloatArray, el: FloatArray, sun: SunPlace, exclusion_rad: float, what: str, way_out: str
) -> float:
    knots = np.linspace(0, len(t_ns) - 1, max(int((t_ns[-1] - t_ns[0]) // _STEP_NS), 1) + 1).astype(int)
    knot_az, knot_el = sun(t_ns[knots])
    sun_az = np.interp(np.arange(len(t_ns)), knots, np.unwrap(knot_az))
    sun_el = np.interp(np.arange(len(t_ns)), knots, knot_el)
    away = np.where(sun_el > _DOWN_RAD, separation(az, el, sun_az, sun_el), pi)
    k = int(np.argmin(away))
    if away[k] < exclusion_rad:
        raise StationError(
            f'{what} comes within {degrees(away[k]):.1f} deg of the Sun at {format_utc(int(t_ns[k]))}',
            where='sun.exclusion_deg',
            hint=f'at least {degrees(exclusion_rad):g} deg must remain: {way_out}',
        )
    return float(away[k])
