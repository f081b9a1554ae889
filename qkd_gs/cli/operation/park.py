"""`qkd-gs park`: let a running station move its telescope to the park position; Ctrl-C stops it where it is."""

from __future__ import annotations

import argparse

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.cli.operation.track import Shown
from qkd_gs.nodes.clients.operator import Operator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--namespace', default='', metavar='NAME', help="prefix of the station's names")


def run(args: argparse.Namespace) -> int:
    """Park."""
    operator = Operator(args.namespace)
    try:
        with ended_by_signals(), Shown() as shown:
            operator.park(lambda _, said: shown.say_once(said))
    finally:
        operator.close()
    print('parked')
    return 0
