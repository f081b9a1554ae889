"""Passes of a satellite over a site: when it rises, culminates and sets, and whether the station can use it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import degrees, radians, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize.elementwise import find_minimum, find_root

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import Elements, check_age
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.sky import sun_azel, sunlit
from qkd_gs.orbit.timescale import Int64Array, format_utc
from qkd_gs.orbit.vectors import azel_from_enu, enu_from_azel, enu_rotation, site_itrs_m
from qkd_gs.settings.site import Site

log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

_SAMPLES_A_REVOLUTION = 60  # a pass of a low satellite (a twentieth of a revolution) cannot hide between two
_LONGEST_STEP_S = 600.0  # a high satellite's elevation follows the Earth's rotation
_EXTRA_NS = 1_800_000_000_000  # looked at beyond start and end, so that a pass over either is told whole
_TIME_TOLERANCE_S = 1e-5
_MISSED_SINE = 0.35  # by which a sample may stay below the maximum beside it
_RANGE_STEP_S = 10.0
_SUN_NEAR_DEG = -10.0  # at culmination: lower, and the Sun does not rise before the satellite has set
_NEAREST_NS = 12 * 3_600_000_000_000
_FAR_NS = 1_800_000_000_000


@dataclass(frozen=True)
class Limits:
    """What makes a pass usable."""

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
        """Whether nothing speaks against it."""
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

    A pass over either end is told whole, and belongs to the span it culminates in, so adjoining spans list every
    pass once.  Of several element sets each is used for the times nearest to it.  A satellite that is up for
    longer than the search sees (half an hour beyond the span) is cut to the span, which its reasons say.

    Parameters
    ----------
    source : Orbit or Elements
        One orbit, or a file's orbits (of several satellites too).
    min_elevation_deg : float
        Geometric elevation at rise and set; refraction lifts a satellite at 5 deg by 0.16 deg more.
    limits : Limits, optional
        What makes a pass usable.
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
    orbits = source.orbits if isinstance(source, Elements) else (source,)
    found = [
        one
        for orbit, first_ns, last_ns in _shares(orbits, start_ns, end_ns)
        for one in _passes_of(orbit, site, first_ns, last_ns, min_elevation_deg, limits or Limits(), force)
    ]
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
    passes = find_passes(orbit, site, t_ns - _NEAREST_NS, t_ns + _NEAREST_NS, 0.0, limits, force=True)
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
    """Cut the span among the orbits of each satellite: every time goes to the orbit nearest to it."""
    for satellite in dict.fromkeys(orbit.satellite_id for orbit in orbits):
        own = sorted((o for o in orbits if o.satellite_id == satellite), key=lambda o: o.span_ns)
        borders = [(one.span_ns[1] + two.span_ns[0]) // 2 for one, two in pairwise(own)]
        edges = [start_ns, *(min(max(border, start_ns), end_ns) for border in borders), end_ns]
        for orbit, (first_ns, last_ns) in zip(own, pairwise(edges), strict=True):
            if last_ns > first_ns:
                yield orbit, first_ns, last_ns


def _passes_of(
    orbit: Orbit, site: Site, start_ns: int, end_ns: int, min_elevation_deg: float, limits: Limits, force: bool
) -> list[Pass]:
    """Passes by one orbit."""
    reach = orbit.reach_ns
    check_age(orbit, [max(start_ns, min(end_ns, reach[0])), min(end_ns, max(start_ns, reach[1]))], force)
    if start_ns < reach[0] or end_ns > reach[1]:
        log.warning('%s: only this part of the time wanted is searched', orbit.describe())
    start_ns, end_ns = max(start_ns, reach[0]), min(end_ns, reach[1])
    view = _View(orbit, site, start_ns)
    window = (max(start_ns - _EXTRA_NS, reach[0]), min(end_ns + _EXTRA_NS, reach[1]))
    arcs = _arcs(view, window, (start_ns, end_ns), sin(radians(min_elevation_deg)))
    if not arcs:
        return []
    culminations = view.t_ns(np.array([arc.culmination_s for arc in arcs]))
    elevation, _ = view.look(culminations)
    _, sun_el = sun_azel(site, culminations)
    lit = sunlit(orbit.itrs_m(culminations), culminations)
    return [
        _judged(view, site, arc, float(elevation[k]), float(sun_el[k]), bool(lit[k]), limits)
        for k, arc in enumerate(arcs)
    ]


def _judged(
    view: _View, site: Site, arc: _Arc, elevation_rad: float, sun_rad: float, lit: bool, limits: Limits
) -> Pass:
    rise_ns, culmination_ns, set_ns = view.t_ns(np.array([arc.rise_s, arc.culmination_s, arc.set_s])).tolist()
    top_deg, sun_deg = degrees(elevation_rad), degrees(sun_rad)
    reasons = _reasons(limits, top_deg, sun_deg)
    if sun_deg > _SUN_NEAR_DEG:
        reasons += _near_sun(view, site, rise_ns, set_ns, limits)
    return Pass(
        satellite=view.orbit.name,
        rise_ns=rise_ns,
        culmination_ns=culmination_ns,
        set_ns=set_ns,
        max_elevation_deg=top_deg,
        min_range_km=_nearest_m(view, arc) / 1e3,
        sun_elevation_deg=sun_deg,
        satellite_sunlit=lit,
        reasons=(*reasons, *arc.remarks),
        orbit=view.orbit,
    )


def _nearest_m(view: _View, arc: _Arc) -> float:
    """Smallest range of a stay: near culmination its square is a parabola in time, within metres."""
    times = arc.culmination_s + np.array([-_RANGE_STEP_S, 0.0, _RANGE_STEP_S])
    before, here, after = view.look(view.t_ns(times))[1] ** 2
    bend = before - 2 * here + after
    shift_s = _RANGE_STEP_S * (before - after) / (2 * bend) if bend > 0 else 0.0
    vertex_s = min(max(arc.culmination_s + shift_s, arc.rise_s), arc.set_s)
    return float(view.look(view.t_ns(np.array([vertex_s, arc.rise_s, arc.culmination_s, arc.set_s])))[1].min())


class _View:
    """An orbit seen from a site, with time as seconds since an origin."""

    def __init__(self, orbit: Orbit, site: Site, origin_ns: int):
        self.orbit = orbit
        self.origin_ns = origin_ns
        self._site_m = site_itrs_m(site)
        self._enu = enu_rotation(site)

    def t_ns(self, t_s: FloatArray) -> Int64Array:
        """UTC of seconds since the origin."""
        return self.origin_ns + np.rint(np.asarray(t_s) * 1e9).astype(np.int64)

    def vectors_m(self, t_ns: Int64Array) -> FloatArray:
        """East-north-up vectors (n, 3)."""
        vectors: FloatArray = (self.orbit.itrs_m(t_ns) - self._site_m) @ self._enu.T
        return vectors

    def sine(self, t_s: FloatArray) -> FloatArray:
        """Sine of the elevation: as good as the elevation to compare by, and smooth through the zenith."""
        vectors = self.vectors_m(self.t_ns(t_s))
        found: FloatArray = vectors[:, 2] / np.sqrt(np.einsum('ni,ni->n', vectors, vectors))
        return found

    def look(self, t_ns: Int64Array) -> tuple[FloatArray, FloatArray]:
        """Elevation (rad) and range (m)."""
        vectors = self.vectors_m(t_ns)
        return azel_from_enu(vectors)[1], np.linalg.norm(vectors, axis=1)


@dataclass(frozen=True)
class _Arc:
    """One stay above the minimum elevation, in seconds of a view."""

    rise_s: float
    culmination_s: float
    set_s: float
    remarks: list[str]


def _arcs(view: _View, window_ns: tuple[int, int], span_ns: tuple[int, int], low: float) -> list[_Arc]:
    """Stays above the sine `low` that culminate in the span (or are cut by the window), in order."""
    first_s, last_s, start_s, end_s = ((t - view.origin_ns) * 1e-9 for t in (*window_ns, *span_ns))
    step_s = min(view.orbit.period_s() / _SAMPLES_A_REVOLUTION, _LONGEST_STEP_S)
    t_s = np.linspace(first_s, last_s, max(int((last_s - first_s) / step_s) + 2, 5))
    t_s = np.unique(np.concatenate((t_s, [start_s, end_s])))
    sine = view.sine(t_s)
    tops = _maxima(view, t_s, sine, low)
    t_s = np.concatenate((t_s, tops))
    sine = np.concatenate((sine, view.sine(tops)))
    order = np.argsort(t_s)
    t_s, sine = t_s[order], sine[order]

    up = sine > low
    change = np.flatnonzero(up[1:] != up[:-1])
    crossings = _crossings(view, t_s[change], t_s[change + 1], low)
    edges = np.concatenate(([t_s[0]] if up[0] else [], crossings, [t_s[-1]] if up[-1] else []))
    found = []
    for up_s, down_s in edges.reshape(-1, 2).tolist():
        no_rise, no_set = bool(up_s == t_s[0]), bool(down_s == t_s[-1])
        rise_s, set_s = start_s if no_rise else up_s, end_s if no_set else down_s
        remarks = ['already up where the search begins'] * no_rise + ['still up where the search ends'] * no_set
        inside = (t_s >= rise_s) & (t_s <= set_s)
        if not inside.any():
            continue
        top_s = float(t_s[inside][np.argmax(sine[inside])])
        if start_s <= top_s < end_s or remarks:
            found.append(_Arc(rise_s, top_s, set_s, remarks))
    return found


def _maxima(view: _View, t_s: FloatArray, sine: FloatArray, low: float) -> FloatArray:
    """Times of the maxima that may be above `low`, each refined between its samples."""
    middle = sine[1:-1]
    is_top = (middle >= sine[:-2]) & (middle > sine[2:]) & (middle > low - _MISSED_SINE)
    k = np.flatnonzero(is_top) + 1
    if k.size == 0:
        return np.empty(0)
    result = find_minimum(
        lambda t: -view.sine(t.ravel()).reshape(t.shape),
        (t_s[k - 1], t_s[k], t_s[k + 1]),
        tolerances={'xatol': _TIME_TOLERANCE_S, 'xrtol': 0},
    )
    times: FloatArray = result.x
    return times


def _crossings(view: _View, before_s: FloatArray, after_s: FloatArray, low: float) -> FloatArray:
    """Times at which the sine of the elevation passes `low`, each between its brackets."""
    if before_s.size == 0:
        return np.empty(0)
    result = find_root(
        lambda t: view.sine(t.ravel()).reshape(t.shape) - low,
        (before_s, after_s),
        tolerances={'xatol': _TIME_TOLERANCE_S, 'xrtol': 0, 'fatol': 0},
    )
    times: FloatArray = result.x
    return times


def _reasons(limits: Limits, top_deg: float, sun_deg: float) -> list[str]:
    reasons = []
    if sun_deg > limits.sun_elevation_deg:
        reasons.append(f'Sun at {sun_deg:.1f} deg, above {limits.sun_elevation_deg:g}')
    if top_deg < limits.culmination_deg:
        reasons.append(f'culminates at {top_deg:.1f} deg, below {limits.culmination_deg:g}')
    return reasons


def _near_sun(view: _View, site: Site, rise_ns: int, set_ns: int, limits: Limits) -> list[str]:
    """Whether the line of sight comes near the Sun while it is up."""
    t_ns = np.linspace(rise_ns, set_ns, 61).astype(np.int64)
    sun_az, sun_el = sun_azel(site, t_ns, refracted=True)
    vectors = view.vectors_m(t_ns)
    cosine = np.einsum('ni,ni->n', vectors, enu_from_azel(sun_az, sun_el)) / np.linalg.norm(vectors, axis=1)
    cosine = cosine[sun_el > 0]
    nearest_deg = degrees(np.arccos(min(float(cosine.max()), 1.0))) if cosine.size else 180.0
    if nearest_deg >= limits.sun_separation_deg:
        return []
    return [f'passes {nearest_deg:.0f} deg from the Sun, within {limits.sun_separation_deg:g}']
