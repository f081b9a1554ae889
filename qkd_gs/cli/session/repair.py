"""`qkd-gs repair BAG`: repair a bag whose recorder was killed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from qkd_gs.recording import open_bag, repair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='folder of a bag, or of a session with one in it')


def run(args: argparse.Namespace) -> int:
    """Repair, and say what was done."""
    bag = open_bag(args.bag)
    done = repair(bag.folder)
    print(f'{bag.folder}: {done.messages} messages; rewritten: {_names(done.rewritten) or "nothing"}')
    if done.lost:
        print(f'lost: {done.lost} messages at least, in damaged parts')
    if done.kept:
        print(f'kept as it was: {_names(done.kept)}')
    if done.copies:
        print(f'left out, since they hold the same as others: {_names(done.copies)}')
    return 0


def _names(paths: Iterable[Path]) -> str:
    return ', '.join(path.name for path in paths)
