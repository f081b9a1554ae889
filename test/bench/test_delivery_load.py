"""The load generator counts what it should, on two servers."""

import asyncio
import ssl

from kmes import Kmes

from qkd_gs.bench.delivery.load import Access, Pair, load


def access(kmes, sae, name):
    context = ssl.create_default_context(cafile=str(kmes.places[name].certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(kmes.folder / f'{sae}.crt', kmes.folder / f'{sae}.key')
    host, port = kmes.servers[name].address.split(':')
    return Access(host, int(port), context)


def test_pairs_with_broken_connections(tmp_path):
    with Kmes(tmp_path, keys=2, bits=400_000).serving() as kmes:
        ends = access(kmes, 'alice', 'ground'), access(kmes, 'bob', 'source')
        pairs = [Pair(('alice', 'bob'), ends) for _ in range(6)]
        record = asyncio.run(load(pairs, 1.0, None, 0.3, seed=1))
    figures = record.figures(1.0)
    assert figures['keys'] >= figures['fetched'] > 0
    assert figures['broken_on_purpose'] > 0
    assert figures['given_twice'] == figures['different_at_the_slave'] == figures['failed'] == 0
    assert figures['answers_other_than_200'] == 0
