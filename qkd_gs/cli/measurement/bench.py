"""`qkd-gs bench NAME`: each benchmark is a module qkd_gs.bench.NAME with run() -> figures."""

from __future__ import annotations

import argparse
import importlib
from math import inf

from qkd_gs.children import protected_children
from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError

NAMES = (
    'spot', 'passes', 'tracking', 'tags', 'reconcile', 'amplify', 'table1', 'forecast', 'pipeline', 'recovery', 'graph',
    'machine', 'faults', 'delivery', 'endurance', 'sync', 'rates', 'realtime', 'security',
    'importers', 'evening', 'zenith',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('name', choices=NAMES, help='what to measure')
    parser.add_argument('--hours', type=float, metavar='H', help='how long endurance runs (2; with --lockstep 24)')
    parser.add_argument('--lockstep', action='store_true', help='endurance: the passes of a day, in one process')
    parser.add_argument('--figure', metavar='FILE', help='endurance: draw the memory of each node (.png, .svg, .pdf)')
    parser.add_argument('--minutes', type=float, metavar='M', help='how long each load of delivery lasts (2.5; 1.25)')
    parser.add_argument('--seeds', metavar='LIST', help='seeds of evening (1) or zenith (1-20), as 1-20 or 1,4,7')
    parser.add_argument('--case', action='append', metavar='NAME', help='evening: only this disturbance (all)')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.hours is not None and (args.name != 'endurance' or not 0 < args.hours < inf):
        raise StationError('is for endurance, more than 0', where='--hours')
    if args.lockstep and args.name != 'endurance':
        raise StationError('is for endurance', where='--lockstep')
    if args.figure and (args.name != 'endurance' or args.lockstep):
        raise StationError('is for endurance at real time', where='--figure')
    if args.minutes is not None and (args.name != 'delivery' or not 0 < args.minutes < inf):
        raise StationError('is for delivery, more than 0', where='--minutes')
    if args.seeds and args.name not in ('evening', 'zenith'):
        raise StationError('is for evening and zenith', where='--seeds')
    if args.case and args.name != 'evening':
        raise StationError('is for evening', where='--case')
    given = (
        ('hours', args.hours), ('lockstep', args.lockstep), ('minutes', args.minutes),
        ('seeds', args.seeds), ('cases', args.case), ('figure', args.figure),
    )  # fmt: skip
    options = {name: value for name, value in given if value}
    with protected_children():
        figures = importlib.import_module(f'qkd_gs.bench.{args.name}').run(**options)
    if args.json:
        print_json(figures)
    else:
        for key, value in figures.items():
            print(f'{key:32} {value}')
    return 0
