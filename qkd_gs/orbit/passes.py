"""Passes of a satellite over a site: when it rises, culminates and sets, and whether the station can use it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, repeat
from math import degrees, radians, sin
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import WARN_DAYS, Elements, check_age
from qkd_gs.orbit.ephemerides.ephemeris import Ephemeris
from qkd_gs.orbit.horizon import behind_horizon
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.search.arcs import Arcs, PathTable, View
from qkd_gs.orbit.search.exact_arcs import ExactView, find_arcs
from qkd_gs.orbit.timescale import DAY_NS, format_utc
from qkd_gs.orbit.vectors import azel_from_enu
from qkd_gs.settings.site import Site

log = logging.getLogger(__name__)


_EXTRA_NS = 1_800_000_000_000  # margin of the search, so that passes across start and end are complete
_NEAREST_NS = 12 * 3_600_000_000_000
_FAR_NS = 1_800_000_000_000
_MANY = 5  # satellites: from here on old elements are counted, not named
_CHUNK_NS = 32 * DAY_NS  # of one table: memory
_CUT = {'begin': ('already up where the search begins', 'already up where the ephemeris begins'),
        'end': ('still up where the search ends', 'still up where the ephemeris ends')}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Limits for a usable pass."""

    sun_elevation_deg: float = -6.0  # civil twilight: above it the sky's light drowns the single photons
    culmination_deg: float = 20.0  # below it no key is made at all
    sun_separation_deg: float = 15.0  # of the line of sight from the Sun while it is up: stray light, and danger


class Pass(NamedTuple):
    """One pass; elevations are geometric (no refraction, no light-time), as catalogues of passes give them."""

    satellite: str
    rise_ns: int  # UTC; where the search begins if the satellite is up then
    culmination_ns: int
    set_ns: int
    max_elevation_deg: float
    min_range_km: float
    sun_elevation_deg: float  # geometric, at culmination
    satellite_sunlit: bool  # at culmination
    orbit: Orbit
    rise_az_deg: float
    culmination_az_deg: float
    set_az_deg: float
    sun_separation_deg: float  # smallest angle of the line of sight to the Sun while it is up; 180: it is not
    moon_separation_deg: float  # the same to the Moon
    moon_elevation_deg: float  # geometric, at culmination
    limits: Limits
    remarks: tuple[str, ...] = ()  # how the pass is cut, or hidden by the site's horizon
    above: tuple[tuple[float, int, int], ...] = ()  # (elevation deg, UTC rise, UTC set) for further elevations

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it cannot be used; empty if it can."""
        reasons = []
        limits = self.limits
        if self.sun_elevation_deg > limits.sun_elevation_deg:
            reasons.append(f'Sun at {self.sun_elevation_deg:.1f} deg, above {limits.sun_elevation_deg:g}')
        if self.max_elevation_deg < limits.culmination_deg:
            reasons.append(f'culminates at {self.max_elevation_deg:.1f} deg, below {limits.culmination_deg:g}')
        if self.sun_separation_deg < limits.sun_separation_deg:
            off_deg = self.sun_separation_deg
            reasons.append(f'passes {off_deg:.0f} deg from the Sun, within {limits.sun_separation_deg:g}')
        return (*reasons, *self.remarks)

    @property
    def usable(self) -> bool:
        """Whether there are no reasons against it."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """The pass for JSON: times as ISO 8601 UTC with milliseconds."""
        return {
            'satellite': self.satellite,
            'rise': format_utc(self.rise_ns),
            'culmination': format_utc(self.culmination_ns),
            'set': format_utc(self.set_ns),
            'max_elevation_deg': round(self.max_elevation_deg, 4),
            'min_range_km': round(self.min_range_km, 3),
            'sun_elevation_deg': round(self.sun_elevation_deg, 3),
            'satellite_sunlit': self.satellite_sunlit,
            'usable': self.usable,
            'reasons': list(self.reasons),
            'rise_az_deg': round(self.rise_az_deg, 4),
            'culmination_az_deg': round(self.culmination_az_deg, 4),
            'set_az_deg': round(self.set_az_deg, 4),
            'sun_separation_deg': round(self.sun_separation_deg, 3) if self.sun_separation_deg < 180 else None,
            'moon_separation_deg': round(self.moon_separation_deg, 3) if self.moon_separation_deg < 180 else None,
            'moon_elevation_deg': round(self.moon_elevation_deg, 3),
            'above': [
                {'elevation_deg': el, 'rise': format_utc(rise), 'set': format_utc(set_)}
                for el, rise, set_ in self.above
            ],
        }


def find_passes(
    source: Orbit | Elements,
    site: Site,
    start_ns: int,
    end_ns: int,
    min_elevation_deg: float | Sequence[float] = 5.0,
    limits: Limits | None = None,
    force: bool = False,
    in_progress: bool = False,
) -> list[Pass]:
    """Passes that culminate from `start_ns` to `end_ns` (UTC; the end excluded), in the order of culmination.

    A pass across either end is listed completely, in the span in which it culminates, so adjoining spans list every
    pass once.  Of several element sets each is used for the times nearest to it.  A satellite that is up for
    longer than the search covers (half an hour beyond the span) is cut to the span, with a reason.

    Parameters
    ----------
    source : Orbit or Elements
        One orbit, or a file's orbits (of several satellites too).
    min_elevation_deg : float or sequence of float
        Geometric elevation at rise and set; refraction lifts a satellite at 5 deg by 0.16 deg more.  Of several the
        lowest counts; when the satellite passes the others is in `Pass.above`.
    limits : Limits, optional
        Limits for a usable pass.
    force : bool
        Use elements older than 60 days.
    in_progress : bool
        List passes under way at the start that have culminated, too.

    Raises
    ------
    StationError
        End not after start, elements too old, or an ephemeris that covers nothing of the span.
    """
    return find_passes_of_sites(source, [site], start_ns, end_ns, min_elevation_deg, limits, force, in_progress)[0]


def find_passes_of_sites(
    source: Orbit | Elements,
    sites: Sequence[Site],
    start_ns: int,
    end_ns: int,
    min_elevation_deg: float | Sequence[float] = 5.0,
    limits: Limits | None = None,
    force: bool = False,
    in_progress: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Pass]]:
    """Passes over several sites, a list for each; the path of a satellite is computed once for all.

    Parameters and errors are those of `find_passes`; `progress` is told how many satellites are done, and of how many.
    """
    levels = np.unique(np.asarray(min_elevation_deg, dtype=np.float64)).tolist()
    if end_ns <= start_ns:
        raise StationError(f'the search ends at {format_utc(end_ns)}, not after its start {format_utc(start_ns)}')
    if not levels or not (levels[0] >= -90 and levels[-1] < 90):
        raise StationError(f'a minimum elevation of {min_elevation_deg} deg is not from -90 to 90')
    satellites = source.by_satellite if isinstance(source, Elements) else [[source]]
    query = _Query(tuple(levels), limits or Limits(), in_progress)
    found: list[list[Pass]] = [[] for _ in sites]
    refused: list[StationError] = []
    old = 0
    with _collector_paused():
        for done, orbits in enumerate(satellites):
            if progress is not None:
                progress(done, len(satellites))
            try:
                for orbit, first_ns, last_ns in _shares(orbits, start_ns, end_ns):
                    if not isinstance(orbit, Ephemeris):
                        quiet = len(satellites) > _MANY
                        old += abs(check_age(orbit, (first_ns, last_ns), force, quiet)) > WARN_DAYS and quiet
                    reach = _reach(orbit, first_ns, last_ns)
                    for k, own in enumerate(_passes_of(orbit, sites, *reach, query)):
                        found[k] += own
            except StationError as error:
                refused.append(error)
    if len(refused) == len(satellites):
        raise refused[0]
    if old:
        log.warning('%d element sets are more than %.0f days away from the requested time', old, WARN_DAYS)
    for left_out in refused:
        log.warning('%s; the satellite is left out', left_out)
    for passes in found:
        passes.sort(key=attrgetter('culmination_ns'))
    return found


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No search for cyclic garbage meanwhile: it would look at every pass again and again; passes make no cycles."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


class _Query(NamedTuple):
    levels_deg: tuple[float, ...]  # ascending; the first bounds the passes
    limits: Limits
    in_progress: bool


def pass_nearest(elements: Elements, site: Site, t_ns: int, limits: Limits | None = None, force: bool = False) -> Pass:
    """The pass that culminates nearest to `t_ns`, by the element set nearest to it; rise and set at 0 deg.

    Raises
    ------
    StationError
        No pass within 12 hours, or one that culminates too low; the hint names the nearest that does not.
    """
    limits = limits or Limits()
    orbit = elements.nearest(t_ns, force)
    reach = _reach(orbit, t_ns - _NEAREST_NS, t_ns + _NEAREST_NS)
    (passes,) = _passes_of(orbit, [site], *reach, _Query((0.0,), limits, in_progress=False))
    passes.sort(key=lambda one: abs(one.culmination_ns - t_ns))
    if not passes:
        raise StationError(
            f'{orbit.name} does not rise over {site.name} within 12 h of {format_utc(t_ns, 0)}',
            hint='qkd-gs passes lists its passes',
        )
    first = passes[0]
    if first.max_elevation_deg < limits.culmination_deg:
        better = next((one for one in passes if one.max_elevation_deg >= limits.culmination_deg), None)
        raise StationError(
            f'the pass of {orbit.name} nearest to {format_utc(t_ns, 0)} culminates at'
            f' {first.max_elevation_deg:.1f} deg, below {limits.culmination_deg:g}',
            hint=f'the nearest higher one culminates at {format_utc(better.culmination_ns, 0)}' if better else None,
        )
    first = _exactly(first, site, reach)
    log.log(
        logging.WARNING if abs(first.culmination_ns - t_ns) > _FAR_NS else logging.INFO,
        'the pass nearest to %s culminates at %s',
        format_utc(t_ns, 0),
        format_utc(first.culmination_ns, 0),
    )
    return first


def _exactly(one: Pass, site: Site, reach_ns: tuple[int, int]) -> Pass:
    """A listed pass with its times computed without interpolation."""
    start_ns, end_ns = reach_ns
    view = ExactView(one.orbit, site, start_ns)
    window_ns = one.orbit.reach_ns(start_ns - _EXTRA_NS, end_ns + _EXTRA_NS)
    window_s = ((window_ns[0] - start_ns) * 1e-9, (window_ns[1] - start_ns) * 1e-9)
    arcs = find_arcs(view, window_s, (0.0, (end_ns - start_ns) * 1e-9), 0.0)
    times_ns = view.t_ns(np.array([(arc.rise_s, arc.culmination_s, arc.set_s) for arc in arcs]))
    nearest = int(np.abs(times_ns[:, 1] - one.culmination_ns).argmin())
    rise_ns, culmination_ns, set_ns = times_ns[nearest].tolist()
    top_rad = azel_from_enu(view.vectors_m(np.array([arcs[nearest].culmination_s])))[1]
    return one._replace(
        rise_ns=rise_ns, culmination_ns=culmination_ns, set_ns=set_ns, max_elevation_deg=degrees(top_rad[0])
    )


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


def _reach(orbit: Orbit, first_ns: int, last_ns: int) -> tuple[int, int]:
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


def _passes_of(orbit: Orbit, sites: Sequence[Site], start_ns: int, end_ns: int, query: _Query) -> list[list[Pass]]:
    """Passes by one orbit over each site, within a span that it reaches."""
    found: list[list[Pass]] = [[] for _ in sites]
    for first_ns in range(start_ns, end_ns, _CHUNK_NS):
        last_ns = min(first_ns + _CHUNK_NS, end_ns)
        window_ns = orbit.reach_ns(first_ns - _EXTRA_NS, last_ns + _EXTRA_NS)
        table = PathTable(orbit, *window_ns)
        # cut by the rows of an ephemeris, if the table ends before its margin
        ends = (window_ns[0] > first_ns - _EXTRA_NS, window_ns[1] < last_ns + _EXTRA_NS)
        span_s = ((first_ns - window_ns[0]) * 1e-9, (last_ns - window_ns[0]) * 1e-9)
        running = query.in_progress and first_ns == start_ns
        for k, site in enumerate(sites):
            found[k] += _passes_over(orbit, table.seen_from(site), site, span_s, query, ends, running)
    return found


def _passes_over(
    orbit: Orbit,
    view: View,
    site: Site,
    span_s: tuple[float, float],
    query: _Query,
    ends: tuple[bool, bool],
    running: bool,
) -> list[Pass]:
    """Passes over one site that culminate in a span of the table; `running`: those under way at its begin, too."""
    arcs = view.arcs(sin(radians(query.levels_deg[0])), span_s, running)
    if not len(arcs.times_s):
        return []
    details = view.details(arcs.times_s)
    times_ns = view.table.t_ns(arcs.times_s).T.tolist()
    az_deg = np.degrees(details[:, :3]).T.tolist()
    top_deg, sun_deg, moon_deg = np.degrees(np.arcsin(np.clip(details[:, (3, 5, 6)], -1, 1))).T.tolist()
    sun_off_deg, moon_off_deg = np.degrees(np.arccos(np.clip(details[:, 7:9], -1, 1))).T.tolist()
    count = len(top_deg)
    remarks = _remarks(arcs, ends) if arcs.no_rise.any() or arcs.no_set.any() else repeat((), count)
    above = _above(view, arcs, query.levels_deg[1:]) if len(query.levels_deg) > 1 else repeat((), count)
    columns = (
        repeat(orbit.name, count), *times_ns, top_deg, (details[:, 4] / 1e3).tolist(), sun_deg,
        (details[:, 9] > 0).tolist(), repeat(orbit, count), *az_deg, sun_off_deg, moon_off_deg, moon_deg,
        repeat(query.limits, count), remarks, above,
    )  # fmt: skip
    passes: list[Pass] = list(map(tuple.__new__, repeat(Pass), zip(*columns, strict=True)))  # type: ignore[arg-type]
    return [behind_horizon(one, view, site) for one in passes] if site.horizon else passes


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
