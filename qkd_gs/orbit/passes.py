"""Passes of a satellite over a site: when it rises, culminates and sets, and whether the station can use it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from math import degrees
from operator import attrgetter

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import WARN_DAYS, Elements
from qkd_gs.orbit.listing import EXTRA_NS, Listing, Query, list_orbit, reach
from qkd_gs.orbit.listing_pool import list_satellites
from qkd_gs.orbit.pass_record import Limits, Pass
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.search.arcs import Place
from qkd_gs.orbit.search.exact_arcs import ExactView, find_arcs
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.vectors import azel_from_enu
from qkd_gs.settings.site import Site

__all__ = ['Limits', 'Pass', 'find_passes', 'find_passes_of_sites', 'pass_nearest']

log = logging.getLogger(__name__)

_NEAREST_NS = 12 * 3_600_000_000_000
_FAR_NS = 1_800_000_000_000
_MANY = 5  # satellites: from here on old elements are counted, not named


def find_passes(
    source: Orbit | Elements,
    site: Site,
    start_ns: int,
    end_ns: int,
    min_elevation_deg: float | Sequence[float] = 5.0,
    limits: Limits | None = None,
    force: bool = False,
    in_progress: bool = False,
    processes: int | None = 1,
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
    processes : int, optional
        Divide the satellites among at most so many; None: as many as there are processors, for a search that takes
        seconds.  The passes are the same.  A program with threads of its own stays one process.

    Raises
    ------
    StationError
        End not after start, elements too old, or an ephemeris that covers nothing of the span.
    """
    return find_passes_of_sites(
        source, [site], start_ns, end_ns, min_elevation_deg, limits, force, in_progress, None, processes
    )[0]


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
    processes: int | None = 1,
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
    query = Query(start_ns, end_ns, tuple(levels), limits or Limits(), in_progress, force)
    places = [Place.of(site) for site in sites]
    found: list[list[Pass]] = [[] for _ in sites]
    refused: list[StationError] = []
    old = 0
    with _collector_paused():
        for done, (orbits, outcome) in enumerate(
            list_satellites(satellites, places, query, len(satellites) > _MANY, processes)
        ):
            if isinstance(outcome, StationError):
                refused.append(outcome)
            else:
                listings, old_sets = outcome
                old += old_sets
                for listing in listings:
                    found[listing.site] += listing.passes(orbits)
            if progress is not None:
                progress(done + 1, len(satellites))
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


def pass_nearest(elements: Elements, site: Site, t_ns: int, limits: Limits | None = None, force: bool = False) -> Pass:
    """The pass that culminates nearest to `t_ns`, by the element set nearest to it; rise and set at 0 deg.

    Raises
    ------
    StationError
        No pass within 12 hours, or one that culminates too low; the hint names the nearest that does not.
    """
    limits = limits or Limits()
    orbit = elements.nearest(t_ns, force)
    span = reach(orbit, t_ns - _NEAREST_NS, t_ns + _NEAREST_NS)
    query = Query(*span, (0.0,), limits, in_progress=False, force=force)
    found = list_orbit(orbit, [Place.of(site)], *span, query)
    passes = list(chain.from_iterable(Listing(0, 0, columns).passes([orbit]) for _, columns in found))
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
    first = _exactly(first, site, span)
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
    window_ns = one.orbit.reach_ns(start_ns - EXTRA_NS, end_ns + EXTRA_NS)
    window_s = ((window_ns[0] - start_ns) * 1e-9, (window_ns[1] - start_ns) * 1e-9)
    arcs = find_arcs(view, window_s, (0.0, (end_ns - start_ns) * 1e-9), 0.0)
    times_ns = view.t_ns(np.array([(arc.rise_s, arc.culmination_s, arc.set_s) for arc in arcs]))
    nearest = int(np.abs(times_ns[:, 1] - one.culmination_ns).argmin())
    rise_ns, culmination_ns, set_ns = times_ns[nearest].tolist()
    top_rad = azel_from_enu(view.vectors_m(np.array([arcs[nearest].culmination_s])))[1]
    return one._replace(
        rise_ns=rise_ns, culmination_ns=culmination_ns, set_ns=set_ns, max_elevation_deg=degrees(top_rad[0])
    )
