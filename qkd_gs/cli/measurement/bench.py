"""`qkd-gs bench NAME`: each benchmark is a module qkd_gs.bench.NAME with run() -> figures."""

from __future__ import annotations

import argparse
import importlib

from qkd_gs.children import protected_children
from qkd_gs.cli.console.output import add_json_option, print_json

NAMES = (
    'spot', 'passes', 'tracking', 'tags', 'reconcile', 'amplify', 'table1', 'pipeline', 'recovery', 'graph', 'machine',
    'faults',
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('name', choices=NAMES, help='what to measure')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    with protected_children():
        figures = importlib.import_module(f'qkd_gs.bench.{args.name}').run()
    if args.json:
        print_json(figures)
    else:
        for key, value in figures.items():
            print(f'{key:32} {value}')
    return 0
