"""`qkd-gs simulate`: the pass nearest to a time in the twin, in lockstep without ROS, and its key."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.api.simulation import simulate_pass
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.summary import print_summary
from qkd_gs.cli.session.process import add_window_option
from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.report import write_report
from qkd_gs.settings.site import load_site
from qkd_gs.tracking.record.session_names import session_name, unused_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--elements', required=True, type=Path, metavar='FILE', help='OMM, TLE, OEM or CPF')
    parser.add_argument('--satellite', metavar='NAME', help='which one, if the file holds several')
    parser.add_argument('--site', required=True, help='name from config/sites, or LAT_DEG,LON_DEG,ALT_M')
    parser.add_argument('--at', required=True, metavar='T', help='UTC; the pass nearest to it is taken')
    parser.add_argument('--seed', type=int, default=1, metavar='N', help='random seed of the simulation (1)')
    parser.add_argument('--session', type=Path, metavar='DIR', help='new folder (default: one under sessions/)')
    parser.add_argument('--scenario', metavar='NAME', help='disturbances, a name from config/scenarios')
    parser.add_argument('--keys', type=Path, metavar='DIR', help='key folder (default: $QKD_GS_KEYS)')
    parser.add_argument('--station', type=Path, metavar='FILE', help='station settings (default: config/station.yaml)')
    parser.add_argument('--force', action='store_true', help='take elements older than 60 days')
    add_window_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Simulate the pass, make the key, write the report."""
    if args.seed < 0:
        raise StationError(f'{args.seed} is negative', where='--seed')
    elements = load_elements(args.elements)
    if args.satellite:
        elements = elements.only(args.satellite)
    site, at_ns, sessions = load_site(args.site), parse_utc(args.at, '--at'), Path('sessions')
    watcher = ConsoleWatcher()
    try:
        session = simulate_pass(
            elements,
            site,
            at_ns,
            args.session or sessions / unused_name(sessions, f'{session_name(at_ns, site.name)}-seed{args.seed}'),
            seed=args.seed,
            scenario=args.scenario,
            station=args.station,
            keys=args.keys,
            window_s=args.window,
            force=args.force,
            watcher=watcher,
        )
        watcher.step('writing the report')
        report = write_report(session.folder)
    finally:
        watcher.done()
    result = session.result or {}
    if args.json:
        print_json(result)
    else:
        print_summary(result, session.folder, report)
    return 0
