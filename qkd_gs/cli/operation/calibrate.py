"""`qkd-gs calibrate`: ask a running station to calibrate its pointing on stars; Ctrl-C aborts it."""

from __future__ import annotations

import argparse

from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.cli.operation.track import Shown
from qkd_gs.nodes.clients.operator import Operator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--stars', type=int, default=0, metavar='N', help='how many to visit at most (20)')
    parser.add_argument('--namespace', default='', metavar='NAME', help="prefix of the station's names")


def run(args: argparse.Namespace) -> int:
    """Calibrate."""
    operator = Operator(args.namespace)
    try:
        with ended_by_signals(), Shown() as shown:
            answer = operator.calibrate(args.stars, lambda _, said: shown.say_once(said))
    finally:
        operator.close()
    rms_urad, heldout_urad = (answer.values[name] * 1e6 for name in ('rms_rad', 'heldout_rms_rad'))
    print(answer.sentence)
    print(f'RMS {rms_urad:.1f} urad, of stars left out of the fit {heldout_urad:.1f} urad')
    return 0
