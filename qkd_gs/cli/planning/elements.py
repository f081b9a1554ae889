"""`qkd-gs elements`: fetch orbit elements from a server, or write the trajectory file of a pass."""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError
from qkd_gs.orbit import load_elements, pass_nearest
from qkd_gs.orbit.fetch import CELESTRAK, INTERVAL_S, address_of, fetch
from qkd_gs.orbit.files.trajectory import write_trajectory
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.settings.site import load_site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    fetching = actions.add_parser('fetch', help='fetch elements, as often as courtesy allows')
    what = fetching.add_mutually_exclusive_group(required=True)
    what.add_argument('--number', metavar='N', help='catalogue number')
    what.add_argument('--name', help='name, or a part of it')
    what.add_argument('--designator', metavar='ID', help='international designator, e.g. 2016-051')
    what.add_argument('--group', help="a group of the server, e.g. 'active'")
    fetching.add_argument('--out', metavar='FILE', help='where to put the elements; default: their copy in the cache')
    fetching.add_argument('--format', choices=('json', 'xml', 'kvn', 'csv', 'tle'), default='json', help='default json')
    fetching.add_argument('--url', default=CELESTRAK, help=f'server in the form of CelesTrak (default {CELESTRAK})')
    fetching.add_argument('--cache', metavar='DIR', help='default: $XDG_CACHE_HOME/qkd-gs/elements, or ~/.cache')
    fetching.add_argument(
        '--interval-h',
        type=float,
        default=INTERVAL_S / 3600,
        metavar='H',
        help='the server is not asked twice within it (default and least 2)',
    )
    add_json_option(fetching)
    writing = actions.add_parser('trajectory', help='write time, azimuth and elevation of a pass into a file')
    writing.add_argument('--elements', required=True, metavar='FILE', help='orbit data')
    writing.add_argument('--satellite', metavar='NAME', help='only this one of the file')
    writing.add_argument('--site', required=True, help='name of a site, a .yaml file, or LAT_DEG,LON_DEG,ALT_M')
    writing.add_argument('--at', required=True, metavar='T', help='UTC: the pass that culminates nearest to it')
    writing.add_argument('--step', type=float, default=1.0, metavar='S', help='between rows, s (default 1)')
    writing.add_argument('--no-ranges', action='store_true', help='leave out the column of ranges')
    writing.add_argument('--force', action='store_true', help='use elements older than 60 days')
    writing.add_argument('out', metavar='OUT', help='the file to write')


def run(args: argparse.Namespace) -> int:
    """Do the action."""
    return _fetch(args) if args.action == 'fetch' else _write(args)


def _fetch(args: argparse.Namespace) -> int:
    if not args.interval_h * 3600 >= INTERVAL_S:
        raise StationError(f'{args.interval_h:g} h is less than 2', where='--interval-h', hint='courtesy to the server')
    kind = next(kind for kind in ('number', 'name', 'designator', 'group') if getattr(args, kind) is not None)
    address = address_of(args.url, kind, getattr(args, kind), args.format)
    cache = Path(args.cache) if args.cache else _cache()
    found = fetch(address, cache, time.time_ns(), args.interval_h * 3600)
    path = found.path
    if args.out is not None:
        path = Path(args.out)
        shutil.copyfile(found.path, path)
    if args.json:
        print_json(
            {
                'file': str(path),
                'address': found.address,
                'fetched': format_utc(found.fetched_ns),
                'asked': found.asked,
                'satellites': found.satellites,
            }
        )
    else:
        where = 'from the server' if found.asked else 'the copy'
        print(f'{path}: {found.satellites} satellites, {where}, of {format_utc(found.fetched_ns, 0)}')
    return 0


def _write(args: argparse.Namespace) -> int:
    elements, site = load_elements(args.elements), load_site(args.site)
    if args.satellite is not None:
        elements = elements.only(args.satellite)
    if not 0.01 <= args.step <= 60:
        raise StationError(f'{args.step:g} s is not from 0.01 to 60', where='--step')
    found = pass_nearest(elements, site, parse_utc(args.at, '--at'), force=args.force)
    text = write_trajectory(found.orbit, site, found.rise_ns, found.set_ns, args.step, not args.no_ranges)
    try:
        Path(args.out).write_text(text, encoding='utf-8')
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=args.out) from error
    print(f'{args.out}: {found.satellite}, {format_utc(found.rise_ns, 0)} to {format_utc(found.set_ns, 0)}')
    return 0


def _cache() -> Path:
    base = os.environ.get('XDG_CACHE_HOME') or str(Path.home() / '.cache')
    return Path(base) / 'qkd-gs' / 'elements'
