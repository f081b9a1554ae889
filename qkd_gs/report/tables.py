"""Tables and key figures of the report, as text ready to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qkd_gs.report.key_figures import length_steps
from qkd_gs.report.paper import SPOT_RMS_X_URAD, SPOT_RMS_Y_URAD
from qkd_gs.report.text import NONE, general, scientific, shown, signed
from qkd_gs.report.view import SessionView, number, rms
from qkd_gs.report.window_key import window_key_bits


@dataclass(frozen=True)
class Tile:
    """One of the figures on top."""

    what: str
    value: str
    unit: str = ''
    paper: str = ''


@dataclass(frozen=True)
class Table:
    """Rows of text."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    title: str = ''
    note: str = ''
    numbers: frozenset[int] = field(default_factory=frozenset)  # columns aligned to the right
    totals: frozenset[int] = field(default_factory=frozenset)  # rows in bold
    last_is_why: bool = False


def tiles(view: SessionView) -> list[Tile]:
    """The figures one looks for first."""
    tracking, key, paper = view.manifest.tracking, view.key, view.published
    spot, counted = _spot_rms(view)
    lowest = view.manifest.station.tracking.data_el_deg
    polarization = shown(number(view.manifest.polarization, 'max_error_deg'), 2)
    made = [
        Tile('Secret key', shown(number(key, 'secret_bits'), 1, 1e-3), 'kbit', 'whole pass, certified'),
        *_joined_tile(view),
        *_window_tile(view),
        Tile('Sifted key', shown(number(key, 'sifted_bits'), 1, 1e-3), 'kbit', f'above {lowest:g}° of elevation'),
        Tile('Error rate', shown(number(key, 'qber'), 2, 100), '%', f'paper: {paper.qber}'),
        Tile('Spot RMS, µrad', spot, '', f'{counted}paper: {SPOT_RMS_X_URAD} × {SPOT_RMS_Y_URAD}'),
        Tile('Acquisition', shown(number(tracking, 'acquire_s'), 2), 's', 'first light to lock'),
        Tile('Locked', shown(number(tracking, 'locked_fraction'), 2, 100), '%', 'until the satellite sets'),
        Tile('Polarization error', f'{polarization}°', '', 'largest after lock'),
        Tile('Clock', shown(number(view.timing, 'sync_rms_ns'), 3), 'ns', 'RMS at held-out pulses'),
    ]
    return [tile for tile in made if view.processed or tile.what not in _OF_THE_KEY]


def _spot_rms(view: SessionView) -> tuple[str, str]:
    """RMS of the spot per axis; of the locked spots alone, and said so, where the lock was lost in between."""
    t, tracking = view.telemetry, view.manifest.tracking
    if not view.lock_was_lost or not len(t.spot_x_urad):
        return ' × '.join(shown(number(tracking, f'spot_rms_{axis}_urad'), 2) for axis in 'xy'), ''
    locked = view.above(t.spot_t_ns)
    return ' × '.join(shown(rms(values[locked]), 2) for values in (t.spot_x_urad, t.spot_y_urad)), 'while locked; '


def _joined_tile(view: SessionView) -> list[Tile]:
    """The key of several passes, if this one was joined with others."""
    joined = view.joined
    if joined is None:
        return []
    bits, passes = shown(number(joined.key, 'secret_bits'), 1, 1e-3), len(joined.key.get('sessions', []))
    return [Tile('Joined key', bits, 'kbit', f'of {passes} passes together, certified')]


def _window_tile(view: SessionView) -> list[Tile]:
    """The key that compares with a published one: same window about culmination, same setting."""
    bits, window_s, paper = window_key_bits(view), number(view.key, 'window_s'), view.published
    if bits is None or window_s is None:
        return []
    return [Tile(f'Key of {window_s:g} s', shown(bits, 1, 1e-3), 'kbit', f'paper: {paper.key} {paper.key_time}')]


_GROUPS = {'hv': 'H/V', 'da': '±45°', 'pooled': 'both bases', 'both': 'both bases', '': 'whole key'}
_OF_THE_KEY = ('Secret key', 'Sifted key', 'Error rate', 'Clock')


def pass_table(view: SessionView) -> Table:
    """The pass as the prediction had it, and the site."""
    info, site = view.manifest.pass_info, view.manifest.site
    rows = [
        ('Rise, culmination, set', ', '.join(_clock(info.get(name)) for name in ('rise', 'culmination', 'set'))),
        ('Highest elevation', f'{shown(number(info, "max_elevation_deg"), 1)}°'),
        ('Shortest distance', f'{shown(number(info, "min_range_km"), 0)} km'),
        ('Sun at culmination', f'{shown(number(info, "sun_elevation_deg"), 1)}°'),
    ]
    if site is not None:
        place = f'{site.name}: {site.latitude_deg:.4f}°, {site.longitude_deg:.4f}°, {site.altitude_m:.0f} m'
        rows.append(('Site', place))
    rows += [('Beacon dark', dark) for dark in _dark_spans(view.manifest.run)]
    return Table(('', ''), rows)


def _dark_spans(run: Mapping[str, Any]) -> list[str]:
    """Times at which our beacon was wanted and not permitted, with the reasons."""
    spans = run.get('light_off')
    if not isinstance(spans, Sequence):
        return []
    return [
        f'{_clock(span.get("from"))} to {_clock(span.get("to"))}: {span.get("reasons", NONE)}'
        for span in spans
        if isinstance(span, Mapping)
    ]


def comparison(view: SessionView) -> Table:
    """Ours beside the paper's."""
    tracking, key, paper = view.manifest.tracking, view.key, view.published
    window = number(key, 'window_s') or number(view.manifest.run, 'window_s')
    rows = [
        (
            'Spot in the tracking camera, RMS x',
            f'{shown(number(tracking, "spot_rms_x_urad"), 2)} µrad',
            '4.41 µrad (Fig. 5)',
        ),
        (
            'Spot in the tracking camera, RMS y',
            f'{shown(number(tracking, "spot_rms_y_urad"), 2)} µrad',
            '2.99 µrad (Fig. 5)',
        ),
        ('Line of sight, RMS x', f'{shown(number(tracking, "rms_x_urad"), 2)} µrad', NONE),
        ('Line of sight, RMS y', f'{shown(number(tracking, "rms_y_urad"), 2)} µrad', NONE),
        ('Largest tracking error', f'{shown(number(tracking, "peak_urad"), 1)} µrad', NONE),
        ('Losses of lock', shown(number(tracking, 'losses'), 0), NONE),
        ('Sifted bits, whole pass', f'{shown(number(key, "sifted_bits"), 1, 1e-3)} kbit', NONE),
        (
            'Sifted bits around culmination' + (f', {window:g} s' if window is not None else ''),
            f'{shown(number(key, "sifted_bits_window"), 1, 1e-3)} kbit',
            f'{paper.sifted} {paper.sifted_time}',
        ),
        ('Error rate', f'{shown(number(key, "qber"), 2, 100)} %', paper.qber),
        ('Secret bits, whole pass, certified', f'{shown(number(key, "secret_bits"), 1, 1e-3)} kbit', NONE),
        (
            'Secret bits around culmination' + (f', {window:g} s' if window is not None else '') + ', as published',
            f'{shown(window_key_bits(view), 1, 1e-3)} kbit',
            f'{paper.key} {paper.key_time}',
        ),
        ('Efficiency of error correction, f', shown(number(key, 'f_ec'), 3), NONE),
        ('Failure probability, in all', scientific(number(key, 'epsilon')), f'{scientific(1e-5)} a bound'),
        *_epsilon_parts(key),
    ]
    known = [row for row in rows if not row[1].startswith(NONE)]
    which = {'the same pass': 'Paper (the same pass)'}.get(paper.which, f'Paper ({paper.which})')
    return Table(('Figure', 'This pass', which), known, numbers=frozenset({1, 2}))


def _epsilon_parts(key: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Parts of the failure probability: secrecy, correctness, authentication."""
    split = key.get('epsilon_split')
    if not isinstance(split, Mapping):
        return []
    return [(f'… of {name}', scientific(number(dict(split), name)), NONE) for name in split]


def length_table(view: SessionView) -> Table | None:
    """The key's length in numbers; if the steps do not add up to it, as they were given."""
    steps = length_steps(view.key)
    if steps:
        rows = [(s.name, shown(s.bits, 0) if s.is_total else signed(s.bits), shown(s.total, 0), s.why) for s in steps]
        return Table(
            ('Step', 'Bits', 'Left', 'Why'),
            rows,
            title='Key length',
            numbers=frozenset({1, 2}),
            totals=frozenset({0, len(rows) - 1}),
            last_is_why=True,
        )
    cost = view.key.get('cost')
    if not isinstance(cost, Mapping) or not cost:
        return None
    given = [(name.replace('_', ' '), shown(number(dict(cost), name), 0)) for name in cost]
    return Table(('Step', 'Bits'), given, title='Key length', numbers=frozenset({1}), note='It does not add up.')


def processing_table(view: SessionView) -> Table | None:
    """Table of the key's figures, as far as they were recorded."""
    key, timing = view.key, view.timing
    parts = (
        ('Time tags read', timing, 'tags', 0, 1.0, ''),
        ('Beacon pulses used', timing, 'beacon_pulses', 0, 1.0, ''),
        ('Clock, RMS at held-out pulses', timing, 'sync_rms_ns', 3, 1.0, ' ns'),
        ('Clock, single pulses', timing, 'residual_single_ns', 3, 1.0, ' ns'),
        ('Noise among gated photons', timing, 'noise_fraction', 2, 100.0, ' %'),
        ('Imbalance of the detectors', key, 'efficiency_mismatch', 1, 100.0, ' %'),
        ('Blocks corrected', key, 'blocks', 0, 1.0, ''),
        ('Failed blocks', key, 'failed_blocks', 0, 1.0, ''),
        ('Bits disclosed by error correction', key, 'disclosed_bits', 0, 1.0, ''),
        ('Round trips to the satellite', key, 'round_trips', 0, 1.0, ''),
        ('Pre-shared key used', key, 'pre_shared_bits', 0, 1.0, ' bit'),
    )
    known = [
        (name, f'{shown(number(part, field_name), digits, factor)}{unit}')
        for name, part, field_name, digits, factor, unit in parts
        if number(part, field_name) is not None
    ]
    return Table(('', ''), known, title='How it was made', numbers=frozenset({1})) if known else None


def bounds_table(view: SessionView) -> Table | None:
    """Decoy-state bounds, one column a group of bits."""
    bounds = view.key.get('bounds')
    if not isinstance(bounds, Mapping) or not bounds:
        return None
    groups = {name: dict(group) for name, group in bounds.items() if isinstance(group, Mapping)} or {'': dict(bounds)}
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    rows = [(name.replace('_', ' '), *(general(number(group, name)) for group in groups.values())) for name in names]
    return Table(
        ('Bound', *(_GROUPS.get(name, name) for name in groups)),
        rows,
        title='Decoy-state bounds',
        numbers=frozenset(range(1, len(groups) + 1)),
    )


def ledger_table(view: SessionView) -> Table | None:
    """Epsilon budget: failure probability of each bound, with one column per basis."""
    ledger = view.key.get('epsilon_ledger')
    if not isinstance(ledger, Mapping) or not ledger:
        return None
    shares = {name: number(dict(ledger), name) for name in ledger}
    groups = list(dict.fromkeys(name.rpartition('.')[0] for name in shares))  # '': the key as a whole
    lines: dict[str, list[str]] = {}
    for name, value in shares.items():
        group, _, what = name.rpartition('.')
        lines.setdefault(what, [''] * len(groups))[groups.index(group)] = scientific(value)
    rows = [(what.replace('_', ' '), *cells) for what, cells in lines.items()]
    total = sum(value for value in shares.values() if value is not None)
    return Table(
        ('Bound, hash or tag', *(_GROUPS.get(group, group) for group in groups)),
        [*rows, ('all together', *[''] * (len(groups) - 1), scientific(total))],
        title='Epsilon budget: contributions to the failure probability',
        numbers=frozenset(range(1, len(groups) + 1)),
        totals=frozenset({len(rows)}),
    )


def _clock(text: Any) -> str:
    """Time of day of an ISO time."""
    return str(text)[11:19] if isinstance(text, str) and len(text) >= 19 else NONE
