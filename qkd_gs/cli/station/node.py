"""`qkd-gs node NAME`: one node of the station in this terminal, e.g. under a debugger, or beside other nodes."""

from __future__ import annotations

import argparse
import importlib

from qkd_gs.cli.station.up import add_station_options, station_options
from qkd_gs.errors import StationError
from qkd_gs.station.graph import NODES, station_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command: those of the station."""
    parser.add_argument('name', metavar='NAME', help='; '.join(f'{spec.name}: {spec.purpose}' for spec in NODES))
    add_station_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the node until Ctrl-C."""
    graph = {process.spec.name: process for process in station_graph(station_options(args))}
    if args.name not in graph:
        known = {spec.name for spec in NODES}
        what = 'is no node of a station with these options' if args.name in known else 'is no node of the station'
        raise StationError(what, where=args.name, hint=f'one of {", ".join(graph)}')
    process = graph[args.name]
    return int(importlib.import_module(process.spec.module).main(['qkd_gs', *process.ros_arguments()]))
