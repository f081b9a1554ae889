"""`qkd-gs import TAGS`: a session from a file of another program's time tags; `--look` shows what the file holds."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.errors import StationError
from qkd_gs.importing.import_session import import_session
from qkd_gs.importing.link import chosen_link
from qkd_gs.importing.receiver import receiving_station
from qkd_gs.importing.tag_map import load_map
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.settings.site import load_site
from qkd_gs.tag_formats.look import look

_MAX_DELAY_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('tags', type=Path, help='PTU (T2), CSV, Parquet, HDF5, quTAG binary or ttbin')
    parser.add_argument('--look', action='store_true', help='show what the file holds, and make nothing')
    parser.add_argument('--period-ps', type=float, metavar='P', help='with --look: fold each input on this period')
    parser.add_argument(
        '--resolution-ps', type=float, metavar='P', help='with --look: of a count, if the file lacks it'
    )
    parser.add_argument('--map', type=Path, metavar='FILE', help='which input is what: see doc/laboratory.md')
    parser.add_argument('--session', type=Path, metavar='DIR', help='folder of the new session')
    parser.add_argument('--keys', type=Path, metavar='DIR', help='key folder (default: $QKD_GS_KEYS)')
    parser.add_argument('--source', metavar='SOURCE', help='name of config/sources, or a file (default: the station)')
    parser.add_argument('--station', type=Path, metavar='FILE', help='settings of the station (default: config)')
    parser.add_argument('--site', metavar='SITE', help='of a satellite pass: a name, or LAT_DEG,LON_DEG,ALT_M')
    parser.add_argument('--elements', type=Path, metavar='FILE', help='of a satellite pass: its orbit')
    parser.add_argument('--satellite', metavar='NAME', help='which one of the elements, by name or number')
    parser.add_argument('--force', action='store_true', help='use elements older than 60 days')
    parser.add_argument('--delay-s', type=_delay_s, metavar='X', help='of a bench or fibre link: its one-way delay')
    add_json_option(parser)


def _delay_s(text: str) -> float:
    delay_s = float(text)
    if not 0 <= delay_s <= _MAX_DELAY_S:
        raise argparse.ArgumentTypeError(f'{text} is not within 0 to {_MAX_DELAY_S:g} s')
    return delay_s


def run(args: argparse.Namespace) -> int:
    """Look, or import."""
    if args.look:
        return _look(args)
    missing = [name for name in ('map', 'session') if getattr(args, name) is None]
    if missing:
        raise StationError(f'--{missing[0]} is missing', hint='or --look, to see what the file holds')
    site = None if args.site is None else load_site(args.site)
    link = chosen_link(args.delay_s, site, args.elements, args.satellite, args.force)
    station, tag_map = receiving_station(args.station, args.source), load_map(args.map)
    keys = find_key_folder(args.keys, simulated=False)
    watcher = ConsoleWatcher()
    try:
        made = import_session(args.tags, tag_map, args.session, keys, station, link, time.time_ns(), watcher.making_key)
    finally:
        watcher.done()
    for note in made['notes']:
        print(f'qkd-gs import: {args.tags}: {note}', file=sys.stderr)
    if args.json:
        print_json(made)
    else:
        _print_made(args.tags, made)
    return 0


def _print_made(tags: Path, made: dict[str, Any]) -> None:
    print(f'Session {made["session"]}: {made["tags"]:,} tags')
    for name, number in made['channels'].items():
        print(f'  {name:8} {number:14,}')
    for name, number in made['unused'].items():
        print(f'  {name:8} {number:14,}  named by no channel of the map, left out')
    pps, lost = made['pps'], made['lost']
    print(f'PPS: {pps["used"]} pulses used, {pps["left_out"]} left out, scatter {pps["rms_ns"]:.1f} ns')
    if lost['records'] or lost['overflows']:
        print(f'Lost: {lost["records"]} records, {lost["overflows"]} overflows of the device')
    print(f'{tags} holds the raw key in the clear: erase it when the session is whole.')


def _look(args: argparse.Namespace) -> int:
    seen = look(args.tags, args.period_ps, args.resolution_ps)
    if args.json:
        print_json(seen)
        return 0
    print(f'{args.tags}: {seen["format"]}, {seen["resolution_ps"]:g} ps a count, {seen["duration_s"]:.3f} s')
    print(f'{"":10} {"tags":>14} {"rate, 1/s":>14} {"longest gap, s":>15} {"shortest, ns":>13}')
    for name, one in seen['inputs'].items():
        shortest = '-' if one['shortest_gap_ns'] is None else f'{one["shortest_gap_ns"]:.1f}'
        rate = '-' if one['rate_hz'] is None else f'{one["rate_hz"]:,.1f}'
        print(f'{"input " + name:10} {one["tags"]:14,} {rate:>14} {one["longest_gap_s"]:15.6f} {shortest:>13}')
    marks = {'sync': seen['sync'], **{f'marker {number}': tags for number, tags in seen['markers'].items()}}
    for name, tags in marks.items():
        if tags:
            print(f'{name:10} {tags:14,}')
    print(f'overflows of the counter: {seen["overflows"]:,}')
    for note in seen['notes']:
        print(note)
    if args.period_ps is not None:
        _print_folded(seen)
    return 0


def _print_folded(seen: dict[str, Any]) -> None:
    print(f'\nFolded on {seen["period_ps"]:g} ps, first bin at the left:')
    for name, one in seen['inputs'].items():
        top = max(*one['folded'], 1)
        bars = ''.join(' ▁▂▃▄▅▆▇█'[round(8 * count / top)] for count in one['folded'])
        print(f'{"input " + name:10} |{bars}|')
