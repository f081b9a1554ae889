"""An ephemeris: the tabulated positions of one satellite over one span without a hole."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.ephemerides.segments import Piece, Segment, parts
from qkd_gs.orbit.identity import group
from qkd_gs.orbit.timescale import DAY_NS, format_utc

log = logging.getLogger(__name__)

_GM_M3_S2 = 3.986004418e14
_ROUNDING_NS = 1_000_000  # between the end of a piece and the begin of the next: no hole
_JUMP_M = 100.0


class Ephemeris:
    """Positions of one satellite, read between the rows of one segment or of several that follow each other.

    Make one with `join`.  Nothing is extrapolated, and nothing interpolated across a hole.

    Attributes
    ----------
    name, satellite_id, designator, where : str
        As in `Orbit`.
    first_ns, last_ns : int
        UTC of use.
    """

    def __init__(self, pieces: Sequence[Piece]):
        first = pieces[0].segment
        self.name = first.name
        self.satellite_id = first.satellite_id
        self.designator = first.designator
        self.where = first.where
        self.first_ns, self.last_ns = pieces[0].first_ns, pieces[-1].last_ns
        self._pieces = tuple(pieces)
        self._switch_ns = np.array([piece.first_ns for piece in pieces[1:]], dtype=np.int64)
        rows_m = np.concatenate([piece.segment.position_m for piece in pieces])
        radii_m = np.linalg.norm(rows_m, axis=1)
        self._radius_m = float(radii_m.mean())
        self._smallest_m, self._largest_m = float(radii_m.min()), float(radii_m.max())

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last usable time."""
        return self.first_ns, self.last_ns

    def reach_ns(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """The part of a span that the rows cover."""
        return max(start_ns, self.first_ns), min(end_ns, self.last_ns)

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

    def fastest_s(self) -> float:
        """From the smallest and the largest distance."""
        eccentricity = (self._largest_m - self._smallest_m) / (self._largest_m + self._smallest_m)
        return float(2 * np.pi * np.sqrt(self._smallest_m**3 / (_GM_M3_S2 * (1 + eccentricity))))

    def path(self, first_ns: int, step_s: float, count: int) -> tuple[FloatArray, FloatArray]:
        """Earth-fixed positions and velocities at evenly spaced times."""
        t_ns = first_ns + np.rint(np.arange(count) * (step_s * 1e9)).astype(np.int64)
        position, velocity = self.states(np.minimum(t_ns, self.last_ns))
        return np.ascontiguousarray(position.T), np.ascontiguousarray(velocity.T)

    def itrs_m(self, t_ns: IntArray) -> FloatArray:
        """Earth-fixed positions (n, 3), m."""
        return self.states(t_ns)[0]

    def states(self, t_ns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Earth-fixed positions (n, 3), m, and velocities, m/s, at UTC (n,).

        Raises
        ------
        StationError
            A time outside the span.
        """
        if t_ns.min() < self.first_ns or t_ns.max() > self.last_ns:
            raise StationError(
                f'ephemeris of {self.name} covers {format_utc(self.first_ns)} to {format_utc(self.last_ns)},'
                f' not {format_utc(int(t_ns.min()))} to {format_utc(int(t_ns.max()))}',
                where=self.where,
            )
        position, velocity = np.empty((len(t_ns), 3)), np.empty((len(t_ns), 3))
        chosen = np.searchsorted(self._switch_ns, t_ns, side='right')
        for k in np.unique(chosen).tolist():
            own = chosen == k
            position[own], velocity[own] = self._pieces[k].states(t_ns[own])
        return position, velocity


def join(segments: Iterable[Segment | StationError]) -> list[Ephemeris | StationError]:
    """Ephemerides from the segments of a file: those of one satellite that abut or overlap become one.

    Where the usable spans of two overlap, the later one takes over in the middle.  Holes separate ephemerides, with a
    warning.  An entry that cannot be used stays in the list as its error.
    """
    found: list[Ephemeris | StationError] = []
    pieces: list[Piece] = []
    for segment in segments:
        for part in [segment] if isinstance(segment, StationError) else parts(segment):
            try:
                if isinstance(part, StationError):
                    raise part
                pieces.append(Piece(part))
            except StationError as error:
                found.append(error)
    named = [_Named(piece) for piece in pieces]
    for one in group(named):
        found += _chain([named_piece.piece for named_piece in one])
    return found


class _Named:
    """A piece with the identity of its segment."""

    def __init__(self, piece: Piece):
        self.piece = piece
        self.name = piece.segment.name
        self.satellite_id = piece.segment.satellite_id
        self.designator = piece.segment.designator


def _chain(pieces: list[Piece]) -> list[Ephemeris]:
    """Ephemerides of one satellite, in the order of time."""
    pieces.sort(key=lambda piece: (piece.first_ns, -piece.last_ns))
    chains: list[list[Piece]] = []
    for piece in pieces:
        if not chains or piece.first_ns > chains[-1][-1].last_ns + _ROUNDING_NS:
            chains.append([piece])
            continue
        before = chains[-1][-1]
        if piece.last_ns <= before.last_ns:
            log.warning('%s: lies within the span of %s and is left out', piece.segment.where, before.segment.where)
            continue
        _switch(before, piece)
        chains[-1].append(piece)
    ephemerides = [Ephemeris(chain) for chain in chains]
    _warn_of_holes(ephemerides)
    return ephemerides


def _switch(before: Piece, after: Piece) -> None:
    """Divide the overlap of two pieces in its middle, and warn if they disagree there."""
    at_ns = (before.last_ns + after.first_ns) // 2
    if after.first_ns <= before.last_ns:
        t_ns = np.array([at_ns], dtype=np.int64)
        jump_m = float(np.linalg.norm(before.states(t_ns)[0] - after.states(t_ns)[0]))
        if jump_m > _JUMP_M:
            log.warning(
                '%s: its position at %s is %.0f m off the one of %s',
                after.segment.where,
                format_utc(at_ns, 0),
                jump_m,
                before.segment.where,
            )
    before.last_ns = after.first_ns = at_ns


def _warn_of_holes(ephemerides: list[Ephemeris]) -> None:
    holes = list(pairwise(ephemerides))
    if holes:
        before, after = holes[0]
        more = f', and {len(holes) - 1} more such holes' if len(holes) > 1 else ''
        log.warning(
            '%s: no rows of %s from %s to %s%s',
            after.where,
            after.name,
            format_utc(before.last_ns, 0),
            format_utc(after.first_ns, 0),
            more,
        )
