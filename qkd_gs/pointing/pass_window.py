"""Pass windows: which pass to track, its start and end, and the plan for it."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from typing import NamedTuple

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.horizon import horizon_rad
from qkd_gs.orbit.passes import Pass, find_passes, pass_nearest
from qkd_gs.orbit.sky import sun_azel
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.light_limits import LightLimits
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.plan import PassPlan, plan_pass
from qkd_gs.pointing.slew import slew
from qkd_gs.pointing.sun_path import nearest_sun_of_slew
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

ARMED_S = 30.0  # how long the mount waits at the first point
_ARMED_NS = round(ARMED_S * 1e9)
_AFTER_NS = 60 * 10**9  # to park
_STEP_NS = 100_000_000
_DAY_NS = 86400 * 10**9
_LONGEST_NS = 900 * 10**9  # half of the longest pass


class PassWindow(NamedTuple):
    """A pass, its predicted trajectory, and the time span above the start elevation."""

    found: Pass
    predicted: Trajectory
    start_ns: int  # UTC; from the station's start elevation to its end elevation
    end_ns: int


def pass_window_nearest(
    elements: Elements, site: Site, at_ns: int, station: StationSettings, force: bool = False
) -> PassWindow:
    """Window of the pass nearest to a time.

    Raises
    ------
    StationError
        No such pass, or one that stays below the start elevation.
    """
    return _window(pass_nearest(elements, site, at_ns, force=force), site, station)


def next_pass_window(elements: Elements, site: Site, now_ns: int, station: StationSettings) -> PassWindow | None:
    """Window of the pass under way, or of the next usable one within a day; None if there is none.

    Raises
    ------
    StationError
        The elements are too old.
    """
    lowest_deg = max(station.tracking.start_el_deg, 1.0)
    for found in find_passes(elements, site, now_ns - _LONGEST_NS, now_ns + _DAY_NS, min_elevation_deg=lowest_deg):
        if found.usable and found.set_ns + _AFTER_NS > now_ns:  # refraction lifts it a little longer
            window = _window(found, site, station)
            if window.end_ns > now_ns:
                return window
    return None


def _window(found: Pass, site: Site, station: StationSettings) -> PassWindow:
    predicted = Trajectory.predict(
        found.orbit, site, found.rise_ns - 2 * _ARMED_NS, found.set_ns + _AFTER_NS + 10 * _STEP_NS
    )
    tracking = station.tracking
    span_ns = above(predicted, found, radians(tracking.start_el_deg), radians(tracking.end_el_deg))
    return PassWindow(found, predicted, *span_ns)


def above(predicted: Trajectory, found: Pass, start_el_rad: float, end_el_rad: float) -> tuple[int, int]:
    """First UTC (ns, on a grid of 0.1 s) above the start elevation and last one above the end elevation, as seen.

    Raises
    ------
    StationError
        The pass stays below one of them.
    """
    t_ns = np.arange(found.rise_ns - 60 * 10**9, found.set_ns + 60 * 10**9, _STEP_NS, dtype=np.int64)
    el_rad = predicted.table(t_ns).el_rad
    if np.count_nonzero(el_rad >= max(start_el_rad, end_el_rad)) < 2:
        raise StationError(
            f'the pass that culminates at {format_utc(found.culmination_ns, 0)} only reaches '
            f'{found.max_elevation_deg:.1f} deg',
            where='--at',
            hint='choose another one with `qkd-gs passes`',
        )
    return int(t_ns[el_rad >= start_el_rad][0]), int(t_ns[el_rad >= end_el_rad][-1])


def spans_without_light(
    predicted: Trajectory, start_ns: int, end_ns: int, station: StationSettings, site: Site
) -> tuple[str, ...]:
    """Parts of a pass in which keep-out sectors or permitted times forbid light, in words; empty: none."""
    t_ns = np.arange(start_ns, end_ns + 1, 10**9, dtype=np.int64)
    seen = predicted.table(t_ns)
    up = seen.el_rad >= radians(station.beacon.on_above_el_deg)
    limits = LightLimits(station.laser_safety, site.time_zone, station.beacon.divergence_mrad * 1e-3)
    return limits.along(t_ns[up], seen.az_rad[up], seen.el_rad[up])


def plan_against_sun(
    predicted: Trajectory, start_ns: int, end_ns: int, model: MountModel, station: StationSettings, site: Site
) -> PassPlan:
    """Plan of a whole pass over a site: see `plan_pass`; with the site's Sun, its horizon, and the slews.

    Its notes also tell where along the pass our beacon must be dark.

    Raises
    ------
    StationError
        As `plan_pass`; or the pass stays behind the horizon, or a slew comes too close to the Sun.
    """

    def sun(t_ns: IntArray) -> tuple[FloatArray, FloatArray]:
        return sun_azel(site, t_ns, refracted=True)

    exclusion_rad = radians(station.sun.exclusion_deg)
    start_ns, end_ns, notes = within_horizon(predicted, start_ns, end_ns, site)
    plan = plan_pass(predicted, start_ns, end_ns, model, station.mount, sun=sun, sun_exclusion_rad=exclusion_rad)
    parked = (radians(station.mount.park_az_deg), radians(station.mount.park_el_deg))
    ends = predicted.table(np.array([plan.start_ns, plan.end_ns], dtype=np.int64))
    el = model.encoder_command(ends).el_rad.tolist()
    there = slew(parked, (float(plan.az_path[0]), el[0]), station.mount)
    back = slew((float(plan.az_path[-1]), el[1]), parked, station.mount)
    leaves_ns = plan.start_ns - _ARMED_NS - round(there.duration_s * 1e9)
    nearest = (
        plan.nearest_sun_rad,
        nearest_sun_of_slew(there, leaves_ns, model, sun, exclusion_rad, 'the slew to the start of the pass'),
        nearest_sun_of_slew(back, plan.end_ns, model, sun, exclusion_rad, 'the slew to the park position'),
    )
    dark = spans_without_light(predicted, plan.start_ns, plan.end_ns, station, site)
    return replace(plan, nearest_sun_rad=min(nearest), slew_s=there.duration_s, notes=(*notes, *plan.notes, *dark))


def within_horizon(predicted: Trajectory, start_ns: int, end_ns: int, site: Site) -> tuple[int, int, tuple[str, ...]]:
    """First and last UTC (ns) of a span at which the satellite is above the site's horizon, and notes on what is not.

    Raises
    ------
    StationError
        It stays behind the horizon.
    """
    if not site.horizon:
        return start_ns, end_ns, ()
    t_ns = np.arange(start_ns, end_ns + 1, _STEP_NS, dtype=np.int64)
    target = predicted.table(t_ns)
    free = target.el_rad > horizon_rad(site, target.az_rad)
    seen = np.flatnonzero(free)
    if len(seen) < 2:
        raise StationError(f'the pass stays behind the horizon of {site.name}', where='horizon')
    first, last = int(seen[0]), int(seen[-1])
    notes = []
    if last + 1 - first < len(t_ns):
        span = f'{format_utc(int(t_ns[first]), 0)} to {format_utc(int(t_ns[last]), 0)}'
        notes.append(f'the horizon of {site.name} hides the ends of the pass: it is tracked from {span} only')
    hidden_s = float(np.count_nonzero(~free[first:last])) * _STEP_NS * 1e-9
    if hidden_s:
        notes.append(f'the horizon of {site.name} hides the satellite for {hidden_s:.0f} s in between')
    return int(t_ns[first]), int(t_ns[last]), tuple(notes)
