"""`qkd-gs repair BAG`: repair a bag whose recorder was killed."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.recording import open_bag, repair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='folder of a bag, or of a session with one in it')


def run(args: argparse.Namespace) -> int:
    """Repair, and say what was done."""
    bag = open_bag(args.bag)
    done = repair(bag.folder)
    rewritten = ', '.join(path.name for path in done.rewritten) or 'nothing'
    print(f'{bag.folder}: {done.messages} messages; rewritten: {rewritten}')
    return 0
