"""Benchmark of the pass search: time and results for a month, compared with Skyfield."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from skyfield.api import EarthSatellite, wgs84

from qkd_gs.arrays import IntArray
from qkd_gs.orbit import Trajectory, find_passes, load_elements
from qkd_gs.orbit.propagate import MeanElements
from qkd_gs.orbit.timescale import DAY_NS, from_time, parse_utc, timescale, to_time
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path

_DAYS = 30
_START = '2018-09-15T00:00:00Z'
_REPEATS = 3


def run() -> dict[str, float | int]:
    """Search 30 days of Shanghai with both in this process; times are the best of three runs."""
    site = load_site('shanghai')
    start_ns = parse_utc(_START)
    orbit = load_elements(share_path('config', 'elements', 'micius.tle')).nearest(start_ns)
    assert isinstance(orbit, MeanElements)
    satellite = EarthSatellite.from_satrec(orbit.satrec, timescale())
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    span = (start_ns, start_ns + _DAYS * DAY_NS)

    ours_s, theirs_s = [], []
    for _ in range(_REPEATS):
        begin = perf_counter()
        passes = find_passes(orbit, site, *span, force=True)
        ours_s.append(perf_counter() - begin)
        begin = perf_counter()
        times, events = satellite.find_events(place, to_time(span[0]), to_time(span[1]), altitude_degrees=5.0)
        theirs_s.append(perf_counter() - begin)
    ours = np.array([(one.rise_ns, one.culmination_ns, one.set_ns) for one in passes])
    theirs = from_time(times)
    return {
        'days': _DAYS,
        'passes': len(passes),
        'skyfield_passes': int((events == 1).sum()),
        'search_s': min(ours_s),
        'skyfield_search_s': min(theirs_s),
        'rise_difference_ms': _worst_ms(ours[:, 0], theirs[events == 0]),
        'culmination_difference_ms': _worst_ms(ours[:, 1], theirs[events == 1]),
        'set_difference_ms': _worst_ms(ours[:, 2], theirs[events == 2]),
        **_trajectory(orbit),
    }


def _worst_ms(ours: IntArray, theirs: IntArray) -> float:
    """Largest distance from one of theirs to the nearest of ours."""
    return float(np.abs(theirs[:, None] - ours[None, :]).min(axis=1).max()) * 1e-6


def _trajectory(orbit: MeanElements) -> dict[str, float]:
    """Time of predicting the reference pass and of reading it."""
    middle_ns = parse_utc('2018-10-03T15:56:42Z')
    site = load_site('shanghai')
    span = (middle_ns - 300_000_000_000, middle_ns + 300_000_000_000)
    trajectory = Trajectory.predict(orbit, site, *span)
    pulses = np.arange(10_000_000, dtype=np.int64) * 60_000_000
    trajectory.arrival_ps(pulses[:1])
    trajectory.at(middle_ns)
    begin = perf_counter()
    Trajectory.predict(orbit, site, *span)
    predicted = perf_counter()
    for k in range(10_000):
        trajectory.at(middle_ns + k)
    read = perf_counter()
    trajectory.arrival_ps(pulses)
    arrived = perf_counter()
    return {
        'predict_ms': (predicted - begin) * 1e3,
        'read_us': (read - predicted) * 1e2,
        'arrivals_per_s': pulses.size / (arrived - read),
    }
