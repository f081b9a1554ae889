"""`qkd-gs relay announce | accept | list`: keys of two stations joined by the satellite."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.users import check_name
from qkd_gs.keys.entries import Side
from qkd_gs.keys.files import write_secret
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.relay.announcement import TRUST, Announcement, read_announcement
from qkd_gs.keys.relay.ledger import RelayLedger
from qkd_gs.keys.relay.satellite_end import announce
from qkd_gs.keys.relay.station_end import accept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parts = parser.add_subparsers(dest='part', required=True, metavar='PART')
    one = parts.add_parser('announce', help="at the satellite's end: announce the sum of its keys with two stations")
    one.add_argument('file', type=Path, metavar='FILE', help='the announcement, public; must not exist')
    one.add_argument(
        '--station',
        action='append',
        required=True,
        metavar='NAME=KEYS',
        help='a station, and the key folder with the keys that the satellite shares with it; twice',
    )
    one.add_argument('--bits', type=int, metavar='N', help='length of the relayed key (default: the most)')
    one.add_argument('--simulated', action='store_true', help="the twin's satellite; its keys protect nothing")
    add_json_option(one)
    one = parts.add_parser('accept', help='at a station: make the key that it shares with the other one')
    one.add_argument('keys', type=Path, metavar='KEYS', help='the key folder')
    one.add_argument('file', type=Path, metavar='FILE', help='the announcement')
    add_json_option(one)
    one = parts.add_parser('list', help='list the relays that a key folder took part in')
    one.add_argument('keys', type=Path, metavar='KEYS', help='the key folder')
    add_json_option(one)


def run(args: argparse.Namespace) -> int:
    """Announce, accept, or list."""
    return {'announce': _announce, 'accept': _accept, 'list': _list}[args.part](args)


def _announce(args: argparse.Namespace) -> int:
    folders = dict(_station(one) for one in args.station)
    if len(folders) != len(args.station):
        raise StationError('a station is named twice', where='--station')
    if args.file.exists():
        raise StationError('exists already', where=args.file)
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(folder.store(args.simulated, Side.SATELLITE)) for name, folder in folders.items()
        }
        made = announce(stores, args.bits, args.simulated, datetime.now(UTC), lambda one: _write(one, args.file))
    if args.json:
        print_json({'relay_id': made.relay_id, 'bits': made.bits, 'epsilon': made.epsilon})
        return 0
    print(f'{made.bits:,} bits for {made.ends[0].station} and {made.ends[1].station}: relay {made.relay_id}')
    print(TRUST)
    return 0


def _accept(args: argparse.Namespace) -> int:
    announcement = read_announcement(args.file)
    try:
        entry = accept(KeyFolder(args.keys), announcement, datetime.now(UTC))
    except StationError as error:
        raise StationError(error.what, where=error.where or args.file, hint=error.hint) from error
    peer = entry.result['relayed_with']
    if args.json:
        told = {'relay_id': entry.key_id, 'peer': peer, 'made': announcement.made_utc}
        print_json({**told, 'bits': entry.length_bits, 'epsilon': entry.epsilon})
        return 0
    print(f'{entry.length_bits:,} bits shared with {peer}, failure probability {entry.epsilon:.2g}')
    print(TRUST)
    return 0


def _list(args: argparse.Namespace) -> int:
    folder, rows = KeyFolder(args.keys), []
    for simulated in (False, True):
        for side in folder.sides(simulated):
            with folder.store(simulated, side) as store:
                rows += [
                    {'side': str(side), 'simulated': simulated, **one._asdict()} for one in RelayLedger(store).all()
                ]
    if args.json:
        print_json(rows)
        return 0
    for row in rows:
        kind = '  simulated' if row['simulated'] else ''
        print(f'{row["at_utc"]}  {row["relay_id"]}  {row["bits"]:9,} bits  with {row["other"]}  {row["state"]}{kind}')
    return 0


def _station(text: str) -> tuple[str, KeyFolder]:
    name, equals, folder = text.partition('=')
    if not equals:
        raise StationError(f'{text!r} is not NAME=KEYS', where='--station')
    check_name(name)
    return name, KeyFolder(Path(folder))


def _write(announcement: Announcement, path: Path) -> None:
    write_secret(path, announcement.model_dump_json(indent=1).encode() + b'\n')
    path.chmod(0o644)  # it is public
