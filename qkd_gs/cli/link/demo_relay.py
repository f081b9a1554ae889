"""`qkd-gs demo-relay`: two cities, one satellite; a file is encrypted in one city and decrypted in the other."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from qkd_gs.children import child_environment, ended_after
from qkd_gs.cli.console.signals import ended_by_signals
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.credentials import new_certificate
from qkd_gs.keys.delivery.client import KmeClient
from qkd_gs.keys.delivery.place import DeliveryPlace
from qkd_gs.keys.delivery.users import Share
from qkd_gs.keys.entries import Side
from qkd_gs.keys.files import write_secret
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.relay.announcement import TRUST
from qkd_gs.keys.relay.satellite_end import announce
from qkd_gs.keys.relay.station_end import accept
from qkd_gs.share import share_path

_MESSAGE = b'This file was encrypted in Shanghai with a key that Beijing shares.\n'
_NONCE_BYTES = 12


@dataclass(frozen=True)
class City:
    """One of the two stations; its pass and its application."""

    name: str
    pass_utc: str
    seed: int
    sae: str
    folder: Path

    @property
    def keys(self) -> Path:
        """Its key folder."""
        return self.folder / 'keys'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--folder', type=Path, metavar='DIR', help='new folder for both stations (default: temporary)')


def run(args: argparse.Namespace) -> int:
    """Two passes at once, the relay, two servers, two clients."""
    began_s = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        place = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='qkd_gs-relay-')))
        try:
            place.mkdir(parents=True, exist_ok=args.folder is None)
        except OSError as error:
            raise StationError(f'cannot be made: {error.strerror}', where=place) from error
        shanghai = City('Shanghai', '2018-10-03T15:56:00Z', 1, 'bank-shanghai', place.absolute() / 'Shanghai')
        beijing = City('Beijing', '2018-10-06T16:21:00Z', 2, 'bank-beijing', place.absolute() / 'Beijing')
        print('two passes of the satellite, simulated: Shanghai on 2018-10-03, Beijing on 2018-10-06', flush=True)
        _take_passes([shanghai, beijing])
        _relay([shanghai, beijing])
        addresses = _prepare_delivery(shanghai, beijing)
        for city in (shanghai, beijing):
            stack.enter_context(_server(city, addresses[city.name]))
        _send_file(shanghai, beijing, addresses)
    print(f'it took {time.monotonic() - began_s:.0f} s')
    return 0


def _take_passes(cities: list[City]) -> None:
    """Simulate the pass of each city, both at once, in processes of their own."""
    running = []
    for city in cities:
        city.folder.mkdir()
        words = ['simulate', '--elements', share_path('config', 'elements', 'micius.tle'), '--site', city.name]
        words += ['--at', city.pass_utc, '--seed', str(city.seed), '--keys', city.keys]
        running.append(_started(city, 'simulate', [*words, '--session', city.folder / 'session']))
    for city, process in zip(cities, running, strict=True):
        if process.wait():
            raise DeviceFault('demo.pass', f'the pass over {city.name} made no key: {city.folder / "simulate.log"}')
        with KeyFolder(city.keys).store(simulated=True) as store:
            bits = sum(entry.length_bits for entry in store.entries())
        print(f'{city.name} and the satellite share {bits:,} bits', flush=True)


def _relay(cities: list[City]) -> None:
    """The satellite announces the sum of its keys; both stations accept."""
    folders = {city.name: KeyFolder(city.keys) for city in cities}
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(folder.store(simulated=True, side=Side.SATELLITE))
            for name, folder in folders.items()
        }
        made = announce(stores, None, True, datetime.now(UTC), lambda _: None)
    print(f'the satellite announces {made.bits:,} bits: the sum of both keys, with a tag for each station')
    for city in cities:
        entry = accept(folders[city.name], made, datetime.now(UTC))
        print(f'{city.name} shares {entry.length_bits:,} bits with {entry.result["relayed_with"]}')
    print(TRUST, flush=True)


def _prepare_delivery(*cities: City) -> dict[str, str]:
    """Certificates of both KMEs and applications, and their settings; returns the address of each KME."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in cities]
        ports = {city.name: int(one.getsockname()[1]) for city, one in zip(cities, free, strict=True)}
    addresses = {name: f'127.0.0.1:{port}' for name, port in ports.items()}
    for city, other in (cities, cities[::-1]):
        place, now = DeliveryPlace(KeyFolder(city.keys), simulated=True), datetime.now(UTC)
        place.make_certificate(city.name, ['127.0.0.1'], now)
        key, certificate = new_certificate(city.sae)
        write_secret(city.folder / 'sae.key', key)
        write_secret(city.folder / 'sae.crt', certificate)
        place.users.add(city.sae, certificate.decode(), other.sae, Share(kme=other.name), now)
        theirs = DeliveryPlace(KeyFolder(other.keys), simulated=True).certificate
        peer = {'address': addresses[other.name], 'certificate': str(theirs), 'keys': 'relayed'}
        settings = {'kme_id': city.name, 'listen': addresses[city.name], 'peers': {other.name: peer}}
        (city.folder / 'delivery.yaml').write_text(yaml.safe_dump(settings), encoding='utf-8')
    return addresses


@contextmanager
def _server(city: City, address: str) -> Iterator[None]:
    """The server of a city, until the end of the context."""
    words = ['keys', 'serve', city.keys, '--config', city.folder / 'delivery.yaml', '--simulated']
    process = _started(city, 'serve', words, stdout=subprocess.PIPE)
    with ended_after(process):
        assert process.stdout is not None
        if process.stdout.readline().decode().strip() != address:
            raise DeviceFault('demo.server', f'the server of {city.name} did not start: {city.folder / "serve.log"}')
        print(f'the server of {city.name} listens on {address}', flush=True)
        yield


def _send_file(sender: City, receiver: City, addresses: dict[str, str]) -> None:
    """Encrypt a file in one city, with a new key, and decrypt it in the other, with the key of the same ID."""
    clients = {}
    for city in (sender, receiver):
        host, _, port = addresses[city.name].partition(':')
        kme = DeliveryPlace(KeyFolder(city.keys), simulated=True).certificate
        clients[city.name] = KmeClient(host, int(port), city.folder / 'sae.crt', city.folder / 'sae.key', kme)
    count = clients[sender.name].status(receiver.sae)['stored_key_count']
    print(f'{sender.sae} can ask for {count:,} keys of 256 bits to share with {receiver.sae}')
    ((key_id, key),) = clients[sender.name].get_keys(receiver.sae).items()
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, _MESSAGE, key_id.encode())
    (sender.folder / 'message.sealed').write_bytes(sealed)
    print(f'{sender.sae} encrypts a file with key {key_id}')
    (fetched,) = clients[receiver.name].get_keys_with_ids(sender.sae, [key_id]).values()
    plain = AESGCM(fetched).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], key_id.encode())
    (receiver.folder / 'message').write_bytes(plain)
    print(f'{receiver.sae} decrypts it: {plain.decode().strip()}')
    for client in clients.values():
        client.close()


def _started(city: City, name: str, words: list[object], stdout: int | None = None) -> subprocess.Popen[bytes]:
    """A command of this program in a process of its own; what it says goes to a log."""
    command = [sys.executable, '-m', 'qkd_gs', *map(str, words)]
    with open(city.folder / f'{name}.log', 'wb') as log:
        return subprocess.Popen(command, stdout=stdout or log, stderr=log, env=child_environment(os.environ))
