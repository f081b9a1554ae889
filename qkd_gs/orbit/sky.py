"""Positions of Sun and Moon, and illumination of the satellite (JPL DE421, as installed)."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import skyfield_data
from scipy.interpolate import CubicSpline
from skyfield.api import load_file, wgs84
from skyfield.framelib import itrs
from skyfield.jpllib import SpiceKernel
from skyfield.nutationlib import iau2000b_radians
from skyfield.positionlib import Geocentric
from skyfield.timelib import Time
from skyfield.units import Distance

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S
from qkd_gs.orbit.refraction import site_refraction
from qkd_gs.orbit.rotation import turn_z
from qkd_gs.orbit.timescale import DAY_NS, format_utc, parse_utc, seconds_between, to_time
from qkd_gs.settings.site import Site

_FIRST_NS, _LAST_NS = parse_utc('1900-01-01'), parse_utc('2053-10-01')  # of DE421


@cache
def planets() -> SpiceKernel:
    """JPL DE421 (1900 to 2050) from the package skyfield-data; nothing is downloaded."""
    return load_file(str(Path(skyfield_data.__file__).parent / 'data' / 'de421.bsp'))


def sun_azel(site: Site, t_ns: IntArray, refracted: bool = False) -> tuple[FloatArray, FloatArray]:
    """Azimuth (north through east) and elevation of the Sun's centre, rad, shapes (n,), at UTC `t_ns` (n,)."""
    return _azel('sun', site, t_ns, refracted)


def moon_azel(site: Site, t_ns: IntArray, refracted: bool = False) -> tuple[FloatArray, FloatArray]:
    """Azimuth and elevation of the Moon's centre, as `sun_azel`; parallax included."""
    return _azel('moon', site, t_ns, refracted)


def sun_and_moon_itrs_m(t_ns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Apparent places of Sun and Moon from the Earth's centre, Earth-fixed, m, shapes (n, 3), at UTC `t_ns` (n,).

    Interpolated between whole hours: within 0.1" of `sun_azel`, at a thousandth of its cost.
    """
    first_day, last_day = int(t_ns.min()) // DAY_NS, int(t_ns.max()) // DAY_NS + 1
    origin_ns, splines = _sun_and_moon(first_day, last_day)
    t_s = seconds_between(origin_ns, t_ns)
    sun, moon = (turn_z(spline(t_s), -EARTH_RATE_RAD_S * t_s) for spline in splines)
    return sun, moon


@lru_cache(maxsize=4)
def _sun_and_moon(first_day: int, last_day: int) -> tuple[int, tuple[CubicSpline, CubicSpline]]:
    """Splines through hourly places over days since the Unix epoch, in the frame of the first moment, and it."""
    origin_ns = first_day * DAY_NS
    t_ns = origin_ns + np.arange(-2, (last_day - first_day) * 24 + 3) * (DAY_NS // 24)
    t_s = seconds_between(origin_ns, t_ns)
    observed = planets()['earth'].at(_time(t_ns))
    splines = []
    for body in ('sun', 'moon'):
        itrs_m = observed.observe(planets()[body]).apparent().frame_xyz(itrs).m.T
        splines.append(CubicSpline(t_s, turn_z(itrs_m, EARTH_RATE_RAD_S * t_s)))
    return origin_ns, (splines[0], splines[1])


def sunlit(itrs_m: FloatArray, t_ns: IntArray) -> BoolArray:
    """Whether places (n, 3) in the Earth-fixed frame, m, see the centre of the Sun past the Earth's sphere."""
    time = _time(t_ns)
    rotation = itrs.rotation_at(time)  # (3, 3, n) from GCRS
    gcrs_m = np.einsum('jin,nj->in', rotation, itrs_m)
    position = Geocentric(Distance(m=gcrs_m).au, t=time, center=399)
    return np.asarray(position.is_sunlit(planets()), dtype=bool)


def _azel(body: str, site: Site, t_ns: IntArray, refracted: bool) -> tuple[FloatArray, FloatArray]:
    place = planets()['earth'] + wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    apparent = place.at(_time(np.atleast_1d(t_ns))).observe(planets()[body]).apparent()
    elevation, azimuth, _ = apparent.altaz()
    el: FloatArray = elevation.radians
    return azimuth.radians, site_refraction(site).apparent(el) if refracted else el


def _time(t_ns: IntArray) -> Time:
    """Time with the short nutation series (IAU 2000B, good to 1 mas), at a tenth of the cost."""
    if np.min(t_ns) < _FIRST_NS or np.max(t_ns) > _LAST_NS:
        outside = np.min(t_ns) if np.min(t_ns) < _FIRST_NS else np.max(t_ns)
        raise StationError(
            f'the places of Sun and Moon at {format_utc(int(outside), 0)} are not known',
            hint=f'{format_utc(_FIRST_NS, 0)} to {format_utc(_LAST_NS, 0)}',
        )
    time = to_time(t_ns)
    time._nutation_angles_radians = iau2000b_radians(time)  # as Skyfield's page on efficiency has it
    return time


def sun_at(site: Site, t_ns: int) -> tuple[float, float]:
    """Apparent azimuth and elevation of the Sun at one time, rad."""
    az, el = sun_azel(site, np.array([t_ns], np.int64), refracted=True)
    return float(az[0]), float(el[0])
