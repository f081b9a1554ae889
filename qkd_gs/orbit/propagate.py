"""Position of a satellite in the Earth-fixed frame, and the mean elements that SGP4 propagates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from sgp4.api import SGP4_ERRORS, Satrec
from skyfield.sgp4lib import theta_GMST1982

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.identity import Identified
from qkd_gs.orbit.kernel import EARTH_RATE_RAD_S
from qkd_gs.orbit.rotation import polar_motion, turn_z
from qkd_gs.orbit.timescale import DAY_NS, format_utc, to_time, utc_julian_date

_CHECK_NS = DAY_NS
_MOST_CHECKS = 400
_BISECTIONS = 12
_LOWEST_PERIGEE_KM = 80.0  # mean, above the equator's radius: no satellite makes another revolution from there
_LARGEST_GROWTH = 1.1  # of the mean semi-major axis: air drag only lowers it


class Orbit(Identified, Protocol):
    """One set of elements, or one ephemeris, of one satellite."""

    @property
    def where(self) -> str:
        """File and line of its origin."""

    @property
    def span_ns(self) -> tuple[int, int]:
        """UTC, ns, first and last time of the data: for elements both are the epoch."""

    def reach_ns(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """The part of a span, UTC ns, in which `itrs_m` is valid; not ascending if there is none."""

    def age_days(self, t_ns: int) -> float:
        """Days between `t_ns` and the data: the elements' epoch (negative: before it), or the ephemeris' span."""

    def describe(self) -> str:
        """Description for the operator."""

    def itrs_m(self, t_ns: IntArray) -> FloatArray:
        """Earth-fixed position (n, 3), m, at UTC `t_ns` (n,); StationError where there is none."""

    def path(self, first_ns: int, step_s: float, count: int) -> tuple[FloatArray, FloatArray]:
        """Earth-fixed positions (3, n), m, and velocities, m/s, at `count` times from UTC `first_ns` on.

        StationError where there are none.
        """

    def period_s(self) -> float:
        """Rough time of one revolution."""

    def fastest_s(self) -> float:
        """Time that a revolution would take at the angular speed of the perigee."""


@dataclass(frozen=True)
class MeanElements:
    """SGP4 mean elements (TLE or OMM)."""

    name: str
    satellite_id: str
    epoch_ns: int
    satrec: Satrec
    where: str
    designator: str = ''

    @property
    def span_ns(self) -> tuple[int, int]:
        """The epoch, twice."""
        return self.epoch_ns, self.epoch_ns

    def reach_ns(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """The part of a span in which SGP4 gives an orbit: it ends where the satellite re-enters.

        The age of the elements does not matter here: the user decides how old they may be.
        """
        first_ns, last_ns = start_ns, end_ns
        if start_ns < self.epoch_ns:
            first_ns = max(start_ns, self._believed(start_ns)[0])
        if end_ns > self.epoch_ns:
            last_ns = min(end_ns, self._believed(end_ns)[0])
        return first_ns, last_ns

    def age_days(self, t_ns: int) -> float:
        """Days from the epoch to `t_ns`."""
        return (t_ns - self.epoch_ns) / DAY_NS

    def describe(self) -> str:
        """Name, number and epoch."""
        return f'{self.name} ({self.satellite_id}), elements of {format_utc(self.epoch_ns, 0)}'

    def period_s(self) -> float:
        """From the mean motion (rad/min)."""
        return float(2 * np.pi / self.satrec.no_kozai * 60)

    def fastest_s(self) -> float:
        """From mean motion and eccentricity."""
        eccentricity = float(self.satrec.ecco)
        return self.period_s() * float(np.sqrt((1 - eccentricity) ** 3 / (1 + eccentricity)))

    def path(self, first_ns: int, step_s: float, count: int) -> tuple[FloatArray, FloatArray]:
        """Earth-fixed positions and velocities, as `itrs_m`."""
        earth = _earth(first_ns, step_s, count)
        for edge_ns in (int(earth.t_ns[0]), int(earth.t_ns[-1])):
            self.require_belief(edge_ns)
        errors, teme_km, teme_km_s = self.satrec.sgp4_array(*earth.julian_date)
        if errors.any():
            first = int(np.flatnonzero(errors)[0])
            raise self._refusal(int(earth.t_ns[first]), SGP4_ERRORS[int(errors[first])])
        x, y, z = teme_km.T * 1e3
        vx, vy, vz = teme_km_s.T * 1e3
        c, s, (xp, yp) = earth.cos_theta, earth.sin_theta, earth.pole
        x, y = c * x + s * y, c * y - s * x
        vx, vy = c * vx + s * vy + EARTH_RATE_RAD_S * y, c * vy - s * vx - EARTH_RATE_RAD_S * x
        position = np.array((x + xp * z, y - yp * z, z - xp * x + yp * y))
        velocity = np.array((vx + xp * vz, vy - yp * vz, vz - xp * vx + yp * vy))
        return position, velocity

    def itrs_m(self, t_ns: IntArray) -> FloatArray:
        """Earth-fixed position: TEME turned by GMST 1982 (AIAA 2006-6753, appendix C), then polar motion."""
        for edge_ns in (int(t_ns.min()), int(t_ns.max())):
            self.require_belief(edge_ns)
        errors, teme_km, _ = self.satrec.sgp4_array(*utc_julian_date(t_ns))
        if errors.any():
            first = int(np.flatnonzero(errors)[0])
            raise self._refusal(int(t_ns[first]), SGP4_ERRORS[int(errors[first])])
        time = to_time(t_ns)
        theta, _ = theta_GMST1982(time.whole, time.ut1_fraction)
        return polar_motion(turn_z(teme_km * 1e3, -theta), time)

    def require_belief(self, t_ns: int) -> None:
        """Raise StationError if SGP4 has no orbit at `t_ns`, or lost it on the way there from the epoch."""
        reached_ns, why = self._believed(t_ns)
        if why:
            raise self._refusal(t_ns, why if reached_ns == self.epoch_ns else f'{why} at {format_utc(reached_ns, 0)}')

    def _refusal(self, t_ns: int, why: str) -> StationError:
        return StationError(
            f'{self.describe()} cannot be propagated to {format_utc(t_ns, 0)}: {why}',
            where=self.where,
            hint='get elements of a closer date',
        )

    def _believed(self, t_ns: int) -> tuple[int, str]:
        """Last believed time on the way from the epoch to `t_ns`, and why not farther; empty: it is `t_ns`.

        The terms for air drag are a power series of time: beyond re-entry, or far before the epoch, it gives any
        number, also one that looks like an orbit.  So the whole way is checked.
        """
        return _checked(self, t_ns)

    def _check(self, t_ns: int) -> tuple[int, str]:
        """See `_believed`."""
        count = min(max(ceil(abs(t_ns - self.epoch_ns) / _CHECK_NS), 1), _MOST_CHECKS)
        good_ns = self.epoch_ns
        for k in range(count + 1):
            at_ns = self.epoch_ns + (t_ns - self.epoch_ns) * k // count
            why = self._doubt(at_ns)
            if not why:
                good_ns = at_ns
                continue
            for _ in range(_BISECTIONS if k else 0):
                middle_ns = (good_ns + at_ns) // 2
                doubt = self._doubt(middle_ns)
                if doubt:
                    at_ns, why = middle_ns, doubt
                else:
                    good_ns = middle_ns
            return good_ns, why
        return t_ns, ''

    def _doubt(self, t_ns: int) -> str:
        """Reason why the mean orbit at a time cannot be believed; empty if it can."""
        error, (x, y, z), _ = self.satrec.sgp4_tsince((t_ns - self.epoch_ns) / (DAY_NS / 1440))
        semi_major = self.satrec.am  # Earth radii
        perigee_km = (semi_major * (1 - self.satrec.em) - 1) * self.satrec.radiusearthkm
        if not perigee_km >= _LOWEST_PERIGEE_KM:
            return f'it has re-entered by then, its mean perigee is {_LOWEST_PERIGEE_KM:.0f} km or lower'
        if error:
            return str(SGP4_ERRORS[error])
        if not isfinite(x + y + z):  # of a high orbit with an inclination of nearly zero
            return 'SGP4 gives no position'
        if not semi_major < _LARGEST_GROWTH * self.satrec.a:
            return f'its mean orbit has grown by {100 * (_LARGEST_GROWTH - 1):.0f} % or more'
        return ''


@lru_cache(maxsize=16)
def _checked(elements: MeanElements, t_ns: int) -> tuple[int, str]:
    """Cached, as a search asks for the same times again and again."""
    return elements._check(t_ns)


class _Earth(NamedTuple):
    """The Earth at evenly spaced times."""

    t_ns: IntArray  # (n,) UTC
    julian_date: tuple[FloatArray, FloatArray]  # for SGP4
    cos_theta: FloatArray  # (n,) of GMST 1982
    sin_theta: FloatArray
    pole: FloatArray  # (2, n) rad: polar motion x and y; its square (1e-12) is nothing


@lru_cache(maxsize=8)
def _earth(first_ns: int, step_s: float, count: int) -> _Earth:
    """Cached, as the satellites of one search mostly share their times."""
    t_ns = first_ns + np.rint(np.arange(count) * (step_s * 1e9)).astype(np.int64)
    time = to_time(t_ns)
    theta, _ = theta_GMST1982(time.whole, time.ut1_fraction)
    matrix = time.polar_motion_matrix()
    return _Earth(t_ns, utc_julian_date(t_ns), np.cos(theta), np.sin(theta), np.array([matrix[0, 2], -matrix[1, 2]]))


def source(path: str | Path, line: int) -> str:
    """Position in a file for messages: ``path:line``."""
    return f'{path}:{line}'
