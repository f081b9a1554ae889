"""`qkd-gs up`: the station's nodes without `ros2 launch`, from the same declaration, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.station.graph import station_graph
from qkd_gs.station.options import OPTIONS, Value
from qkd_gs.station.processes import StationProcesses

_LOOK_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command: those of the station."""
    add_station_options(parser)
    parser.add_argument(
        '--logs', type=Path, metavar='DIR', help='folder for the output of every node (default: a new one)'
    )


def add_station_options(parser: argparse.ArgumentParser, *left_out: str) -> None:
    """One option for each of `options.OPTIONS`."""
    for option in OPTIONS:
        if option.name in left_out:
            continue
        flag, shown = '--' + option.name.replace('_', '-'), option.default
        text = f'{option.description} ({shown})' if shown != '' else option.description
        if isinstance(option.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=option.default, help=text)
        else:
            metavar = None if option.choices else option.name.upper()
            kind = type(option.default)
            parser.add_argument(
                flag, type=kind, default=option.default, help=text, choices=option.choices or None, metavar=metavar
            )


def station_options(args: argparse.Namespace, *left_out: str) -> dict[str, Value]:
    """Chosen options."""
    return {option.name: getattr(args, option.name) for option in OPTIONS if option.name not in left_out}


def run(args: argparse.Namespace) -> int:
    """Run the station."""
    logs = args.logs or Path(tempfile.mkdtemp(prefix='qkd_gs-logs-'))
    graph = station_graph(station_options(args))
    station = StationProcesses(graph, logs, _print)
    print(f'starting {len(graph)} nodes; their output is in {logs}; Ctrl-C stops them', file=sys.stderr)
    try:
        with ended_by_signals(once=True), stopped_at_the_end(station):
            station.start()
            while True:
                station.watch(time.monotonic())
                time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return 0


@contextmanager
def stopped_at_the_end(station: StationProcesses) -> Iterator[None]:
    """Stop the station at the end, whatever happens; Ctrl-C is passed on after that."""
    try:
        yield
    finally:
        station.stop()


def _print(name: str, line: str) -> None:
    print(f'[{name}] {line}', file=sys.stderr, flush=True)
