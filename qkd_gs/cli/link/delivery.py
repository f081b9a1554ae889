"""`qkd-gs keys serve | users | export-kme | journal`: delivery of keys to applications."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.drivers.extras import need
from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.ledger import Ledger
from qkd_gs.keys.delivery.place import DeliveryPlace
from qkd_gs.keys.delivery.settings import DeliverySettings
from qkd_gs.keys.delivery.stock import stock_of
from qkd_gs.keys.delivery.trust import read_certificate
from qkd_gs.keys.delivery.users import Share, fingerprint
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.settings.loader import load_yaml

if TYPE_CHECKING:
    Parts = argparse._SubParsersAction[argparse.ArgumentParser]
_SIMULATED = 'for simulated keys, which protect nothing'


def add_parts(parts: Parts) -> None:
    """Options of the parts."""
    one = _part(parts, 'serve', 'deliver keys to applications over HTTPS (ETSI GS QKD 014), until Ctrl-C')
    _add_config(one)
    one.add_argument('--listen', metavar='HOST:PORT', help='port 0: any; printed as the first line')
    one = _part(parts, 'export-kme', 'write the certificate of the server, for applications and other stations')
    one.add_argument('file', type=Path)
    _add_config(one)
    one = _part(parts, 'journal', 'show who asked for which keys, and check that no line was changed')
    add_json_option(one)
    users = parts.add_parser('users', help='register the applications that share keys')
    verbs = users.add_subparsers(dest='verb', required=True, metavar='VERB')
    one = _part(verbs, 'add', 'register an application, or another one that it shares keys with')
    one.add_argument('name', metavar='NAME', help='its ID (SAE ID)')
    one.add_argument('--certificate', type=Path, metavar='FILE', help='its certificate, PEM')
    one.add_argument('--shares-with', required=True, metavar='NAME', help='the application that it shares keys with')
    one.add_argument('--at', metavar='KME', help='KME of that application (default: this one, or the only peer)')
    one.add_argument('--bits-per-day', type=int, metavar='N', help='most that the pair gets in a day (default: any)')
    one.add_argument('--reserve-bits', type=int, default=0, metavar='N', help='bits that the pair leaves in the store')
    one = _part(verbs, 'remove', 'remove an application: its certificate is not accepted any more')
    one.add_argument('name', metavar='NAME', help='its ID (SAE ID)')
    add_json_option(_part(verbs, 'list', 'list the applications'))


def run(folder: KeyFolder, args: argparse.Namespace) -> int:
    """One part."""
    place = DeliveryPlace(folder, args.simulated)
    if args.part == 'users':
        return {'add': _add, 'remove': _remove, 'list': _list}[args.verb](place, args)
    return {'serve': _serve, 'export-kme': _export, 'journal': _journal}[args.part](place, args)


def stock(folder: KeyFolder, config: Path | None) -> dict[str, dict[str, Any]]:
    """Stock of each store of real keys, bits that pairs got today, and number of keys that wait for a slave SAE."""
    found = stock_of(folder, simulated=False, now=datetime.now(UTC), low_bits=_settings(config).low_stock_bits)
    return {name: one._asdict() for name, one in found.items()}


PARTS = ('serve', 'export-kme', 'journal', 'users')


def _part(parts: Parts, name: str, text: str) -> argparse.ArgumentParser:
    one = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + '.')
    one.add_argument('keys', type=Path, metavar='KEYS', help='the key folder')
    one.add_argument('--simulated', action='store_true', help=_SIMULATED)
    return one


def _add_config(one: argparse.ArgumentParser) -> None:
    one.add_argument('--config', type=Path, metavar='FILE', help='delivery.yaml (default: all keys at their defaults)')


def _settings(path: Path | None) -> DeliverySettings:
    if path is None:
        return DeliverySettings()
    return load_yaml(path, DeliverySettings).placed_at(path.parent)


def _serve(place: DeliveryPlace, args: argparse.Namespace) -> int:
    for module in ('uvicorn', 'starlette', 'httptools'):
        need(module, 'delivery')
    from qkd_gs.keys.delivery.server import DeliveryServer

    settings = _settings(args.config)
    with ended_by_signals():
        server = DeliveryServer(place, settings, args.listen or settings.listen)
        print(server.address, flush=True)
        if place.simulated:
            print('the keys are simulated: they protect nothing', flush=True)
        server.serve()
    return 0


def _export(place: DeliveryPlace, args: argparse.Namespace) -> int:
    settings = _settings(args.config)
    place.make_certificate(settings.kme_id, settings.hostnames, datetime.now(UTC))
    try:
        with open(args.file, 'xb') as file:
            file.write(place.certificate.read_bytes())
    except FileExistsError as error:
        raise StationError('exists already', where=args.file) from error
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=args.file) from error
    print(_shown(place.certificate.read_text(encoding='ascii')))
    return 0


def _journal(place: DeliveryPlace, args: argparse.Namespace) -> int:
    lines = []
    for name, store in place.keys.all_stores(place.simulated):
        with store:
            lines += [{'store': name, **entry._asdict()} for entry in Ledger(store).journal.entries()]
    if args.json:
        print_json(lines)
        return 0
    for line in lines:
        print(
            f'{line["at_utc"]}  {line["store"]}  {line["event"]}  {line["sae"]}  {line["other"]}  {line["bits"]} bits'
        )
    return 0


def _add(place: DeliveryPlace, args: argparse.Namespace) -> int:
    certificate = None if args.certificate is None else read_certificate(args.certificate)
    for option, value in (('--bits-per-day', args.bits_per_day), ('--reserve-bits', args.reserve_bits)):
        if value is not None and value < 0:
            raise StationError(f'{value} bits are less than none', where=option)
    share = Share(kme=args.at, bits_per_day=args.bits_per_day, reserve_bits=args.reserve_bits)
    place.users.add(args.name, certificate, args.shares_with, share, datetime.now(UTC))
    print(_shown(place.users.all()[args.name].certificate))
    return 0


def _remove(place: DeliveryPlace, args: argparse.Namespace) -> int:
    place.users.remove(args.name)
    return 0


def _list(place: DeliveryPlace, args: argparse.Namespace) -> int:
    users = place.users.all()
    if args.json:
        print_json(
            [
                {
                    'name': name,
                    'certificate': _shown(user.certificate),
                    'added': user.added_utc,
                    'shares_with': [{'name': other, **share.model_dump()} for other, share in user.shares.items()],
                }
                for name, user in users.items()
            ]
        )
        return 0
    for name, user in users.items():
        print(f'{name}  {_shown(user.certificate)}')
        for other, share in user.shares.items():
            place_of = f' at {share.kme}' if share.kme else ''
            quota = '' if share.bits_per_day is None else f', {share.bits_per_day:,} bits a day'
            print(f'    shares with {other}{place_of}{quota}')
    return 0


def _shown(certificate_pem: str) -> str:
    return fingerprint(certificate_pem).hex(':').upper()
