"""`qkd-gs replay BAG`: play a recorded pass on its own clock, and recompute its tracking figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.recording import open_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='folder of a bag, or of a session with one in it')
    parser.add_argument('--speed', type=_above_zero, default=1.0, metavar='X', help='seconds of the bag a second (1)')
    parser.add_argument(
        '--wait-for',
        metavar='TOPICS',
        default='',
        help='begin once each of these topics (separated by commas) has a subscriber, which then misses nothing',
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Play; 0 if the recomputed figures equal those of the live pass."""
    bag = open_bag(args.bag)  # before ROS is started, so that a bad bag is refused at once
    if bag.warning:
        print(bag.warning, file=sys.stderr)
    from qkd_gs.nodes.replay_node import replay

    played = replay(bag, args.speed, list(filter(None, args.wait_for.split(','))))
    if played is None:
        print('stopped before its end', file=sys.stderr)
        return 1
    if args.json:
        print_json(
            {
                'tracking': played.tracking.metrics,
                'beside': played.tracking.reference,
                'different': {name: list(pair) for name, pair in played.tracking.different.items()},
                'run': {'messages': played.messages, 'topics': played.topics, 'speed': played.speed},
            }
        )
    else:
        for name, value in played.tracking.metrics.items():
            if value is not None:
                print(f'{name:<18} {value:.6g}')
        print(f'{played.messages} messages on {played.topics} topics at {played.speed:.2f} times real time')
        print(played.tracking.sentence)
    return 1 if played.tracking.different else 0


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f'{text} is not above 0 and at most 1000')
    return value
