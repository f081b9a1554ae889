"""`qkd-gs satellite pack | check | serve`: the satellite's end of the link, from the log of a transmitter."""

from __future__ import annotations

import argparse
from pathlib import Path

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.progress import ConsoleWatcher
from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import find_key_folder
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.qkd.link.tls import Listener
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.satellite.growing_log import GrowingLog
from qkd_gs.satellite.pack import pack_log
from qkd_gs.satellite.server import open_log, serve_log
from qkd_gs.satellite.shares import by_intensity, check_shares
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.satellite import parse_address
from qkd_gs.settings.source import load_source
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

_LOG = 'transmitter log, from qkd-gs satellite pack; or a folder into which such logs are linked as the pulses leave'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parts = parser.add_subparsers(dest='part', required=True, metavar='PART')
    pack = parts.add_parser('pack', help='make a transmitter log of a byte for each pulse')
    pack.add_argument('--states', type=Path, required=True, metavar='FILE', help='one byte a pulse')
    pack.add_argument('--first-pulse', type=int, required=True, metavar='N', help='number of the first of them')
    pack.add_argument('--epoch', required=True, metavar='T', help="UTC at which the transmitter's clock reads 0")
    pack.add_argument('--beacon', type=Path, metavar='CSV', help='columns pulse,ps; none for a source without a beacon')
    pack.add_argument('--source', metavar='SOURCE', help='name of config/sources, or a file (default: the station)')
    pack.add_argument('out', type=Path, help='the log; must not exist')
    add_json_option(pack)
    check = parts.add_parser('check', help='read the head of a transmitter log, and all of its states')
    check.add_argument('log', type=Path, help='a log, or a folder of logs that follow each other')
    serve = parts.add_parser('serve', help='answer the ground, run after run')
    serve.add_argument('--log', type=Path, required=True, help=_LOG)
    serve.add_argument('--keys', type=Path, metavar='DIR', help='key folder of this side (default: $QKD_GS_KEYS)')
    serve.add_argument('--listen', required=True, metavar='HOST:PORT', help='port 0: any; printed as the first line')
    serve.add_argument('--station', type=Path, metavar='FILE', help='settings of the key (default: config)')
    serve.add_argument('--once', action='store_true', help='end after one run')


def run(args: argparse.Namespace) -> int:
    """Pack, check, or serve."""
    return {'pack': _pack, 'check': _check, 'serve': _serve}[args.part](args)


def _pack(args: argparse.Namespace) -> int:
    source = _station(None).source if args.source is None else load_source(args.source)
    watcher = ConsoleWatcher()
    try:
        made = pack_log(
            args.states,
            args.beacon,
            args.first_pulse,
            parse_utc(args.epoch, where='--epoch'),
            source,
            args.out,
            watcher.making_key,
        )
    finally:
        watcher.done()
    if args.json:
        print_json(made)
    else:
        print(f'{args.out}: {made["pulses"]:,} pulses from number {made["first_pulse"]:,} on')
        if made['beacon_pulses']:
            print(f'{made["beacon_pulses"]:,} pulses of the beacon')
    return 0


def _check(args: argparse.Namespace) -> int:
    transmitter = open_log(args.log)
    counts = transmitter.counts()
    head = transmitter.head
    files = f', {transmitter.files} file(s)' if isinstance(transmitter, GrowingLog) else ''
    rate_hz = head.source.pulse_rate_hz
    print(f'{args.log}{files}: {head.pulses:,} pulses of {rate_hz:g} Hz from number {head.first_pulse:,} on')
    for name, number in by_intensity(counts).items():
        print(f'  {name:8} {number / head.pulses:8.3%}')
    check_shares(counts, head.source, args.log)
    return 0


def _serve(args: argparse.Namespace) -> int:
    try:
        host, port = parse_address(args.listen)
    except StationError as error:
        raise StationError(error.what, where='--listen') from error
    keys = find_key_folder(args.keys, simulated=False)  # first: it protects the memory that the log comes into
    transmitter = open_log(args.log)
    station = _station(args.station).model_copy(update={'source': transmitter.head.source})
    terms = Terms.of_station(station)
    watcher = ConsoleWatcher()
    try:
        with ended_by_signals(), Listener(keys.tls_own(), host, port) as listener:
            shown = f'[{listener.host}]' if ':' in listener.host else listener.host
            print(f'{shown}:{listener.port}', flush=True)
            serve_log(transmitter, keys, terms, listener, args.once, watcher.making_key)
    except OSError as error:
        raise StationError(f'cannot be listened on: {error.strerror}', where=args.listen) from error
    finally:
        watcher.done()
    return 0


def _station(path: Path | None) -> StationSettings:
    return load_yaml(path or share_path('config', 'station.yaml'), StationSettings)
