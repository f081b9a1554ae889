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
_OF = {  # what may be asked of which benchmarks, as a keyword of their run()
    'hours': ('endurance',),
    'lockstep': ('endurance',),
    'figure': ('endurance',),
    'minutes': ('delivery',),
    'seeds': ('evening', 'zenith'),
    'speed': ('graph',),
    'cases': ('evening',),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('name', choices=NAMES, help='what to measure')
    parser.add_argument('--hours', type=float, metavar='H', help='how long endurance runs (2; with --lockstep 24)')
    parser.add_argument('--lockstep', action='store_true', help='endurance: the passes of a day, in one process')
    parser.add_argument('--figure', metavar='FILE', help='endurance: draw the memory of each node (.png, .svg, .pdf)')
    parser.add_argument('--minutes', type=float, metavar='M', help='how long each load of delivery lasts (2.5; 1.25)')
    parser.add_argument('--seeds', metavar='LIST', help='seeds of evening (1) or zenith (1-20), as 1-20 or 1,4,7')
    parser.add_argument('--speed', type=float, metavar='S', help='graph: speed of station time (1)')
    only = 'evening: only this disturbance (all)'
    parser.add_argument('--case', dest='cases', action='append', metavar='NAME', help=only)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    given = {name: value for name in _OF if (value := vars(args)[name]) is not None and value is not False}
    for name, value in given.items():
        benches, option = _OF[name], '--case' if name == 'cases' else f'--{name}'
        if args.name not in benches:
            raise StationError(f'is for {" and ".join(benches)}', where=option)
        if isinstance(value, float) and not 0 < value < inf:
            raise StationError('is to be more than 0', where=option)
    if args.figure and args.lockstep:
        raise StationError('is for endurance at real time', where='--figure')
    with protected_children():
        figures = importlib.import_module(f'qkd_gs.bench.{args.name}').run(**given)
    if args.json:
        print_json(figures)
    else:
        for key, value in figures.items():
            print(f'{key:32} {value}')
    return 0
