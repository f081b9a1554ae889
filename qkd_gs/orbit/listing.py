"""List the passes of one satellite over several sites: searched together, written down as columns.

Columns are plain lists, which pass cheaply from one process to another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat
from math import radians, sin
from typing import Any, NamedTuple

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import WARN_DAYS, check_age
from qkd_gs.orbit.ephemerides.ephemeris import Ephemeris
from qkd_gs.orbit.horizon import behind_horizon
from qkd_gs.orbit.pass_record import Limits, Pass
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.search.arcs import Arcs, PathTable, Place, View
from qkd_gs.orbit.sky import sun_and_moon_itrs_m
from qkd_gs.orbit.timescale import DAY_NS, format_utc

log = logging.getLogger(__name__)

EXTRA_NS = 1_800_000_000_000  # margin of the search, so that passes across start and end are complete
_CHUNK_NS = 32 * DAY_NS  # of one table: memory
_CUT = {'begin': ('already up where the search begins', 'already up where the ephemeris begins'),
        'end': ('still up where the search ends', 'still up where the ephemeris ends')}  # fmt: skip
_ORBIT = Pass._fields.index('orbit')


class Query(NamedTuple):
    """Parameters of a search."""

    start_ns: int  # UTC
    end_ns: int
    levels_deg: tuple[float, ...]  # ascending; the first bounds the passes
    limits: Limits
    in_progress: bool
    force: bool  # use elements of any age


class Listing(NamedTuple):
    """Passes by one orbit over one site: the fields of `Pass` as columns, without the orbit."""

    orbit: int  # which of the satellite's
    site: int
    columns: tuple[list[Any], ...]

    def passes(self, orbits: Sequence[Orbit]) -> list[Pass]:
        """The passes themselves."""
        before, after = self.columns[:_ORBIT], self.columns[_ORBIT:]
        rows = zip(*before, repeat(orbits[self.orbit], len(before[0])), *after, strict=True)
        return list(map(tuple.__new__, repeat(Pass), rows))  # type: ignore[arg-type]


def list_satellite(
    orbits: Sequence[Orbit], places: Sequence[Place], query: Query, quiet: bool
) -> tuple[list[Listing], int]:
    """Passes of one satellite, and how many of its sets are old; with `quiet` these are not logged.

    Raises
    ------
    StationError
        Elements too old, or an ephemeris that covers nothing of the span.
    """
    listings, old = [], 0
    for orbit, first_ns, last_ns in _shares(orbits, query.start_ns, query.end_ns):
        if not isinstance(orbit, Ephemeris):
            old += abs(check_age(orbit, (first_ns, last_ns), query.force, quiet)) > WARN_DAYS and quiet
        which = next(k for k, one in enumerate(orbits) if one is orbit)
        found = list_orbit(orbit, places, *reach(orbit, first_ns, last_ns), query)
        listings += [Listing(which, site, columns) for site, columns in found]
    return listings, old


def _shares(orbits: Sequence[Orbit], start_ns: int, end_ns: int) -> Iterator[tuple[Orbit, int, int]]:
    """Cut the span among the orbits of one satellite: every time goes to the orbit nearest to it.

    Of several ephemerides those that cover nothing of the span are left out, as long as one does.
    """
    own = sorted(orbits, key=lambda o: o.span_ns)
    borders = [(one.span_ns[1] + two.span_ns[0]) // 2 for one, two in pairwise(own)]
    edges = [start_ns, *(min(max(border, start_ns), end_ns) for border in borders), end_ns]
    shares = [(o, first, last) for o, (first, last) in zip(own, pairwise(edges), strict=True) if last > first]
    covering = [
        (orbit, first_ns, last_ns)
        for orbit, first_ns, last_ns in shares
        if not isinstance(orbit, Ephemeris) or _ascending(orbit.reach_ns(first_ns, last_ns))
    ]
    yield from covering or shares


def _ascending(span_ns: tuple[int, int]) -> bool:
    return span_ns[0] < span_ns[1]


def reach(orbit: Orbit, first_ns: int, last_ns: int) -> tuple[int, int]:
    """The part of a span that an orbit reaches, with a warning if it is not all of it.

    Raises
    ------
    StationError
        It reaches nothing of it.
    """
    reach = orbit.reach_ns(first_ns, last_ns)
    if not _ascending(reach):
        orbit.itrs_m(np.array([first_ns, last_ns], dtype=np.int64))  # says why
        raise StationError(f'{orbit.describe()} does not reach the requested time', where=orbit.where)
    if reach != (first_ns, last_ns):
        log.warning(
            '%s: only this part of the requested time is searched: %s to %s',
            orbit.describe(),
            *(format_utc(edge, 0) for edge in reach),
        )
    return reach


def list_orbit(
    orbit: Orbit, places: Sequence[Place], start_ns: int, end_ns: int, query: Query
) -> list[tuple[int, tuple[list[Any], ...]]]:
    """Passes by one orbit within a span that it reaches: number of the place, and columns of `Listing`."""
    found: list[tuple[int, tuple[list[Any], ...]]] = []
    for first_ns in range(start_ns, end_ns, _CHUNK_NS):
        last_ns = min(first_ns + _CHUNK_NS, end_ns)
        window_ns = orbit.reach_ns(first_ns - EXTRA_NS, last_ns + EXTRA_NS)
        table = PathTable(orbit, *window_ns)
        # cut by the rows of an ephemeris, if the table ends before its margin
        ends = (window_ns[0] > first_ns - EXTRA_NS, window_ns[1] < last_ns + EXTRA_NS)
        span_s = ((first_ns - window_ns[0]) * 1e-9, (last_ns - window_ns[0]) * 1e-9)
        running = query.in_progress and first_ns == start_ns
        views = [table.seen_from(place) for place in places]
        arcs = [view.arcs(sin(radians(query.levels_deg[0])), span_s, running) for view in views]
        found += _columns(orbit, table, views, arcs, query, ends)
    return found


def _columns(
    orbit: Orbit, table: PathTable, views: Sequence[View], arcs: Sequence[Arcs], query: Query, ends: tuple[bool, bool]
) -> Iterator[tuple[int, tuple[list[Any], ...]]]:
    """Columns for each view that has passes; computed together, as most of the time goes into calls."""
    times_s = np.concatenate([own.times_s for own in arcs])
    if not len(times_s):
        return
    edges = np.cumsum([0, *(len(own.times_s) for own in arcs)]).tolist()
    bodies_m = np.stack(sun_and_moon_itrs_m(table.t_ns(times_s[:, 1])), axis=1)
    details = np.concatenate(
        [view.details(times_s[a:b], bodies_m[a:b]) for view, (a, b) in zip(views, pairwise(edges), strict=True)]
    )
    times_ns = table.t_ns(times_s).T
    az_deg = np.degrees(details[:, :3]).T
    top_deg, sun_deg, moon_deg = np.degrees(np.arcsin(np.clip(details[:, (3, 5, 6)], -1, 1))).T
    sun_off_deg, moon_off_deg = np.degrees(np.arccos(np.clip(details[:, 7:9], -1, 1))).T
    nearest_km, lit = details[:, 4] / 1e3, details[:, 9] > 0
    numbers = [
        column.tolist()
        for column in (*times_ns, top_deg, nearest_km, sun_deg, lit, *az_deg, sun_off_deg, moon_off_deg, moon_deg)
    ]
    for k, (view, own, (a, b)) in enumerate(zip(views, arcs, pairwise(edges), strict=True)):
        if a == b:
            continue
        count = b - a
        cut = own.no_rise.any() or own.no_set.any()
        remarks = _remarks(own, ends) if cut else [()] * count
        above = _above(view, own, query.levels_deg[1:]) if len(query.levels_deg) > 1 else [()] * count
        columns = ([orbit.name] * count, *(one[a:b] for one in numbers), [query.limits] * count, remarks, above)
        yield k, _above_horizon(orbit, view, columns) if view.place.site.horizon else columns


def _above_horizon(orbit: Orbit, view: View, columns: tuple[list[Any], ...]) -> tuple[list[Any], ...]:
    """The columns with rise and set behind the site's horizon."""
    passes = [behind_horizon(one, view, view.place.site) for one in Listing(0, 0, columns).passes([orbit])]
    rows = list(zip(*passes, strict=True))
    return tuple(list(column) for column in (*rows[:_ORBIT], *rows[_ORBIT + 1 :]))


def _remarks(arcs: Arcs, ends: tuple[bool, bool]) -> list[tuple[str, ...]]:
    begin, end = _CUT['begin'][ends[0]], _CUT['end'][ends[1]]
    return [
        (begin,) * bool(no_rise) + (end,) * bool(no_set)
        for no_rise, no_set in zip(arcs.no_rise, arcs.no_set, strict=True)
    ]


def _above(view: View, arcs: Arcs, levels_deg: Sequence[float]) -> list[tuple[tuple[float, int, int], ...]]:
    """Rise and set of each interval at further elevations that it reaches."""
    times_s = view.crossings(arcs.times_s, np.sin(np.radians(levels_deg)))
    found = []
    for own in times_s:
        reached = [(level, view.table.t_ns(pair)) for level, pair in zip(levels_deg, own, strict=True) if pair[0] >= 0]
        found.append(tuple((level, int(t_ns[0]), int(t_ns[1])) for level, t_ns in reached))
    return found
