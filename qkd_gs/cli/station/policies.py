"""`qkd-gs policies FILE`: policies of SROS2 for a station with these options."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.cli.station.up import add_station_options, station_options
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.station.graph import station_graph
from qkd_gs.station.policies import OPERATOR, enclave_of, policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command: those of the station."""
    parser.add_argument('file', type=Path, metavar='FILE', help='file to write, XML as `ros2 security` reads it')
    add_station_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the policies and list the enclaves."""
    graph = station_graph(station_options(args))
    namespace = graph[0].namespace
    specs = [process.spec for process in graph]
    replace_file(args.file, policy(specs, namespace))
    for name in (*(spec.name for spec in specs), OPERATOR):
        print(enclave_of(namespace, name))
    return 0
