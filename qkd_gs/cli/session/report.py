"""`qkd-gs report SESSION`: report.html (self-contained) and the figures beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.report import write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('session', type=Path, metavar='SESSION', help='folder of the session')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    path = write_report(args.session)
    if args.json:
        print_json({'report': str(path)})
    else:
        print(path)
    return 0
