"""Delivery of keys to 1,000 applications: two servers and the load that they carry, on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from qkd_gs.bench.delivery.load import Access, Pair, load
from qkd_gs.children import child_environment, ended_after
from qkd_gs.errors import DeviceFault
from qkd_gs.keys.credentials import new_certificate
from qkd_gs.keys.delivery.place import DeliveryPlace
from qkd_gs.keys.delivery.users import Share
from qkd_gs.keys.entries import Side
from qkd_gs.keys.files import write_secret
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.sifting.packed_bits import PackedBits

CLIENTS = 1000
RATE = 300.0  # requests a second
BROKEN = 0.05
_SIDES = {'ground': Side.GROUND, 'source': Side.SATELLITE}
_KEY_BITS = 1_000_000


_STEADY_S, _BROKEN_S, _FASTEST_S = 150.0, 75.0, 20.0


def run(minutes: float | None = None) -> dict[str, Any]:
    """Figures of two servers with 500 master SAEs at one and 500 slave SAEs at the other.

    Each pair gets a key of 256 bits (``enc_keys``) and fetches it (``dec_keys``), over two connections that stay open.
    The load runs on the same processors as the servers.

    Parameters
    ----------
    minutes : float, optional
        Duration of the loads ``steady`` and ``broken``, each.

    Returns
    -------
    dict
        `LoadRecord.figures` of each load: ``steady``, all clients together aim at `RATE` requests a second; ``broken``,
        the same, and 5 % of the requests have their connection broken off before the answer; ``fastest``, 64 pairs
        ask as fast as they are answered, for 20 s.  ``clients``, ``aimed_at_per_s``.
    """
    seconds, broken_seconds = (60 * minutes, 60 * minutes) if minutes else (_STEADY_S, _BROKEN_S)
    return measure(seconds, broken_seconds, _FASTEST_S)


def measure(seconds: float, broken_seconds: float, fastest_seconds: float) -> dict[str, Any]:
    """The three loads of `run`, each as long as given."""
    needed = (seconds + broken_seconds) * RATE / 2 + fastest_seconds * 1000
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='qkd_gs-delivery-')))
        access = stack.enter_context(_two_servers(place, int(needed * 256 / (_KEY_BITS / 2)) + 2))
        pairs = [Pair(('master', 'slave'), access) for _ in range(CLIENTS // 2)]
        steady = asyncio.run(load(pairs, seconds, RATE, 0.0, seed=1))
        broken = asyncio.run(load(pairs, broken_seconds, RATE, BROKEN, seed=2))
        fastest = asyncio.run(load(pairs[:64], fastest_seconds, None, 0.0, seed=3))
        return {
            'clients': CLIENTS,
            'aimed_at_per_s': RATE,
            'steady': steady.figures(seconds),
            'broken': broken.figures(broken_seconds),
            'fastest': fastest.figures(fastest_seconds),
        }


@contextmanager
def _two_servers(place: Path, keys: int) -> Iterator[tuple[Access, Access]]:
    """Servers of two folders that share keys; how their applications reach them."""
    places, rng = {}, np.random.default_rng()
    for name in _SIDES:
        places[name] = DeliveryPlace(KeyFolder.create(place / name), simulated=False)
        places[name].make_certificate(name, ['127.0.0.1'], datetime.now(UTC))
    for number in range(keys):
        bits = PackedBits.of(rng.integers(0, 2, _KEY_BITS).astype(np.uint8))
        for name, side in _SIDES.items():
            with places[name].keys.store(simulated=False, side=side) as store:
                store.put(f's{number}', f'k{number}', bits, 1e-10, {})
                store.confirm(f's{number}', f'k{number}')
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in _SIDES]
        ports = dict(zip(_SIDES, (int(one.getsockname()[1]) for one in free), strict=True))
    with ExitStack() as stack:
        for name, other, sae, partner in (
            ('ground', 'source', 'master', 'slave'),
            ('source', 'ground', 'slave', 'master'),
        ):
            key, certificate = new_certificate(sae)
            write_secret(place / f'{sae}.key', key)
            write_secret(place / f'{sae}.crt', certificate)
            places[name].users.add(sae, certificate.decode(), partner, Share(kme=other), datetime.now(UTC))
            peer = {'address': f'127.0.0.1:{ports[other]}', 'certificate': str(places[other].certificate)}
            settings = {'kme_id': name, 'listen': f'127.0.0.1:{ports[name]}', 'peers': {other: peer}}
            (place / f'{name}.yaml').write_text(yaml.safe_dump(settings), encoding='utf-8')
        for name in _SIDES:
            stack.enter_context(_server(places[name].keys.path, place / f'{name}.yaml'))
        masters = _access(place / 'master', places['ground'], ports['ground'])
        yield masters, _access(place / 'slave', places['source'], ports['source'])


@contextmanager
def _server(keys: Path, config: Path) -> Iterator[None]:
    words = [sys.executable, '-m', 'qkd_gs', 'keys', 'serve', str(keys), '--config', str(config)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=child_environment(os.environ))
    with ended_after(process):
        assert process.stdout is not None
        if not process.stdout.readline():
            raise DeviceFault('bench.server', 'a server did not start')
        yield


def _access(sae: Path, place: DeliveryPlace, port: int) -> Access:
    context = ssl.create_default_context(cafile=str(place.certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(sae.with_suffix('.crt'), sae.with_suffix('.key'))
    return Access('127.0.0.1', port, context)
