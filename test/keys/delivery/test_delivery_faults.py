"""Servers that are killed, doubled, restored from a backup or out of disk: no key twice, none at one end alone."""

import base64
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import requests
import yaml
from kmes import Kmes
from two_stations import NOW, Stations

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.issuer import Issued, Issuer, IssueRequest
from qkd_gs.keys.delivery.ledger import HERE, Ledger
from qkd_gs.keys.delivery.server import DeliveryServer
from qkd_gs.keys.delivery.stock import Stock, StockWatch, stock_of
from qkd_gs.keys.delivery.users import Share


def keys_of(answer):
    assert answer.status_code == 200, answer.text
    return {one['key_ID']: one['key'] for one in answer.json()['keys']}


def test_two_gateways_at_once(tmp_path):
    with Kmes(tmp_path).serving() as kmes:
        place, peers = kmes.places['ground'], {'source': kmes.servers['source'].address}
        second = DeliveryServer(place, kmes.settings('ground', peers), '127.0.0.1:0')
        first = kmes.servers['ground']
        with ThreadPoolExecutor(9) as pool:
            running = pool.submit(second.serve)
            try:
                kmes.servers |= {'second': second}
                kmes.places |= {'second': place}
                asked = [
                    pool.submit(
                        kmes.ask, 'alice', 'GET', '/api/v1/keys/bob/enc_keys', at=('ground', 'second')[turn % 2]
                    )
                    for turn in range(24)
                ]
                keys = {}
                for one in asked:
                    keys |= keys_of(one.result())
            finally:
                second.stop()
            running.result()
        kmes.servers = {'ground': first, 'source': kmes.servers['source']}
        assert len(keys) == 24
        assert len(set(keys.values())) == 24
        assert keys_of(kmes.dec_ids('bob', 'alice', list(keys))) == keys


def test_a_restored_backup_is_refused(tmp_path):
    kmes = Kmes(tmp_path)
    database = kmes.places['source'].keys.path / 'satellite-keys.db'
    backup = database.with_name('backup')
    with kmes.serving():
        keys_of(kmes.enc('alice', 'bob'))
    shutil.copy(database, backup)
    with kmes.serving():
        keys_of(kmes.enc('alice', 'bob'))
    shutil.copy(backup, database)
    with pytest.raises(StationError, match='is not the newest copy'), kmes.serving():
        pass


def test_a_full_disk_costs_the_request_and_no_more(tmp_path):
    stations = Stations(tmp_path)
    with stations.store('X') as store:
        issuer = Issuer(Ledger(store), HERE, None, nullcontext, 0, simulated=False)
        request = IssueRequest('a', ('b',), 1, 256, Share())
        (pages,) = store.database.sql.execute('PRAGMA page_count').fetchone()
        store.database.sql.execute(f'PRAGMA max_page_count = {pages}')
        with pytest.raises(StationError, match='is the disk full'):
            issuer.issue([request] * 64, NOW)
        store.database.sql.execute('PRAGMA max_page_count = 1000000')
        outcomes = issuer.issue([request, request], NOW)
        assert all(isinstance(one, Issued) for one in outcomes)
        ranges = [piece.first_bit for one in outcomes for piece in one.pieces.values()]
        assert len(set(ranges)) == 2


def test_the_journal_cannot_be_rewritten(tmp_path):
    stations = Stations(tmp_path)
    stations.enc('X', 1, 256)
    with stations.store('X') as store:
        journal = Ledger(store).journal
        assert [entry.event for entry in journal.entries()] == ['enc_keys']
        for statement in ("UPDATE journal SET sae = 'x'", 'DELETE FROM journal'):
            with pytest.raises(sqlite3.IntegrityError, match='append-only'):
                store.database.sql.execute(statement)
        store.database.sql.execute('DROP TRIGGER journal_stays')
        store.database.sql.execute("UPDATE journal SET sae = 'x'")
        with pytest.raises(StationError, match='line 1 of the journal was changed'):
            list(journal.entries())


def test_no_key_in_logs_or_errors(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with Kmes(tmp_path).serving() as kmes:
        keys = keys_of(kmes.enc('alice', 'bob', params={'number': 3}))
        answers = [kmes.dec_ids('bob', 'alice', list(keys)), kmes.dec_ids('bob', 'alice', list(keys))]
        answers.append(kmes.dec_ids('dora', 'alice', list(keys)))
        journals = [
            str(list(Ledger(store).journal.entries()))
            for place in kmes.places.values()
            for _, store in place.keys.all_stores(simulated=False)
        ]
    said = caplog.text + ''.join(answer.text for answer in answers[1:]) + ''.join(journals)
    for key in keys.values():
        assert key not in said
        assert base64.b64decode(key).hex() not in said


def server_process(kmes, name):
    """A server in a process of its own, at the address of the one in this process."""
    peers = {other: server.address for other, server in kmes.servers.items() if other != name}
    config = kmes.folder / f'{name}.yaml'
    written = kmes.settings(name, peers).model_dump(mode='json')
    config.write_text(yaml.safe_dump(written))
    words = [sys.executable, '-m', 'qkd_gs', 'keys', 'serve', kmes.places[name].keys.path, '--config', config]
    process = subprocess.Popen([*words, '--listen', '127.0.0.1:0'], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def killed_under_load(tmp_path, kills):
    """Requests at a server that is killed again and again; keys that arrived, by ID."""
    keys = {}
    with Kmes(tmp_path).serving() as kmes:
        for _ in range(kills):
            process, address = server_process(kmes, 'ground')
            assert re.fullmatch(r'127\.0\.0\.1:\d+', address)

            def ask(_, address=address):
                try:
                    answer = requests.get(
                        f'https://{address}/api/v1/keys/bob/enc_keys?size=64',
                        cert=(str(kmes.folder / 'alice.crt'), str(kmes.folder / 'alice.key')),
                        verify=str(kmes.places['ground'].certificate),
                        timeout=60,
                    )
                    return keys_of(answer)
                except requests.exceptions.RequestException:
                    return {}

            with ThreadPoolExecutor(4) as pool:
                for number, got in enumerate(pool.map(ask, range(24))):
                    for key_id, key in got.items():
                        assert key_id not in keys
                        keys[key_id] = key
                    if number == 6:
                        os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        assert len(set(keys.values())) == len(keys)
        for key_id, key in keys.items():
            assert keys_of(kmes.dec_ids('bob', 'alice', [key_id])) == {key_id: key}
    return keys


def test_a_server_killed_under_load(tmp_path):
    assert len(killed_under_load(tmp_path, 1)) >= 7


@pytest.mark.long
def test_a_server_killed_under_load_many_times(tmp_path):
    assert len(killed_under_load(tmp_path, 20)) >= 140


def test_the_stock_and_how_a_heartbeat_tells_it(tmp_path):
    kmes = Kmes(tmp_path)
    folder = kmes.places['ground'].keys
    assert stock_of(folder, False, NOW, low_bits=60_000) == {'ground': Stock(60_000, False, 0, {})}
    watch = StockWatch(folder, simulated=False)
    assert watch.values() == {'key_bits_left': '60000', 'key_stock': 'low: ground'}
    assert watch.warning() == 'key stock: low: ground'
    assert StockWatch(kmes.places['ground'].keys, simulated=True).warning() == '', 'no application is registered there'
    with folder.store(simulated=False) as store:
        store.take(1000)
        issuer = Issuer(Ledger(store), HERE, None, nullcontext, 0, simulated=False)
        issuer.issue([IssueRequest('a', ('b',), 1, 256, Share())], NOW)
    told = StockWatch(folder, False, lambda: NOW).values()
    assert told == {'key_bits_left': '58744', 'key_stock': 'low: ground', 'bits_today a and b': '256'}
    assert watch.values()['key_bits_left'] == '58744'
