"""`qkd-gs process SESSION`: from sealed tags to a stored key."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.summary import print_key
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.processing.pipeline import DEFAULT_WINDOW_S
from qkd_gs.session.manifest import load_manifest
from qkd_gs.station.satellite_link import make_key


def add_window_option(parser: argparse.ArgumentParser) -> None:
    """`--window`, the same for simulate and process."""
    parser.add_argument(
        '--window',
        type=_window_s,
        default=DEFAULT_WINDOW_S,
        metavar='S',
        help=f'width of the window about culmination for sifted_bits_window ({DEFAULT_WINDOW_S:g})',
    )


def _window_s(text: str) -> float:
    window_s = float(text)
    if not 5 <= window_s <= 3600:
        raise argparse.ArgumentTypeError(f'{text} is not within 5 to 3600 s')
    return window_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('session', type=Path, help='folder of the session')
    parser.add_argument('--keys', type=Path, metavar='DIR', help='key folder (default: $QKD_GS_KEYS)')
    add_window_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Process the session, or print the stored result."""
    manifest = load_manifest(args.session)
    keys = find_key_folder(args.keys, simulated=manifest.simulated)
    watcher = ConsoleWatcher()
    try:
        result = make_key(args.session, keys, watcher.making_key, args.window)
    finally:
        watcher.done()
    if args.json:
        print_json(result)
    else:
        print_key(result)
    return 0
