"""The walk of doc/laboratory.md: a bench's own files, two key folders, two processes, and an equal key at both ends."""

import contextlib
import io
import json
import re
import subprocess
import sys

import pytest
from optical_bench import Bench

from qkd_gs.cli import main

SOURCE = """pulse_rate_hz: 5.0e+6
beacon_rate_hz: 1.0e+4
mu_signal: 0.8
mu_decoy: 0.1
mu_vacuum: 0.0
p_signal: 0.5
p_decoy: 0.25
p_vacuum: 0.25
"""
ONE_COMMAND_S = 400


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp('lab')
    truth = Bench(seconds=6.0).run(folder)
    (folder / 'source.yaml').write_text(SOURCE)
    return folder, truth


def qkd_gs(folder, *words, status=0):
    """A command in this process; that of the other end, which serves, is a process of its own."""
    said, told = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        done = main(list(map(str, words)))
    assert done == status, (words, said.getvalue(), told.getvalue())
    return said.getvalue() if status == 0 else told.getvalue()


def test_the_whole_walk(lab):
    folder, truth = lab
    seen = json.loads(qkd_gs(folder, 'import', '--look', 'tags.ptu', '--json'))
    assert set(seen['inputs']) == {'1', '2', '3', '4', '5', '6'}
    assert 0.9 < seen['inputs']['6']['rate_hz'] < 1.3

    for name in ('ground', 'source'):
        qkd_gs(folder, 'keys', 'init', name)
        qkd_gs(folder, 'keys', 'export-public', name, f'{name}.pem')
    pinned = qkd_gs(folder, 'keys', 'pin', 'ground', 'source.pem')
    assert pinned.split()[0] == json.loads(qkd_gs(folder, 'keys', 'status', 'source', '--json'))['certificate']
    qkd_gs(folder, 'keys', 'pin', 'source', 'ground.pem')
    (folder / 'shared.bin').write_bytes(bytes(range(256)) * 32)
    for name in ('ground', 'source'):
        qkd_gs(folder, 'keys', 'import-preshared', name, 'shared.bin')

    qkd_gs(
        folder, 'satellite', 'pack', '--states', 'states.u8', '--first-pulse', truth['first'],
        '--epoch', '2026-03-01T11:59:58Z', '--beacon', 'beacon.csv', '--source', 'source.yaml', 'log.h5',
    )  # fmt: skip
    assert '30,000,000 pulses' in qkd_gs(folder, 'satellite', 'check', 'log.h5')
    made = json.loads(
        qkd_gs(
            folder, 'import', 'tags.ptu', '--map', 'map.yaml', '--session', 'session', '--keys', 'ground',
            '--source', 'source.yaml', '--delay-s', '2e-5', '--json',
        )
    )  # fmt: skip
    assert made['lost'] == {'records': 0, 'overflows': 0}
    assert made['pps'] == {'used': 6, 'left_out': 0, 'rms_ns': made['pps']['rms_ns']}
    qkd_gs(folder, 'session', 'check', 'session')
    assert 'no link to the bench is configured' in qkd_gs(folder, 'process', 'session', '--keys', 'ground', status=2)

    server = subprocess.Popen(
        [sys.executable, '-m', 'qkd_gs', 'satellite', 'serve', '--log', 'log.h5', '--keys', 'source',
         '--listen', '127.0.0.1:0', '--once'],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = server.stdout.readline().strip()
        assert re.fullmatch(r'127\.0\.0\.1:\d+', address)
        made = json.loads(qkd_gs(folder, 'process', 'session', '--keys', 'ground', '--satellite', address, '--json'))
        server.communicate(timeout=ONE_COMMAND_S)
        assert server.returncode == 0
    finally:
        server.kill()
    key = made['key']
    assert key['secret_bits'] > 50_000
    assert key['simulated'] is False
    assert abs(key['qber'] - 0.015) < 0.002
    assert 0.8 * truth['sifted'] < key['sifted_bits'] < truth['sifted']
    assert made['timing']['sync_rms_ns'] < 1
    qkd_gs(folder, 'session', 'check', 'session')
    check_the_keys(folder, key)


def check_the_keys(folder, key):
    """Bits of both folders under one ID are equal, and are given once."""
    status = {name: json.loads(qkd_gs(folder, 'keys', 'status', name, '--json')) for name in ('ground', 'source')}
    assert status['ground']['left_bits']['send'] == status['source']['left_bits']['receive']
    assert sum(status['ground']['left_bits'].values()) == key['secret_bits']
    (listed,) = json.loads(qkd_gs(folder, 'keys', 'list', 'source', '--json'))
    assert (listed['key_id'], listed['state'], listed['bits']) == (key['key_id'], 'confirmed', key['secret_bits'])
    for sender, receiver in (('ground', 'source'), ('source', 'ground')):
        name = qkd_gs(folder, 'keys', 'take', sender, 32, '--out', f'{sender}.key').strip()
        assert qkd_gs(folder, 'keys', 'take', receiver, 32, '--id', name, '--out', f'{sender}.copy').strip() == name
        first, second = ((folder / f'{sender}.{end}') for end in ('key', 'copy'))
        assert first.read_bytes() == second.read_bytes()
        assert len(first.read_bytes()) == 32
        assert first.stat().st_mode & 0o777 == 0o600
        again = qkd_gs(folder, 'keys', 'take', receiver, 32, '--id', name, '--out', 'again.key', status=2)
        assert 'given already' in again
        assert not (folder / 'again.key').exists()
    qkd_gs(folder, 'keys', 'erase', 'source', 'session')
    assert json.loads(qkd_gs(folder, 'keys', 'list', 'source', '--json'))[0]['state'] == 'erased'
    assert 'no key has 256 bits left' in qkd_gs(folder, 'keys', 'take', 'source', 32, '--out', 'x', status=2)
