"""`qkd-gs key-length COUNTS.json`: decoy-state finite key from observed counts."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.qkd.finite_key.counts_file import load_counts
from qkd_gs.qkd.finite_key.key_length import KeyLength


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('counts', type=Path, metavar='COUNTS.json', help='counts by basis and intensity, and settings')
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Compute the key length from the file and print it."""
    result = load_counts(args.counts).evaluate()
    if args.json:
        print_json(
            {
                'secret_bits': result.secret_bits,
                'bounds': result.bounds,
                'epsilon_ledger': result.epsilon_ledger,
                'epsilon': result.epsilon,
                'epsilon_split': result.epsilon_split,
                'analysis': result.analysis,
                'composable': result.composable,
                'cost': result.cost,
                'reason': result.reason,
            }
        )
    else:
        _print_plainly(result)
    return 0


def _print_plainly(result: KeyLength) -> None:
    for step, bits in result.cost.items():
        print(f'{step.replace("_", " "):40} {bits:14.1f}')
    said = 'failure probability, composable' if result.composable else 'failure probability, not composable'
    print(f'{said:40} {result.epsilon:14.2e}')
    for name, value in result.epsilon_split.items():
        print(f'    {name:36} {value:14.2e}')
    if result.reason:
        print(f'no key: {result.reason}')
