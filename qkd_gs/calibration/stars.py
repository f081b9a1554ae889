"""Bright stars: apparent positions from a site, and the selection and order for a calibration."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, nan, pi, radians
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from skyfield.api import Star as SkyfieldStar
from skyfield.api import wgs84

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.kernel import curve
from qkd_gs.orbit.refraction import BEACON_NM, site_refraction
from qkd_gs.orbit.sky import planets
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.timescale import to_time
from qkd_gs.pointing.sky_offsets import separation
from qkd_gs.settings.numbers import read_number
from qkd_gs.settings.site import Site
from qkd_gs.share import share_path

_COLUMNS = {  # name -> lowest and highest value
    'hip': (1, 200_000),
    'ra_deg': (0, 360),
    'dec_deg': (-90, 90),
    'pm_ra_mas_yr': (-11_000, 11_000),
    'pm_dec_mas_yr': (-11_000, 11_000),
    'parallax_mas': (-100, 1000),
    'mag': (-2, 20),
}
_PHOTOMETRY = {'i_mag': (-3, 20), 'v_i': (-1, 10)}  # of a catalogue that has it
_TRACK_STEP_S = 20.0


@dataclass(frozen=True)
class Star:
    """One star of the catalogue: ICRS, epoch J2000.0."""

    hip: int  # number in the Hipparcos catalogue
    name: str
    ra_deg: float
    dec_deg: float
    pm_ra_mas_yr: float  # cos(dec) included
    pm_dec_mas_yr: float
    parallax_mas: float
    mag: float
    i_mag: float = nan  # I in Cousins' system; NaN: not known
    v_i: float = nan  # colour V - I, likewise


def load_stars(path: str | Path | None = None) -> tuple[Star, ...]:
    """Read a catalogue; not given: the package's config/stars.csv.

    Raises
    ------
    StationError
        File unreadable or without a star, a column missing, a value wrong, or a star given twice: file and line.
    """
    return _read(Path(path) if path is not None else share_path('config', 'stars.csv'))


@cache
def _read(path: Path) -> tuple[Star, ...]:
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StationError(f'cannot be read: {error}', where=path) from error
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith('#')]
    header = rows[0][1].split(',') if rows else []
    for name in (*_COLUMNS, 'name'):
        if name not in header:
            raise StationError(f'column {name} is missing', where=f'{path}:{rows[0][0] if rows else 1}')
    stars: dict[int, Star] = {}
    for number, line in rows[1:]:
        where = f'{path}:{number}'
        cells = next(csv.reader([line]))
        if len(cells) != len(header):
            raise StationError(f'{len(cells)} values where the header has {len(header)}', where=where)
        row = dict(zip(header, cells, strict=True))
        limits = _COLUMNS | {name: _PHOTOMETRY[name] for name in _PHOTOMETRY if row.get(name)}
        values = {name: read_number(name, row[name], where, limits[name]) for name in limits}
        hip = int(values.pop('hip'))
        if hip in stars:
            raise StationError(f'HIP {hip} is given twice', where=where)
        stars[hip] = Star(hip=hip, name=row['name'], **values)
    if not stars:
        raise StationError('holds no star', where=path)
    return tuple(stars.values())


def star_azel(
    stars: Sequence[Star], site: Site, t_ns: int | IntArray, wavelength_nm: float = BEACON_NM
) -> tuple[FloatArray, FloatArray]:
    """Apparent azimuth in [0, 2 pi) and elevation of stars.

    Parameters
    ----------
    stars : sequence of Star, n
    t_ns : int or ndarray, (m,)
        UTC, ns since the Unix epoch.
    wavelength_nm : float
        Mean wavelength of the camera: from 532 to 650 nm refraction at 20 deg falls by 8 urad.

    Returns
    -------
    az_rad, el_rad : ndarray, (n,) or (n, m)

    Notes
    -----
    Proper motion and parallax, light deflection, annual and diurnal aberration, precession, nutation, UT1 and
    polar motion by Skyfield; refraction of the site's air.
    """
    place = planets()['earth'] + wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    observer = place.at(to_time(t_ns))
    refraction = site_refraction(site, wavelength_nm)
    if np.ndim(t_ns) == 0:  # all stars at once
        elevation, azimuth, _ = observer.observe(_source(stars)).apparent().altaz()
        return azimuth.radians, refraction.apparent(elevation.radians)
    az, el = np.empty((2, len(stars), np.size(t_ns)))
    for i, star in enumerate(stars):
        elevation, azimuth, _ = observer.observe(_source([star], 0)).apparent().altaz()
        az[i], el[i] = azimuth.radians, refraction.apparent(elevation.radians)
    return az, el


def _source(stars: Sequence[Star], only: int | slice = slice(None)) -> SkyfieldStar:
    def column(name: str) -> Any:
        return np.array([getattr(star, name) for star in stars])[only]

    return SkyfieldStar(
        ra_hours=column('ra_deg') / 15,
        dec_degrees=column('dec_deg'),
        ra_mas_per_year=column('pm_ra_mas_yr'),
        dec_mas_per_year=column('pm_dec_mas_yr'),
        parallax_mas=np.maximum(column('parallax_mas'), 0.0),  # a measured one may be negative
    )


class StarTrack:
    """Track of one star over some minutes, tabulated with an error of 1e-9 rad.

    Parameters
    ----------
    start_ns, end_ns : int
        Time span of `at`.
    """

    def __init__(self, star: Star, site: Site, start_ns: int, end_ns: int):
        self.star = star
        self._start_ns = start_ns
        count = int((end_ns - start_ns) * 1e-9 / _TRACK_STEP_S) + 2
        t_s = _TRACK_STEP_S * np.arange(-2, count + 3)
        az, el = star_azel([star], site, start_ns + np.rint(t_s * 1e9).astype(np.int64))
        self._first_s = float(t_s[0])
        self._az, self._el = (np.ascontiguousarray(CubicSpline(t_s, y).c) for y in (np.unwrap(az[0]), el[0]))

    def at(self, t_ns: int) -> TargetState[float]:
        """Apparent state; NaN in the fields that a star does not have, infinite range."""
        t_s = (t_ns - self._start_ns) * 1e-9
        az, el = (curve(t_s, pieces, self._first_s, _TRACK_STEP_S) for pieces in (self._az, self._el))
        return TargetState(
            t_ns, az[0], el[0], az[1], el[1], az[2], el[2], inf, 0.0, float('nan'), float('nan'), float('nan')
        )


def select_stars(
    stars: Sequence[Star],
    site: Site,
    t_ns: int,
    count: int,
    first: tuple[float, float] | None = None,
    avoid: Sequence[tuple[float, float, float]] = (),
    min_el_rad: float = radians(20),
    max_el_rad: float = radians(80),
) -> list[Star]:
    """Stars to measure, spread over the sky, in an order that keeps the slews short.

    Parameters
    ----------
    count : int
        Largest number.
    first : (az_rad, el_rad), optional
        Aligned direction: the star nearest to it comes first and the next ones close to it, so that a coarse
        alignment is sufficient from star to star.  Not given: the highest star.
    avoid : sequence of (az_rad, el_rad, radius_rad)
        Directions to avoid: Sun, Moon, obstacles.

    Raises
    ------
    StationError
        No star is given, or none can be used.

    Notes
    -----
    Spread: each next star is the one farthest from all chosen ones, where a magnitude counts as much as 2 deg.
    Order: nearest neighbour by the longer of the two axes' travels, then improved by 2-opt.  Azimuth does not cross
    north, so the cable does not wind up.
    """
    if not stars:
        raise StationError('there is no star to choose from', hint='is the whole sky behind the horizon of the site?')
    az, el = star_azel(stars, site, t_ns)
    good = (el >= min_el_rad) & (el <= max_el_rad)
    for away_az, away_el, radius in avoid:
        good &= separation(az, el, np.array(away_az), np.array(away_el)) >= radius
    if not good.any():
        raise StationError(
            f'none of {len(stars)} stars of the catalogue can be used now', hint='wait, or lower the elevation limit'
        )
    usable = np.flatnonzero(good)
    if first is None:
        start = int(usable[np.argmax(el[usable])])
    else:
        start = int(usable[np.argmin(separation(az[usable], el[usable], np.array(first[0]), np.array(first[1])))])
    faint = radians(2) * np.array([star.mag for star in stars])
    chosen = [start]
    nearest = np.full(len(stars), pi)
    while len(chosen) < min(count, len(usable)):
        last = chosen[-1:]
        nearest = np.minimum(nearest, separation(az, el, az[last], el[last]))
        merit = np.where(good, nearest - faint, -inf)
        merit[chosen] = -inf
        chosen.append(int(np.argmax(merit)))
    return [stars[i] for i in _order(chosen, az, el)]


def _order(chosen: list[int], az: FloatArray, el: FloatArray) -> list[int]:
    ways = np.maximum(np.abs(az[chosen][:, None] - az[chosen]), np.abs(el[chosen][:, None] - el[chosen]))
    path, left = [0], set(range(1, len(chosen)))
    while left:
        path.append(min(left, key=lambda i: ways[path[-1], i]))
        left.remove(path[-1])
    better = True
    while better:
        better = False
        for i in range(1, len(path) - 1):
            for j in range(i + 1, len(path)):
                before = ways[path[i - 1], path[i]] + (ways[path[j], path[j + 1]] if j + 1 < len(path) else 0)
                after = ways[path[i - 1], path[j]] + (ways[path[i], path[j + 1]] if j + 1 < len(path) else 0)
                if after < before - 1e-12:
                    path[i : j + 1] = path[i : j + 1][::-1]
                    better = True
    return [chosen[i] for i in path]
