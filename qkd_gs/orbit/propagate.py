"""Position of a satellite in the Earth-fixed frame: from mean elements (SGP4) or a tabulated ephemeris."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline
from sgp4.api import SGP4_ERRORS, Satrec
from skyfield.sgp4lib import theta_GMST1982
from skyfield.timelib import Time

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import (
    DAY_NS,
    format_utc,
    seconds_between,
    tai_minus_utc_ns,
    to_time,
    utc_julian_date,
)

log = logging.getLogger(__name__)

_UNLIMITED_NS = 2**62
_COARSE_M = 1.0
_EARTH_RADIUS_M = 6.35e6
_GM_M3_S2 = 3.986004418e14


class Orbit(Protocol):
    """One set of elements, or one ephemeris, of one satellite."""

    @property
    def name(self) -> str:
        """Name from the file."""

    @property
    def satellite_id(self) -> str:
        """Identifier of the satellite: the catalogue number, or the international designator."""

    @property
    def where(self) -> str:
        """File and line of its origin."""

    @property
    def span_ns(self) -> tuple[int, int]:
        """UTC, ns, first and last time of the data: for elements both are the epoch."""

    @property
    def reach_ns(self) -> tuple[int, int]:
        """UTC, ns, first and last valid time of `itrs_m`."""

    def age_days(self, t_ns: int) -> float:
        """Days between `t_ns` and the data: the elements' epoch (negative: before it), or the ephemeris' span."""

    def describe(self) -> str:
        """Description for the operator."""

    def itrs_m(self, t_ns: IntArray) -> FloatArray:
        """Earth-fixed position (n, 3), m, at UTC `t_ns` (n,); StationError where there is none."""

    def period_s(self) -> float:
        """Rough time of one revolution."""


@dataclass(frozen=True)
class MeanElements:
    """SGP4 mean elements (TLE or OMM)."""

    name: str
    satellite_id: str
    epoch_ns: int
    satrec: Satrec
    where: str

    @property
    def span_ns(self) -> tuple[int, int]:
        """The epoch, twice."""
        return self.epoch_ns, self.epoch_ns

    @property
    def reach_ns(self) -> tuple[int, int]:
        """All times: the user decides how old elements may be."""
        return -_UNLIMITED_NS, _UNLIMITED_NS

    def age_days(self, t_ns: int) -> float:
        """Days from the epoch to `t_ns`."""
        return (t_ns - self.epoch_ns) / DAY_NS

    def describe(self) -> str:
        """Name, number and epoch."""
        return f'{self.name} ({self.satellite_id}), elements of {format_utc(self.epoch_ns, 0)}'

    def period_s(self) -> float:
        """From the mean motion (rad/min)."""
        return float(2 * np.pi / self.satrec.no_kozai * 60)

    def itrs_m(self, t_ns: IntArray) -> FloatArray:
        """Earth-fixed position: TEME turned by GMST 1982 (AIAA 2006-6753, appendix C), then polar motion."""
        errors, teme_km, _ = self.satrec.sgp4_array(*utc_julian_date(t_ns))
        if errors.any():
            first = int(np.flatnonzero(errors)[0])
            raise StationError(
                f'elements cannot be propagated to {format_utc(int(t_ns[first]))}: {SGP4_ERRORS[int(errors[first])]}',
                where=self.where,
                hint='get elements of a closer date',
            )
        time = to_time(t_ns)
        theta, _ = theta_GMST1982(time.whole, time.ut1_fraction)
        return polar_motion(turn_z(teme_km * 1e3, -theta), time)


class Ephemeris:
    """Tabulated Earth-fixed positions, interpolated by a spline of degree 9.

    For a satellite 500 km up the error is 0.01 mm between rows 120 s apart and 5 mm at 300 s; in the first and last
    interval 1 mm and 5 m.  A warning is logged for rows too coarse for a metre.

    Parameters
    ----------
    t_ns : (n,) int64 array
        UTC, ascending; at least `MIN_POINTS`.
    itrs_m : (n, 3) array
        Positions.
    usable_ns : (int, int), optional
        Narrower span of use, given by the producer of the ephemeris.

    Raises
    ------
    StationError
        Too few points, times that do not ascend, or a position within the Earth.
    """

    MIN_POINTS = 10

    def __init__(
        self,
        name: str,
        satellite_id: str,
        where: str,
        t_ns: IntArray,
        itrs_m: FloatArray,
        usable_ns: tuple[int, int] | None = None,
    ):
        if len(t_ns) < self.MIN_POINTS:
            raise StationError(f'{len(t_ns)} positions are too few to interpolate', where=where,
                               hint=f'at least {self.MIN_POINTS}')  # fmt: skip
        if (np.diff(t_ns) <= 0).any():
            at = int(np.flatnonzero(np.diff(t_ns) <= 0)[0]) + 1
            raise StationError(f'position {at + 1} is not later than the one before it', where=where)
        radius_m = np.linalg.norm(itrs_m, axis=1)
        if radius_m.min() < _EARTH_RADIUS_M:
            raise StationError(f'position {int(radius_m.argmin()) + 1} lies within the Earth', where=where,
                               hint='is its unit right?')  # fmt: skip
        self.name = name
        self.satellite_id = satellite_id
        self.where = where
        first_ns, last_ns = int(t_ns[0]), int(t_ns[-1])
        self.first_ns, self.last_ns = usable_ns or (first_ns, last_ns)
        self._origin_ns = first_ns
        self._spline: BSpline = make_interp_spline(self._seconds(t_ns), itrs_m, k=9)
        self._radius_m = float(radius_m.mean())
        self._warn_if_coarse(t_ns, itrs_m)

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last usable time."""
        return self.first_ns, self.last_ns

    @property
    def reach_ns(self) -> tuple[int, int]:
        """The same: nothing is extrapolated."""
        return self.span_ns

    def age_days(self, t_ns: int) -> float:
        """Zero inside the span, else days from it."""
        return (t_ns - min(max(t_ns, self.first_ns), self.last_ns)) / DAY_NS

    def describe(self) -> str:
        """Name, number and span."""
        return (
            f'{self.name} ({self.satellite_id}), ephemeris {format_utc(self.first_ns, 0)}'
            f' to {format_utc(self.last_ns, 0)}'
        )

    def period_s(self) -> float:
        """Kepler's third law with the mean distance."""
        return float(2 * np.pi * np.sqrt(self._radius_m**3 / _GM_M3_S2))

    def itrs_m(self, t_ns: IntArray) -> FloatArray:
        """Earth-fixed position from the spline."""
        if t_ns.min() < self.first_ns or t_ns.max() > self.last_ns:
            raise StationError(
                f'ephemeris of {self.name} covers {format_utc(self.first_ns)} to {format_utc(self.last_ns)},'
                f' not {format_utc(int(t_ns.min()))} to {format_utc(int(t_ns.max()))}',
                where=self.where,
            )
        position: FloatArray = self._spline(self._seconds(t_ns))
        return position

    def _warn_if_coarse(self, t_ns: IntArray, itrs_m: FloatArray) -> None:
        """Compare with a spline of lower degree between the rows: it errs more than the one in use."""
        seconds = self._seconds(t_ns)
        middle = (seconds[:-1] + seconds[1:]) / 2
        apart_m = np.linalg.norm(self._spline(middle) - make_interp_spline(seconds, itrs_m, k=7)(middle), axis=1)
        typical_m = float(np.median(apart_m))
        if typical_m > _COARSE_M:
            log.warning('%s: the rows are too far apart, interpolation errs by about %.0f m', self.where, typical_m)

    def _seconds(self, t_ns: IntArray) -> FloatArray:
        """Seconds of TAI since the first position, so that a leap second does not kink the curve."""
        return seconds_between(self._origin_ns, t_ns + tai_minus_utc_ns(t_ns) - tai_minus_utc_ns(self._origin_ns))


def turn_z(vectors: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Turn vectors (n, 3) about the z axis by angles (n,), counter-clockwise seen from +z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    x, y, z = vectors.T
    return np.column_stack((c * x - s * y, s * x + c * y, z))


def polar_motion(tirs: FloatArray, time: Time) -> FloatArray:
    """From the frame of the rotation pole (TIRS) to the crust-fixed one (ITRS), vectors (n, 3) at n times."""
    return np.asarray(np.einsum('ijn,nj->ni', time.polar_motion_matrix(), tirs))


def source(path: str | Path, line: int) -> str:
    """Position in a file for messages: ``path:line``."""
    return f'{path}:{line}'
