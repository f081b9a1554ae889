"""Passes of a satellite over a site: when it rises, culminates and sets, and whether the station can use it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import degrees, pi, radians, sin
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.arcs import Arc, View, find_arcs, lengths
from qkd_gs.orbit.elements import Elements, check_age
from qkd_gs.orbit.ephemeris import Ephemeris
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.rotation import turn_z
from qkd_gs.orbit.sky import sun_azel, sunlit
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel
from qkd_gs.settings.site import Site

log = logging.getLogger(__name__)


_EXTRA_NS = 1_800_000_000_000  # margin of the search, so that passes across start and end are complete
_RANGE_STEP_S = 10.0
_SUN_NEAR_DEG = -10.0  # at culmination: lower, and the Sun does not rise before the satellite has set
_SUN_SAMPLES = 61
_SUN_RATE_RAD_S = 2 * pi / 86400
_SUNRISE_DEG = -0.83  # geometric, of the centre: refraction and half the disk
_NEAREST_NS = 12 * 3_600_000_000_000
_FAR_NS = 1_800_000_000_000


@dataclass(frozen=True)
class Limits:
    """Limits for a usable pass."""

    sun_elevation_deg: float = -6.0  # civil twilight: above it the sky's light drowns the single photons
    culmination_deg: float = 20.0  # below it no key is made at all
    sun_separation_deg: float = 15.0  # of the line of sight from the Sun while it is up: stray light, and danger


@dataclass(frozen=True)
class Pass:
    """One pass; elevations are geometric (no refraction, no light-time), as catalogues of passes give them."""

    satellite: str
    rise_ns: int  # UTC; where the search begins if the satellite is up then
    culmination_ns: int
    set_ns: int
    max_elevation_deg: float
    min_range_km: float
    sun_elevation_deg: float  # geometric, at culmination
    satellite_sunlit: bool  # at culmination
    reasons: tuple[str, ...]  # why it cannot be used; empty if it can
    orbit: Orbit = field(repr=False, compare=False)

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
        }


def find_passes(
    source: Orbit | Elements,
    site: Site,
    start_ns: int,
    end_ns: int,
    min_elevation_deg: float = 5.0,
    limits: Limits | None = None,
    force: bool = False,
) -> list[Pass]:
    """Passes that culminate from `start_ns` to `end_ns` (UTC; the end excluded), in the order of culmination.

    A pass across either end is listed completely, in the span in which it culminates, so adjoining spans list every
    pass once.  Of several element sets each is used for the times nearest to it.  A satellite that is up for
    longer than the search covers (half an hour beyond the span) is cut to the span, with a reason.

    Parameters
    ----------
    source : Orbit or Elements
        One orbit, or a file's orbits (of several satellites too).
    min_elevation_deg : float
        Geometric elevation at rise and set; refraction lifts a satellite at 5 deg by 0.16 deg more.
    limits : Limits, optional
        Limits for a usable pass.
    force : bool
        Use elements older than 60 days.

    Raises
    ------
    StationError
        End not after start, elements too old, or an ephemeris that covers nothing of the span.
    """
    if end_ns <= start_ns:
        raise StationError(f'the search ends at {format_utc(end_ns)}, not after its start {format_utc(start_ns)}')
    if not -90 <= min_elevation_deg < 90:
        raise StationError(f'a minimum elevation of {min_elevation_deg:g} deg is not from -90 to 90')
    satellites = source.by_satellite if isinstance(source, Elements) else [[source]]
    found: list[Pass] = []
    refused: list[StationError] = []
    for orbits in satellites:
        try:
            for orbit, first_ns, last_ns in _shares(orbits, start_ns, end_ns):
                reach = _reach(orbit, first_ns, last_ns)
                check_age(orbit, reach, force)
                found += _passes_of(orbit, site, *reach, min_elevation_deg, limits or Limits())
        except StationError as error:
            refused.append(error)
    if len(refused) == len(satellites):
        raise refused[0]
    for left_out in refused:
        log.warning('%s; the satellite is left out', left_out)
    return sorted(found, key=lambda one: one.culmination_ns)


def pass_nearest(elements: Elements, site: Site, t_ns: int, limits: Limits | None = None, force: bool = False) -> Pass:
    """The pass that culminates nearest to `t_ns`, by the element set nearest to it; rise and set at 0 deg.

    Raises
    ------
    StationError
        No pass within 12 hours, or one that culminates too low; the hint names the nearest that does not.
    """
    limits = limits or Limits()
    orbit = elements.nearest(t_ns, force)
    passes = _passes_of(orbit, site, *_reach(orbit, t_ns - _NEAREST_NS, t_ns + _NEAREST_NS), 0.0, limits)
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
    log.log(
        logging.WARNING if abs(first.culmination_ns - t_ns) > _FAR_NS else logging.INFO,
        'the pass nearest to %s culminates at %s',
        format_utc(t_ns, 0),
        format_utc(first.culmination_ns, 0),
    )
    return first


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


def _passes_of(
    orbit: Orbit, site: Site, start_ns: int, end_ns: int, min_elevation_deg: float, limits: Limits
) -> list[Pass]:
    """Passes by one orbit, within a span that it reaches."""
    view = View(orbit, site, start_ns)
    window_ns = orbit.reach_ns(start_ns - _EXTRA_NS, end_ns + _EXTRA_NS)
    window_s = ((window_ns[0] - start_ns) * 1e-9, (window_ns[1] - start_ns) * 1e-9)
    arcs = find_arcs(view, window_s, (0.0, (end_ns - start_ns) * 1e-9), sin(radians(min_elevation_deg)))
    return _passes_from(view, site, arcs, limits) if arcs else []


def _passes_from(view: View, site: Site, arcs: list[Arc], limits: Limits) -> list[Pass]:
    """Passes from the intervals: elevations, ranges, light, and reasons against using them."""
    times_s = np.array([(arc.rise_s, arc.culmination_s, arc.set_s) for arc in arcs])
    times_ns = view.t_ns(times_s)
    top_rad = azel_from_enu(view.vectors_m(times_s[:, 1]))[1]
    near_m = _nearest_m(view, times_s)
    sun_az, sun_el = sun_azel(site, times_ns[:, 1])
    sun_off_deg = np.full(len(arcs), 180.0)
    day = np.degrees(sun_el) > _SUN_NEAR_DEG
    if day.any():
        sun_off_deg[day] = _sun_separation_deg(view, times_s[day], enu_from_azel(sun_az[day], sun_el[day]))
    lit = sunlit(view.orbit.itrs_m(times_ns[:, 1]), times_ns[:, 1])
    found = []
    for k, arc in enumerate(arcs):
        rise_ns, culmination_ns, set_ns = times_ns[k].tolist()
        top_deg, sun_deg = degrees(top_rad[k]), degrees(sun_el[k])
        found.append(
            Pass(
                satellite=view.orbit.name,
                rise_ns=rise_ns,
                culmination_ns=culmination_ns,
                set_ns=set_ns,
                max_elevation_deg=top_deg,
                min_range_km=float(near_m[k]) / 1e3,
                sun_elevation_deg=sun_deg,
                satellite_sunlit=bool(lit[k]),
                reasons=(*_reasons(limits, top_deg, sun_deg, float(sun_off_deg[k])), *arc.remarks),
                orbit=view.orbit,
            )
        )
    return found


def _nearest_m(view: View, times_s: FloatArray) -> FloatArray:
    """Smallest range (n,) of intervals given by rise, culmination, set (n, 3).

    Near culmination the square of the range is a parabola in time, within metres.
    """
    rise_s, top_s, set_s = times_s.T
    steps = np.array([-_RANGE_STEP_S, 0.0, _RANGE_STEP_S])
    middle_s = np.clip(top_s, rise_s + _RANGE_STEP_S, set_s - _RANGE_STEP_S)
    before, here, after = (lengths(view.vectors_m(middle_s[:, None] + steps)) ** 2).T
    bend = before - 2 * here + after
    shift_s = np.where(bend > 0, _RANGE_STEP_S * (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    vertex_s = np.clip(middle_s + shift_s, rise_s, set_s)
    nearest: FloatArray = lengths(view.vectors_m(np.column_stack((times_s, vertex_s)))).min(axis=1)
    return nearest


def _sun_separation_deg(view: View, times_s: FloatArray, sun_enu: FloatArray) -> FloatArray:
    """Smallest angle (n,) from the line of sight to the Sun while it is up; 180 where it is not.

    The Sun's place is known for culmination, `sun_enu` (n, 3); it turns about the Earth's axis meanwhile.
    """
    t_s = np.linspace(times_s[:, 0], times_s[:, 2], _SUN_SAMPLES, axis=1)
    turned_rad = _SUN_RATE_RAD_S * (t_s - times_s[:, 1:2])
    sun_itrs = np.repeat(sun_enu @ view.enu, _SUN_SAMPLES, axis=0)
    sun = turn_z(sun_itrs, -turned_rad.ravel()).reshape(*t_s.shape, 3) @ view.enu.T
    sight = view.vectors_m(t_s)
    cosine = np.einsum('...i,...i->...', sight, sun) / lengths(sight)
    up = sun[..., 2] > sin(radians(_SUNRISE_DEG))
    return np.asarray(np.degrees(np.arccos(np.where(up, np.clip(cosine, -1, 1), -1.0))).min(axis=1))


def _reasons(limits: Limits, top_deg: float, sun_deg: float, sun_off_deg: float) -> list[str]:
    reasons = []
    if sun_deg > limits.sun_elevation_deg:
        reasons.append(f'Sun at {sun_deg:.1f} deg, above {limits.sun_elevation_deg:g}')
    if top_deg < limits.culmination_deg:
        reasons.append(f'culminates at {top_deg:.1f} deg, below {limits.culmination_deg:g}')
    if sun_off_deg < limits.sun_separation_deg:
        reasons.append(f'passes {sun_off_deg:.0f} deg from the Sun, within {limits.sun_separation_deg:g}')
    return reasons
