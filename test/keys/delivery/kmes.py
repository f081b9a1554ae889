"""Two KMEs on loopback that share keys, each with an application."""

import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import requests
from two_stations import NOW

from qkd_gs.keys.credentials import new_certificate
from qkd_gs.keys.delivery.place import DeliveryPlace
from qkd_gs.keys.delivery.server import DeliveryServer
from qkd_gs.keys.delivery.settings import DeliverySettings, PeerKme, Source
from qkd_gs.keys.delivery.users import Share
from qkd_gs.keys.entries import Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.sifting.packed_bits import PackedBits

SIDES = {'ground': Side.GROUND, 'source': Side.SATELLITE}
SAES = {'alice': 'ground', 'carol': 'ground', 'bob': 'source', 'dora': 'source'}
PAIRS = [('alice', 'bob'), ('alice', 'dora'), ('carol', 'bob'), ('alice', 'carol')]


class Kmes:
    """Key folders, certificates and settings of both; `serving` starts them."""

    def __init__(self, folder, keys=3, bits=40_000, simulated=False, **settings):
        self.folder, self.simulated = Path(folder), simulated
        self.places, self.servers, self.options = {}, {}, settings
        rng = np.random.default_rng(7)
        for name in SIDES:
            self.places[name] = DeliveryPlace(KeyFolder.create(self.folder / name), simulated)
        for number in range(keys):
            self.add_key(f'k{number}', rng.integers(0, 2, bits).astype(np.uint8))
        for sae in (*SAES, 'mallory'):
            key, certificate = new_certificate(sae)
            (self.folder / f'{sae}.key').write_bytes(key)
            (self.folder / f'{sae}.crt').write_bytes(certificate)
        for one, other in PAIRS:
            for sae, partner in ((one, other), (other, one)):
                at = SAES[partner] if SAES[partner] != SAES[sae] else None
                certificate = (self.folder / f'{sae}.crt').read_text()
                self.places[SAES[sae]].users.add(sae, certificate, partner, Share(kme=at), NOW)

    def add_key(self, key_id, bits):
        for name, side in SIDES.items():
            with self.places[name].keys.store(self.simulated, side) as store:
                store.put(f's-{key_id}', key_id, PackedBits.of(bits), 1e-10, {})
                store.confirm(f's-{key_id}', key_id)

    @contextmanager
    def serving(self, only=('ground', 'source')):
        """The servers, in threads of this process; each knows the address of the other."""
        for name in SIDES:
            self.places[name].make_certificate(name, ['127.0.0.1', 'localhost'], datetime.now(UTC))
        addresses = dict(zip(SIDES, _free_addresses(), strict=True))
        threads = []
        try:
            for name in only:
                peers = {other: address for other, address in addresses.items() if other != name}
                server = DeliveryServer(self.places[name], self.settings(name, peers), addresses[name])
                self.servers[name] = server
                threads.append(threading.Thread(target=server.serve))
                threads[-1].start()
            yield self
        finally:
            for server in self.servers.values():
                server.stop()
            for thread in threads:
                thread.join()

    def settings(self, name, peers):
        known = {
            peer: PeerKme(address=address, certificate=self.places[peer].certificate, keys=Source.LINK)
            for peer, address in peers.items()
        }
        return DeliverySettings(kme_id=name, peers=known, **self.options)

    def ask(self, sae, method, path, at=None, **options):
        """Answer to a request of an application to its KME."""
        name = at or SAES[sae]
        return requests.request(
            method,
            f'https://{self.servers[name].address}{path}',
            cert=(str(self.folder / f'{sae}.crt'), str(self.folder / f'{sae}.key')),
            verify=str(self.places[name].certificate),
            timeout=60,
            **options,
        )

    def enc(self, sae, slave, method='GET', **options):
        return self.ask(sae, method, f'/api/v1/keys/{slave}/enc_keys', **options)

    def dec(self, sae, master, method='POST', **options):
        return self.ask(sae, method, f'/api/v1/keys/{master}/dec_keys', **options)

    def dec_ids(self, sae, master, ids):
        return self.dec(sae, master, json={'key_IDs': [{'key_ID': one} for one in ids]})


def _free_addresses():
    with socket.create_server(('127.0.0.1', 0)) as one, socket.create_server(('127.0.0.1', 0)) as other:
        return [f'127.0.0.1:{made.getsockname()[1]}' for made in (one, other)]
