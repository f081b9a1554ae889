"""Tables of the result: counts and gains, the forecast beside it, the key of the published window, losses of lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.qkd.finite_key.counts import Tally
from qkd_gs.report.tables import Table
from qkd_gs.report.text import NONE, scientific, shown
from qkd_gs.report.view import SessionView, number
from qkd_gs.report.window_key import counts_of

_BASES = {'hv': 'H/V', 'da': '±45°'}


def counts_table(view: SessionView) -> Table | None:
    """Counts and gains of each intensity in each basis."""
    counts = counts_of(view)
    if counts is None:
        return None
    rows = []
    for basis, name in _BASES.items():
        for intensity in ('signal', 'decoy', 'vacuum'):
            tally: Tally = getattr(getattr(counts, basis), intensity)
            mu = getattr(counts.intensities, intensity)
            gain = tally.sifted / tally.sent if tally.sent else None
            error = tally.errors / tally.sifted if tally.sifted else None
            rows.append(
                (
                    f'{intensity}, {name}',
                    f'{mu:g}',
                    shown(tally.sent / 1e6, 1),
                    shown(tally.sifted, 0),
                    scientific(gain),
                    shown(tally.errors, 0),
                    f'{shown(error, 2, 100)} %',
                )
            )
    return Table(
        ('Intensity, basis', 'Photons', 'Sent, million', 'Detected', 'Gain', 'Errors', 'Error rate'),
        rows,
        title='Counts',
        note='Pulses that could have been sifted, and those that were; gain: detections a pulse. An error rate of 50 %'
        ' in the empty pulses is that of noise.',
        numbers=frozenset(range(1, 7)),
    )


def joined_table(joined: SessionView) -> Table:
    """Sessions and bits of the key of several passes; the view is that of `SessionView.joined`."""
    key = joined.key
    rows = [
        ('Sessions', ', '.join(key.get('sessions', []))),
        ('Sifted bits of all', shown(number(key, 'sifted_bits'), 0)),
        ('Error rate', f'{shown(number(key, "qber"), 2, 100)} %'),
        ('Secret bits', shown(number(key, 'secret_bits'), 0)),
        ('Failure probability', scientific(number(key, 'epsilon'))),
        ('Name of the key', str(key.get('key_id', NONE))),
    ]
    return Table(('', ''), rows, title='Passes')


def forecast_table(view: SessionView) -> Table | None:
    """The result beside the forecast that was made before the pass."""
    forecast = view.manifest.run.get('forecast')
    if not isinstance(forecast, Mapping) or not view.processed:
        return None
    rows = []
    for name, what, digits, factor, unit in (
        ('sifted_bits', 'Sifted bits', 1, 1e-3, ' kbit'),
        ('qber', 'Error rate', 2, 100.0, ' %'),
        ('secret_bits', 'Secret bits', 1, 1e-3, ' kbit'),
    ):
        part = forecast.get(name)
        result = number(view.key, name)
        if not isinstance(part, Mapping) or result is None:
            continue
        low, expected, high = (number(dict(part), key) for key in ('low', 'expected', 'high'))
        if low is None or expected is None or high is None:
            continue
        inside = 'within' if low <= result <= high else 'below' if result < low else 'above'
        rows.append(
            (
                what,
                f'{shown(result, digits, factor)}{unit}',
                f'{shown(expected, digits, factor)}{unit}',
                f'{shown(low, digits, factor)} to {shown(high, digits, factor)}',
                inside,
            )
        )
    if not rows:
        return None
    return Table(
        ('Figure', 'Result', 'Forecast', 'Eight passes of ten', ''),
        rows,
        title='Forecast and result',
        note='The forecast knows orbit, site, Moon and the stated link; not the weather of this pass.',
        numbers=frozenset({1, 2, 3}),
    )


def losses_table(view: SessionView) -> Table | None:
    """Losses of the lock above the elevation of the data: time, duration, reason."""
    t = view.telemetry
    if len(t.t_ns) < 2 or not view.manifest.locked:
        return None
    first_ns = view.manifest.locked[0].start_ns
    limit_rad = np.deg2rad(view.manifest.station.tracking.data_el_deg)
    lost = (t.t_ns > first_ns) & (t.el_rad >= limit_rad) & ~view.locked(t.t_ns)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
    rows = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        start_ns, end_ns = int(t.t_ns[start]), int(t.t_ns[min(end, len(t.t_ns) - 1)])
        rows.append(
            (
                f'{view.seconds(np.array([start_ns]))[0]:+.1f} s'.replace('-', '−'),
                f'{(end_ns - start_ns) * 1e-9:.1f} s',
                f'{np.rad2deg(t.el_rad[start]):.0f}°',
                _cause(view, start_ns, end_ns),
            )
        )
    if not rows:
        return None
    return Table(
        ('From culmination', 'Lasted', 'Elevation', 'Cause'), rows, title='Losses of lock', numbers=frozenset({0, 1, 2})
    )


def _cause(view: SessionView, start_ns: int, end_ns: int) -> str:
    plan = view.manifest.run.get('plan')
    gaps = plan.get('gaps', []) if isinstance(plan, Mapping) else []
    margin_ns = 3 * 10**9
    for gap in gaps:
        if start_ns < parse_utc(gap['end']) + margin_ns and end_ns > parse_utc(gap['start']) - margin_ns:
            return 'planned: an axis too slow for the track near the zenith'
    scenario = view.manifest.run.get('scenario')
    return f'beacon lost (scenario {scenario})' if scenario else 'beacon lost'


def scenario_row(view: SessionView) -> tuple[str, str]:
    """Row that names the simulated scenario."""
    scenario: Any = view.manifest.run.get('scenario')
    return 'Scenario', str(scenario) if scenario else ('none' if view.manifest.simulated else NONE)
