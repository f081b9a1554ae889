"""Terminal view of a running station: one screen of 80 columns and 24 lines from a `Snapshot`."""

from __future__ import annotations

from itertools import zip_longest
from math import degrees, isfinite, nan, pi

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from qkd_gs.monitoring.bars import bar, ceiling_of, sparkline
from qkd_gs.monitoring.health import NodeHealth
from qkd_gs.monitoring.plain import WORDS, plain_status
from qkd_gs.monitoring.readiness import Level, countdown
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, SessionStatus, Snapshot
from qkd_gs.monitoring.status_collector import SPOT_S
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.tracking.types import Phase

_LEVEL_STYLE = {Level.OK: 'bold green', Level.WARN: 'bold yellow', Level.ERROR: 'bold red'}
_BAR = 36
_SMALL_BAR = 20
_MANY_MISSED = 0.01  # of a loop's periods


def view(now: Snapshot) -> RenderableType:
    """The snapshot in words and bars; colours only repeat the words."""
    return Group(
        Text(now.readiness.sentence, _LEVEL_STYLE[now.readiness.level]),
        *_evening_lines(now),
        _rule(f'pass  {_clock(now)}'),
        *_pass_lines(now),
        _rule('light'),
        _light_line(now),
        _rule('key'),
        _key_line(now.key, now.session),
        _rule('nodes'),
        _node_table(now.nodes),
    )


def plain_view(now: Snapshot) -> RenderableType:
    """The snapshot in everyday words."""
    text = Text('\n'.join(plain_status(now)), _LEVEL_STYLE[now.readiness.level] if now.readiness.level else '')
    return Group(text, Text(), Text(WORDS, 'dim'))


def _evening_lines(now: Snapshot) -> list[Text]:
    return [_line('evening', now.evening)] if now.evening else []


def _clock(now: Snapshot) -> str:
    clock = format_utc(now.now_ns, 0).replace('T', ' ').replace('Z', ' UTC')
    return clock if now.speed == 1.0 else f'{clock} x{now.speed:g}'


def _pass_lines(now: Snapshot) -> list[Text]:
    spot, session = now.spot, now.session
    ceiling_urad = ceiling_of((*spot.seconds_x_urad, *spot.seconds_y_urad))
    lines = [
        _coming_line(now),
        _elevation_line(now),
        _spot_line('x', spot.rms_x_urad, spot.seconds_x_urad, ceiling_urad),
        _spot_line('y', spot.rms_y_urad, spot.seconds_y_urad, ceiling_urad),
    ]
    if session is not None and isfinite(session.time_bias_s):
        across = f', {session.cross_track_m:+.0f} m across' if isfinite(session.cross_track_m) else ''
        lines.append(_line('orbit', f'{session.time_bias_s:+.3f} s along the track{across}'))
    return lines


def _coming_line(now: Snapshot) -> Text:
    phase = now.session.phase if now.session is not None else Phase.IDLE
    coming = now.coming
    if coming is None:
        what = 'no pass within a day' if now.planned else 'next pass not known yet'
        return _line('phase', f'{phase.name.lower()}, {what}')
    when = now.now_ns
    if when < coming.start_ns:
        left = f'starts in {countdown((coming.start_ns - when) * 1e-9)}'
    elif when < coming.end_ns:
        left = f'ends in {countdown((coming.end_ns - when) * 1e-9)}'
    else:
        left = 'over'
    top = f'{degrees(coming.max_el_rad):.1f}° at {format_utc(coming.culmination_ns, 0)[11:-1]}'
    return _line('phase', f'{phase.name.lower():<8} {coming.satellite}, {top}, {left}')


def _elevation_line(now: Snapshot) -> Text:
    if not isfinite(now.el_rad):
        return _line('elevation', 'no satellite near')
    top_rad = now.coming.max_el_rad if now.coming is not None else nan
    share = now.el_rad / top_rad if isfinite(top_rad) and top_rad > 0 else now.el_rad / (pi / 2)
    return _line('elevation', f'{degrees(now.el_rad):5.1f}° {bar(share, _BAR)}  {now.range_m / 1e3:,.0f} km')


def _spot_line(axis: str, rms_urad: float, seconds_urad: tuple[float, ...], ceiling_urad: float) -> Text:
    if not isfinite(rms_urad):
        return _line(f'spot {axis}', f'not seen in the last {SPOT_S} s')
    line = sparkline(seconds_urad, ceiling_urad)
    return _line(f'spot {axis}', f'{rms_urad:5.1f} µrad RMS  {line}  0 to {ceiling_urad:g} µrad')


def _light_line(now: Snapshot) -> Table:
    table = Table.grid(expand=True, padding=(0, 1))
    counts = now.counts
    if counts is None:
        table.add_row('no counts')
        return table
    h, v, d, a, beacon, *_ = (count / counts.seconds for count in counts.counts)
    table.add_row(_line('H+V', f'{h + v:,.0f}/s'), _line('D+A', f'{d + a:,.0f}/s'), _line('beacon', f'{beacon:,.0f}/s'))
    sync, share = counts.live.sync_residual_ns, counts.live.signal_share
    table.add_row(
        _line('sync', f'±{sync:.0f} ns' if isfinite(sync) else 'too dark'),
        _line('signal', _percent(share) if isfinite(share) else 'too dark'),
        _line('sifted', f'about {counts.sifted_bit_s:,.0f} bit/s' if isfinite(share) else 'too dark'),
    )
    return table


def _key_line(key: KeyProgress | None, session: SessionStatus | None) -> Text:
    """Progress of the key; that of another pass than the one under way says so."""
    line = _progress_line(key)
    other = key is not None and key.folder and session is not None and session.folder not in ('', key.folder)
    return Text.assemble(f'of {key.folder}: ', line) if other and key is not None else line


def _progress_line(key: KeyProgress | None) -> Text:
    if key is None or key.state is KeyStep.IDLE:
        return Text('no session in progress')
    if key.state is KeyStep.FAILED:
        return Text(f'no key: {key.message}', _LEVEL_STYLE[Level.ERROR])
    known = []
    if key.sifted_bits >= 0:
        known.append(f'{key.sifted_bits:,} sifted bits')
    if isfinite(key.qber):
        known.append(f'QBER {_percent(key.qber, 2)}')
    if key.secret_bits >= 0:
        known.append(f'{key.secret_bits:,} secret bits')
    if key.state is KeyStep.DONE:
        simulated = ' (simulated: never to be used)' if key.simulated else ''
        return Text(', '.join(known) + simulated)
    share = f' {bar(key.fraction, _SMALL_BAR)} {_percent(key.fraction)}' if isfinite(key.fraction) else ''
    return Text('  '.join([f'{key.step}{share}', ', '.join(known)]).rstrip())


def _node_table(nodes: tuple[NodeHealth, ...]) -> RenderableType:
    if not nodes:
        return Text('no heartbeat')
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for _ in range(2):
        table.add_column('node', width=15, no_wrap=True)
        table.add_column('state', width=8, no_wrap=True)
        table.add_column('CPU', justify='right', width=5, no_wrap=True)
        table.add_column('missed', justify='right', width=7, no_wrap=True)
    half = (len(nodes) + 1) // 2
    for left, right in zip_longest(nodes[:half], nodes[half:]):
        table.add_row(*_node_cells(left), *(_node_cells(right) if right is not None else ()))
    return table


def _node_cells(node: NodeHealth) -> tuple[str | Text, ...]:
    if node.silent:
        return node.name, Text('silent', _LEVEL_STYLE[Level.ERROR]), '', ''
    if node.faults:
        state = Text('fault' if len(node.faults) == 1 else f'{len(node.faults)} faults', _LEVEL_STYLE[Level.ERROR])
    else:
        state = Text(node.state, '' if node.state == 'active' else _LEVEL_STYLE[Level.WARN])
    share = node.missed_share
    missed = Text(
        _percent(share, 2) if isfinite(share) else '', _LEVEL_STYLE[Level.WARN] if share > _MANY_MISSED else ''
    )
    return node.name, state, f'{node.cpu_percent:.0f} %' if isfinite(node.cpu_percent) else '', missed


def _percent(share: float, digits: int = 0) -> str:
    return f'{100 * share:.{digits}f} %'


def _line(name: str, text: str) -> Text:
    return Text.assemble((f'{name:<10}', 'dim'), text, no_wrap=True, overflow='ellipsis')


def _rule(title: str) -> Rule:
    return Rule(Text(title), style='dim', align='left')
