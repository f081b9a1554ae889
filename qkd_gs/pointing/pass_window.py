"""Pass windows: which pass to track, its start and end, and the plan for it."""

from __future__ import annotations

from math import radians
from typing import NamedTuple

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.passes import Pass, find_passes, pass_nearest
from qkd_gs.orbit.sky import sun_azel
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.plan import PassPlan, plan_pass
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings

_ARMED_NS = 30 * 10**9  # how long the mount waits at the first point
_AFTER_NS = 60 * 10**9  # to park
_STEP_NS = 100_000_000
_DAY_NS = 86400 * 10**9
_LONGEST_NS = 900 * 10**9  # half of the longest pass


class PassWindow(NamedTuple):
    """A pass, its predicted trajectory, and the time span above the start elevation."""

    found: Pass
    predicted: Trajectory
    start_ns: int  # UTC; from here to end_ns the satellite is above the station's start elevation
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
    return PassWindow(found, predicted, *above(predicted, found, radians(station.tracking.start_el_deg)))


def above(predicted: Trajectory, found: Pass, el_rad: float) -> tuple[int, int]:
    """First and last UTC (ns, on a grid of 0.1 s) at which the satellite appears above an elevation.

    Raises
    ------
    StationError
        The pass stays below it.
    """
    t_ns = np.arange(found.rise_ns - 60 * 10**9, found.set_ns + 60 * 10**9, _STEP_NS, dtype=np.int64)
    up = t_ns[predicted.table(t_ns).el_rad >= el_rad]
    if len(up) < 2:
        raise StationError(
            f'the pass that culminates at {format_utc(found.culmination_ns, 0)} only reaches '
            f'{found.max_elevation_deg:.1f} deg',
            where='--at',
            hint='choose another one with `qkd-gs passes`',
        )
    return int(up[0]), int(up[-1])


def plan_against_sun(
    predicted: Trajectory, start_ns: int, end_ns: int, model: MountModel, station: StationSettings, site: Site
) -> PassPlan:
    """Plan of a whole pass with the site's Sun: azimuth turn, limits, keyholes; see `plan_pass`."""
    return plan_pass(
        predicted,
        start_ns,
        end_ns,
        model,
        station.mount,
        sun=lambda t_ns: sun_azel(site, t_ns, refracted=True),
        sun_exclusion_rad=radians(station.sun.exclusion_deg),
    )
