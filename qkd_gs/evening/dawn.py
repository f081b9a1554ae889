"""Begin and end of the night."""

from __future__ import annotations

from math import radians

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.passes import Limits
from qkd_gs.orbit.sky import sun_azel
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.settings.site import Site

_STEP_NS = 60 * 10**9
_DAY = 1440  # steps


def next_dawn_ns(site: Site, now_ns: int, sun_rad: float = radians(Limits.sun_elevation_deg)) -> int:
    """UTC of the next time at which the rising Sun passes an elevation, to a minute.

    Raises
    ------
    StationError
        It does not within a day: a summer or winter near the pole.
    """
    t_ns, el = _coming_day(site, now_ns)
    rising = np.flatnonzero((el[1:] >= sun_rad) & (el[:-1] < sun_rad))
    if not rising.size:
        raise StationError(f'no dawn within a day of {format_utc(now_ns, 0)}', where=site.name, hint='say until when')
    return int(t_ns[rising[0] + 1])


def dark_from_ns(site: Site, now_ns: int, sun_rad: float = radians(Limits.sun_elevation_deg)) -> int:
    """UTC from which the sky is dark, to a minute; `now_ns` itself at night.

    Raises
    ------
    StationError
        It is not within a day: a summer near the pole.
    """
    t_ns, el = _coming_day(site, now_ns)
    dark = np.flatnonzero(el < sun_rad)
    if not dark.size:
        raise StationError(f'the sky is not dark within a day of {format_utc(now_ns, 0)}', where=site.name)
    return int(t_ns[dark[0]])


def _coming_day(site: Site, now_ns: int) -> tuple[IntArray, FloatArray]:
    """Times, a minute apart, and the elevation of the Sun, rad."""
    t_ns = now_ns + _STEP_NS * np.arange(_DAY + 1, dtype=np.int64)
    return t_ns, sun_azel(site, t_ns)[1]
