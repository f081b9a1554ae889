"""Benchmark of the pass search: time and results for many satellites and sites, compared with Skyfield."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, process_time

import numpy as np
from sgp4.api import WGS72, Satrec
from skyfield.api import EarthSatellite, wgs84
from skyfield.toposlib import GeographicPosition

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit import Pass, Trajectory, load_elements
from qkd_gs.orbit.elements import Elements
from qkd_gs.orbit.passes import find_passes_of_sites
from qkd_gs.orbit.propagate import MeanElements
from qkd_gs.orbit.timescale import DAY_NS, from_time, parse_utc, timescale, to_time
from qkd_gs.settings.site import Site, load_site, site_names
from qkd_gs.share import share_path

_DAYS = 30
_SATELLITES = 100
_START = '2018-09-15T00:00:00Z'
_REPEATS = 3
_SKYFIELD_PAIRS = 12  # of satellite and site: Skyfield's time is proportional to their number
_DENSE_S = 1.0
_MIN_ELEVATION_DEG = 5.0
_GRAZING_DEG = 0.005  # a pass that only touches the elevation may be listed or not


def run() -> dict[str, float | int]:
    """Search with both in this process; processor times, the best of three for ours; compilation is not in them."""
    start_ns = parse_utc(_START)
    span = (start_ns, start_ns + _DAYS * DAY_NS)
    sites = [load_site(name) for name in site_names()]
    satellites = _satellites(start_ns)
    elements = Elements(share_path('config', 'elements', 'micius.tle'), tuple(satellites))
    find_passes_of_sites(satellites[0], sites, *span, _MIN_ELEVATION_DEG, force=True)
    ours_s = []
    for _ in range(_REPEATS):
        begin = process_time()
        found = find_passes_of_sites(elements, sites, *span, _MIN_ELEVATION_DEG, force=True)
        ours_s.append(process_time() - begin)
    pairs = len(satellites) * len(sites)
    figures = _against_skyfield(satellites, sites, span, found)
    skyfield_s = figures.pop('skyfield_pair_s') * pairs
    count = sum(len(passes) for passes in found)
    return {
        'days': _DAYS,
        'satellites': len(satellites),
        'sites': len(sites),
        'passes': count,
        'search_s': min(ours_s),
        'search_us_per_pass': min(ours_s) / count * 1e6,
        'skyfield_search_s': skyfield_s,
        'times_faster': skyfield_s / min(ours_s),
        **figures,
        **_trajectory(load_elements(share_path('config', 'elements', 'micius.tle')).nearest(start_ns)),
    }


def _satellites(epoch_ns: int) -> list[MeanElements]:
    """Low orbits of every inclination, 350 to 1400 km high, and a few high ones."""
    generator = np.random.default_rng(13)
    found = []
    for k in range(_SATELLITES):
        revolutions = generator.uniform(12.8, 15.7) if k % 20 else generator.choice([1.0027, 2.0057, 6.0])
        eccentricity = 0.7 if revolutions == 2.0057 else generator.uniform(0, 0.005)
        angles = generator.uniform(0, 2 * np.pi, 3)
        satrec = Satrec()
        satrec.sgp4init(
            WGS72, 'i', k + 1, epoch_ns / DAY_NS + (2440587.5 - 2433281.5), generator.uniform(0, 1e-4), 0.0, 0.0,
            float(eccentricity), angles[0], np.radians(generator.uniform(20, 100)), angles[1],
            float(revolutions) * 2 * np.pi / 1440, angles[2],
        )  # fmt: skip
        found.append(MeanElements(f'S{k + 1}', str(k + 1), epoch_ns, satrec, 'benchmark'))
    return found


def _against_skyfield(
    satellites: Sequence[MeanElements], sites: Sequence[Site], span: tuple[int, int], found: list[list[Pass]]
) -> dict[str, float]:
    """Skyfield's time for one pair of satellite and site, and differences to its altitudes evaluated densely."""
    generator = np.random.default_rng(14)
    total_s, worst_s, worst_deg, missed = 0.0, 0.0, 0.0, 0
    for _ in range(_SKYFIELD_PAIRS):
        k, j = int(generator.integers(len(satellites))), int(generator.integers(len(sites)))
        satellite = EarthSatellite.from_satrec(satellites[k].satrec, timescale())
        place = wgs84.latlon(sites[j].latitude_deg, sites[j].longitude_deg, elevation_m=sites[j].altitude_m)
        begin = process_time()
        times, events = satellite.find_events(
            place, to_time(span[0]), to_time(span[1]), altitude_degrees=_MIN_ELEVATION_DEG
        )
        total_s += process_time() - begin
        own = [one for one in found[j] if one.satellite == satellites[k].name]
        tops = times[events == 1]
        if len(tops):
            high = (satellite - place).at(tops).altaz()[0].degrees > _MIN_ELEVATION_DEG + _GRAZING_DEG
            for t_ns in from_time(tops)[high].tolist():
                missed += not any(one.rise_ns <= t_ns <= one.set_ns for one in own)
        for one in own[:: max(len(own) // 10, 1)]:
            if not one.remarks:
                off_s, off_deg = _dense(satellite, place, one)
                worst_s, worst_deg = max(worst_s, off_s), max(worst_deg, off_deg)
    return {
        'skyfield_pair_s': total_s / _SKYFIELD_PAIRS,
        'skyfield_pairs': _SKYFIELD_PAIRS,
        'worst_time_difference_s': worst_s,
        'worst_elevation_difference_deg': worst_deg,
        'missed': missed,
    }


def _dense(satellite: EarthSatellite, place: GeographicPosition, one: Pass) -> tuple[float, float]:
    """Largest difference of rise and set (s), and of the culmination's elevation (deg), to altitudes every second."""
    t_s = np.arange(-5.0, (one.set_ns - one.rise_ns) * 1e-9 + 5.0, _DENSE_S)
    vector = (satellite - place).at(to_time(one.rise_ns + np.rint(t_s * 1e9).astype(np.int64)))
    altitude: FloatArray = vector.altaz()[0].degrees
    up = np.flatnonzero(altitude > _MIN_ELEVATION_DEG)
    edges_s = [_zero(t_s, altitude - _MIN_ELEVATION_DEG, k) for k in (int(up[0]) - 1, int(up[-1]))]
    ours_s = (0.0, (one.set_ns - one.rise_ns) * 1e-9)
    k = int(np.clip(altitude.argmax(), 1, len(t_s) - 2))
    a, b, c = altitude[k - 1 : k + 2]
    top_deg = float(b - (a - c) ** 2 / (8 * (a - 2 * b + c)))
    return max(abs(x - y) for x, y in zip(edges_s, ours_s, strict=True)), abs(top_deg - one.max_elevation_deg)


def _zero(t_s: FloatArray, y: FloatArray, k: int) -> float:
    return float(t_s[k] - y[k] * (t_s[k + 1] - t_s[k]) / (y[k + 1] - y[k]))


def _trajectory(orbit: object) -> dict[str, float]:
    """Time of predicting the reference pass and of reading it."""
    assert isinstance(orbit, MeanElements)
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
