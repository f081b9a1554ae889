"""`qkd-gs process SESSION`: from sealed tags to a stored key; `--join`: one key of several sessions."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.summary import print_joined, print_key
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.processing.pipeline import DEFAULT_WINDOW_S
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import reason
from qkd_gs.settings.satellite import PeerSettings
from qkd_gs.station.satellite_link import join_keys, make_key, make_key_live


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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('session', type=Path, nargs='?', help='folder of the session')
    what.add_argument(
        '--join',
        type=Path,
        nargs='+',
        metavar='SESSION',
        help='processed sessions whose sifted bits are kept (key.keep), to be made into one key',
    )
    parser.add_argument(
        '--live',
        action='store_true',
        help='begin while the session is recorded: sift and correct it in parts (doc/realtime.md)',
    )
    parser.add_argument('--keys', type=Path, metavar='DIR', help='key folder (default: $QKD_GS_KEYS)')
    parser.add_argument(
        '--satellite',
        metavar='HOST:PORT',
        help="where the satellite's side answers (default: config/satellite.yaml)",
    )
    add_window_option(parser)
    add_json_option(parser)


def _peer(address: str) -> PeerSettings:
    try:
        return PeerSettings(address=address)
    except ValidationError as error:
        raise StationError(reason(error).removeprefix('address: '), where='--satellite') from error


def run(args: argparse.Namespace) -> int:
    """Process the session or join several, or print the stored result."""
    if args.live and args.join:
        raise StationError('joined sessions are over: nothing of them is live', where='--live')
    manifest = load_manifest(args.join[0] if args.join else args.session)
    keys = find_key_folder(args.keys, simulated=manifest.simulated)
    peer = None if args.satellite is None else _peer(args.satellite)
    if peer is not None and manifest.simulated:
        raise StationError('a simulated session brings its own satellite', where='--satellite')
    watcher = ConsoleWatcher()
    try:
        if args.join:
            result = join_keys(args.join, keys, watcher.making_key, peer)
        else:
            make = make_key_live if args.live else make_key
            result = make(args.session, keys, watcher.making_key, args.window, peer)
    finally:
        watcher.done()
    if args.json:
        print_json(result)
    elif args.join:
        print_joined(result)
    else:
        print_key(result)
    return 0
