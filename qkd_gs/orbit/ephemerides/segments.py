"""Tabulated positions of a satellite: rows without a hole, and how to interpolate between them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.interpolation import Interpolator, errors_between
from qkd_gs.orbit.rotation import turn_z
from qkd_gs.orbit.timescale import format_utc, seconds_between, tai_minus_utc_ns, utc_from_tai_ns

log = logging.getLogger(__name__)

MIN_ROWS = 4
_LAGRANGE_DEGREES = (9, 13)  # the laser-ranging service recommends 9 for its predictions
_HERMITE_DEGREES = (7, 11)
_HOLE = 2.5  # an interval longer than so many times the longer one of its neighbours
_COARSE_M = 1.0
_ABSURD = 0.02  # error between rows, as a part of the radius, beyond which the rows belong to no orbit
_WRONG_VELOCITY_M_S = 10.0
_LOWEST_M = 6.35e6


class Method(StrEnum):
    """Method of interpolation, as OEM names it."""

    LAGRANGE = 'LAGRANGE'
    HERMITE = 'HERMITE'
    LINEAR = 'LINEAR'


@dataclass(frozen=True)
class Segment:
    """Rows of one satellite from one source.

    Positions are Earth-fixed (ITRS), m.  With `spin_rad_s` they are in a frame that coincides with it at the first row
    and turns back about the pole at that rate: rows of an inertial frame are smoother there.

    Raises
    ------
    StationError
        Too few rows, times that do not ascend, or a position within the Earth.
    """

    name: str
    satellite_id: str
    where: str
    tai_ns: IntArray  # (n,) TAI, ns since 1970-01-01 TAI
    position_m: FloatArray  # (n, 3)
    velocity_m_s: FloatArray | None = None  # (n, 3), derivative of `position_m`
    spin_rad_s: float = 0.0
    method: Method | None = None  # as the file states it
    degree: int | None = None
    usable_ns: tuple[int, int] | None = None  # UTC; narrower than the rows, as the producer states it
    designator: str = ''

    def __post_init__(self) -> None:
        if len(self.tai_ns) < MIN_ROWS:
            raise StationError(
                f'{len(self.tai_ns)} positions are too few to interpolate',
                where=self.where,
                hint=f'at least {MIN_ROWS}, without a hole between them',
            )
        late = np.flatnonzero(np.diff(self.tai_ns) <= 0)
        if late.size:
            raise StationError(f'position {int(late[0]) + 2} is not later than the one before it', where=self.where)
        radius_m = np.linalg.norm(self.position_m, axis=1)
        if radius_m.min() < _LOWEST_M:
            raise StationError(
                f'position {int(radius_m.argmin()) + 1} lies within the Earth',
                where=self.where,
                hint='is its unit right?',
            )

    def span_ns(self) -> tuple[int, int]:
        """First and last usable time, UTC."""
        first, last = (int(t) for t in utc_from_tai_ns(self.tai_ns[[0, -1]]))
        usable = self.usable_ns or (first, last)
        return max(first, usable[0]), min(last, usable[1])


def parts(segment: Segment) -> Iterator[Segment | StationError]:
    """The rows between the holes of a segment, each part for itself; a part too short is an error."""
    steps = np.diff(segment.tai_ns)
    neighbours = np.maximum(np.concatenate((steps[:1] * 0, steps[:-1])), np.concatenate((steps[1:], steps[-1:] * 0)))
    cuts = np.flatnonzero(steps > _HOLE * neighbours) + 1
    if not cuts.size:
        yield segment
        return
    for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(segment.tai_ns)], strict=True):
        velocity = segment.velocity_m_s
        origin_s = (segment.tai_ns[first] - segment.tai_ns[0]) * 1e-9
        turn = np.full(last - first, -segment.spin_rad_s * origin_s)
        try:
            yield replace(
                segment,
                tai_ns=segment.tai_ns[first:last],
                position_m=turn_z(segment.position_m[first:last], turn),
                velocity_m_s=None if velocity is None else turn_z(velocity[first:last], turn),
            )
        except StationError as error:
            yield error


class Piece:
    """A segment ready to be read between its rows; warnings tell what its rows cannot give.

    Attributes
    ----------
    first_ns, last_ns : int
        UTC of use; `join` narrows them where the next piece takes over.
    """

    def __init__(self, segment: Segment):
        self.segment = segment
        self.first_ns, self.last_ns = segment.span_ns()
        self._origin_ns = int(segment.tai_ns[0])
        t_s = seconds_between(self._origin_ns, segment.tai_ns)
        choices = self._choices(t_s)
        errors_m = [errors_between(t_s, segment.position_m, velocity, rows) for velocity, rows in choices]
        best = int(np.argmin([error_m.max() for error_m in errors_m]))
        self._interpolate = Interpolator(t_s, segment.position_m, *choices[best])
        self._warn_if_coarse(errors_m[best])

    def states(self, t_ns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Earth-fixed positions (n, 3), m, and velocities, m/s, at UTC (n,) within the rows."""
        t_s = seconds_between(self._origin_ns, t_ns + tai_minus_utc_ns(t_ns))
        position, velocity = self._interpolate(t_s)
        spin = self.segment.spin_rad_s
        if spin:
            turn = -spin * t_s
            position, velocity = turn_z(position, turn), turn_z(velocity, turn)
            velocity = velocity - spin * np.column_stack((-position[:, 1], position[:, 0], np.zeros(len(t_s))))
        return position, velocity

    def _choices(self, t_s: FloatArray) -> list[tuple[FloatArray | None, int]]:
        """Velocities, if used, and number of rows of a polynomial: as the file states it, or what may be best."""
        segment, count = self.segment, len(t_s)
        velocity = segment.velocity_m_s if segment.method in (None, Method.HERMITE) else None
        if velocity is not None and not self._velocities_fit(t_s):
            log.warning('%s: the velocities are not those of the positions; only the positions are used', segment.where)
            velocity = None
        stated = (
            segment.degree if segment.method and (velocity is not None) == (segment.method is Method.HERMITE) else None
        )
        if segment.method is Method.LINEAR:
            stated = 1
        choices: list[tuple[FloatArray | None, int]] = []
        if velocity is not None:
            degrees = [stated] if stated else list(_HERMITE_DEGREES)
            choices += [(velocity, (degree + 1) // 2) for degree in degrees]
        if segment.method is None or velocity is None:
            degrees = [stated] if stated else list(_LAGRANGE_DEGREES)
            choices += [(None, degree + 1) for degree in degrees]
        return [(one, min(max(rows, 2), count)) for one, rows in choices]

    def _velocities_fit(self, t_s: FloatArray) -> bool:
        assert self.segment.velocity_m_s is not None
        _, slope = Interpolator(t_s, self.segment.position_m, None, min(_LAGRANGE_DEGREES[0] + 1, len(t_s)))(t_s)
        apart = np.linalg.norm(slope - self.segment.velocity_m_s, axis=1)
        return bool(np.median(apart) < _WRONG_VELOCITY_M_S)

    def _warn_if_coarse(self, error_m: FloatArray) -> None:
        worst = int(error_m.argmax())
        worst_m = float(error_m[worst])
        at = format_utc(int(utc_from_tai_ns(self.segment.tai_ns[worst])), 0)
        if not worst_m < _ABSURD * np.median(np.linalg.norm(self.segment.position_m, axis=1)):
            raise StationError(f'the rows at {at} do not lie on an orbit', where=self.segment.where)
        if worst_m > _COARSE_M:
            log.warning(
                '%s: the rows are too far apart, interpolation errs by up to about %.0f m (at %s)',
                self.segment.where,
                worst_m,
                at,
            )
