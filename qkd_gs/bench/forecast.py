"""The published passes of Table 1 forecast by the downlink model: sifted bits, error rate and key of every row.

No condition of a site is taken from a row's result: the link has one constant, fitted to the sum over all rows.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from statistics import median, stdev
from typing import Any

import numpy as np

from qkd_gs.bench.table1 import EPSILON_PER_BOUND, F_EC
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.forecast.counts import expected_counts, with_flaws
from qkd_gs.forecast.forecast import STEP_NS, light_of, secret_bits
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.passes import Pass, find_passes
from qkd_gs.orbit.timescale import DAY_NS, parse_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.qkd.finite_key.key_length import key_length
from qkd_gs.session.published import PublishedPass, published_passes
from qkd_gs.settings.downlink import DownlinkSettings, load_downlink
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

_FROM, _TO = '2018-07-18T00:00:00Z', '2018-11-13T00:00:00Z'  # within 60 days of the elements
_NIGHT_DEG = -10.0
_ZONE = timedelta(hours=8)


def run() -> dict[str, Any]:
    """Forecast all rows; ratios are forecast over published."""
    downlink = load_downlink()
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    passes: dict[str, list[Pass]] = {}
    rows = [_compare(row, passes, station, downlink) for row in published_passes()]
    ratios = [row['sifted_ratio'] for row in rows]
    culminations = [row['max_elevation_deg'] for row in rows]
    return {
        'assumptions': {
            'orbit': 'the pass of nearly the same culmination within 60 days of the elements of 2018-09-15, at the'
            " same time of night on the published date (Moon, Earth's shadow)",
            'window': 'the published efficient time, with the culmination in its middle',
            'key': f'bases pooled, {EPSILON_PER_BOUND:.0e} a bound, f {F_EC}; certified: the setting of the station',
            'link': f'one constant for all sites, {downlink.link.residual_db} dB, fitted to the sum of the rows',
        },
        'sifted_ratio_median': median(ratios),
        'sifted_sd_db': stdev(10 * np.log10(ratio) for ratio in ratios),
        'sifted_ratio_of_sums': sum(row['sifted_bits'] for row in rows) / sum(r['published_sifted_bits'] for r in rows),
        'qber_difference_mean': float(np.mean([row['qber'] - row['published_qber'] for row in rows])),
        'qber_difference_sd': stdev(row['qber'] - row['published_qber'] for row in rows),
        'key_ratio_median': median(row['key_bits'] / row['published_key_bits'] for row in rows),
        'key_ratio_of_sums': sum(row['key_bits'] for row in rows) / sum(row['published_key_bits'] for row in rows),
        'correlation_with_culmination': _correlation([10 * np.log10(ratio) for ratio in ratios], culminations),
        'qber_correlations': {
            name: _correlation([row['published_qber'] - row['qber'] for row in rows], values)
            for name, values in (
                ('culmination', culminations),
                ('date', [datetime.fromisoformat(row['date']).timestamp() for row in rows]),
                ('loss', [row['loss_db'] for row in rows]),
                ('noise', [row['noise_cps'] for row in rows]),
            )
        },
        'rows': rows,
    }


def _correlation(errors: list[float], values: list[float]) -> float:
    return float(np.corrcoef(errors, values)[0, 1])


def _compare(
    row: PublishedPass, passes: dict[str, list[Pass]], station: StationSettings, downlink: DownlinkSettings
) -> dict[str, Any]:
    site = load_site(row.site)
    if row.site not in passes:
        passes[row.site] = _night_passes(site)
    found = min(passes[row.site], key=lambda one: abs(one.max_elevation_deg - row.max_elevation_deg))
    start_ns = found.culmination_ns - round(row.time_s * 1e9) // 2
    t_ns = start_ns + STEP_NS * np.arange(round(row.time_s), dtype=np.int64)
    target = Trajectory.predict(found.orbit, site, found.rise_ns, found.set_ns).table(t_ns + STEP_NS // 2)
    light = light_of(target, t_ns + _to_date(found.culmination_ns, row.date), site, downlink)
    optical = downlink.polarization.receiver_error + downlink.polarization.source_error
    counts = expected_counts(light, station.source, station.key, optical)
    key = key_length(counts, pooled=True, epsilon_per_bound=EPSILON_PER_BOUND, f_ec=F_EC).secret_bits
    return {
        'site': row.site,
        'date': row.date,
        'max_elevation_deg': row.max_elevation_deg,
        'flown_elevation_deg': round(found.max_elevation_deg, 2),
        'time_s': row.time_s,
        'zenith_loss_db': round(zenith_loss_db(site), 3),
        'loss_db': round(float(-10 * np.log10(light.transmission.mean())), 2),
        'noise_cps': round(float(light.noise_cps.mean()), 1),
        'published_sifted_bits': row.sifted_bits,
        'sifted_bits': counts.sifted_bits,
        'sifted_ratio': counts.sifted_bits / row.sifted_bits,
        'published_qber': row.qber,
        'qber': round(counts.qber, 5),
        'published_key_bits': row.key_bits,
        'key_bits': key,
        'certified_bits': secret_bits(with_flaws(counts, light, station), station, F_EC),
    }


def _night_passes(site: Site) -> list[Pass]:
    elements = load_elements(share_path('config', 'elements', 'micius.tle'))
    logger = logging.getLogger('qkd_gs.orbit')
    level = logger.level
    logger.setLevel(logging.ERROR)  # that the elements are old is part of the assumptions
    try:
        found = find_passes(elements, site, parse_utc(_FROM), parse_utc(_TO))
    finally:
        logger.setLevel(level)
    return [one for one in found if one.sun_elevation_deg < _NIGHT_DEG]


def _to_date(t_ns: int, date: str) -> int:
    """Whole days, ns, that put a time on a local date."""
    day = (datetime.fromtimestamp(t_ns // 10**9, UTC) + _ZONE).date()
    return (datetime.fromisoformat(date).date() - day).days * DAY_NS
