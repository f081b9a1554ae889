"""`qkd-gs keys`: what is not meant is refused in one sentence, before anything is given away."""

import json

import numpy as np
import pytest

from qkd_gs.cli import main
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.sifting.packed_bits import PackedBits

SESSION = 'a' * 32


@pytest.fixture
def folder(tmp_path):
    keys = KeyFolder.create(tmp_path / 'keys')
    with keys.store(simulated=False) as store:
        store.put(SESSION, 'k1', PackedBits.of(np.ones(2048, np.uint8)), 1e-10, {})
        store.confirm(SESSION, 'k1')
    return tmp_path


def said(capsys, folder, *words, status=2):
    assert main(['keys', *(str(word) for word in words)]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_what_is_refused(folder, capsys):
    keys, out = folder / 'keys', folder / 'out'
    certificate = folder / 'own.pem'
    said(capsys, folder, 'export-public', keys, certificate, status=0)
    assert 'exists already' in said(capsys, folder, 'export-public', keys, certificate)
    assert "this folder's own certificate" in said(capsys, folder, 'pin', keys, certificate)
    assert 'is not empty' in said(capsys, folder, 'init', keys)
    certificate.write_text('no certificate')
    assert 'own.pem: is not a certificate in PEM' in said(capsys, folder, 'pin', keys, certificate)
    (folder / 'pre').write_bytes(bytes(1000))
    assert 'is not random' in said(capsys, folder, 'import-preshared', keys, folder / 'pre')
    (folder / 'pre').write_bytes(bytes(range(200)))
    assert 'has 200 bytes' in said(capsys, folder, 'import-preshared', keys, folder / 'pre')
    assert 'cannot be read' in said(capsys, folder, 'import-preshared', keys, folder / 'missing')
    assert '0 bytes' in said(capsys, folder, 'take', keys, 0, '--out', out)
    assert 'no key has 2048 bits left to send' in said(capsys, folder, 'take', keys, 256, '--out', out)
    assert 'does not name a piece' in said(capsys, folder, 'take', keys, 16, '--out', out, '--id', '?')
    assert 'has 32 bytes, not 16' in said(capsys, folder, 'take', keys, 16, '--out', out, '--id', 'k1-1024-256')
    assert 'holds no key k2' in said(capsys, folder, 'take', keys, 16, '--out', out, '--id', 'k2-0-128')
    assert 'for receiving here' in said(
        capsys, folder, 'take', keys, 16, '--out', out, '--id', 'k1-1024-128', '--for', 'send'
    )
    assert 'holds no key of session' in said(capsys, folder, 'erase', keys, 'b' * 32)
    assert 'is not a key folder' in said(capsys, folder, 'status', folder / 'nothing')
    assert not out.exists()
    assert json.loads(said(capsys, folder, 'status', keys, '--json', status=0))['left_bits'] == {
        'send': 1024,
        'receive': 1024,
    }


def test_nothing_is_taken_where_the_file_cannot_be_made(folder, capsys):
    keys, out = folder / 'keys', folder / 'out'
    out.write_text('precious')
    assert 'exists already' in said(capsys, folder, 'take', keys, 16, '--out', out)
    assert out.read_text() == 'precious'
    assert 'cannot be written' in said(capsys, folder, 'take', keys, 16, '--out', folder / 'no' / 'out')
    name = said(capsys, folder, 'take', keys, 16, '--out', folder / 'first', status=0).strip()
    assert name == 'k1-0-128'
    name = said(capsys, folder, 'take', keys, 16, '--out', folder / 'other', '--for', 'receive', status=0).strip()
    assert name == 'k1-1024-128'


def test_a_session_may_be_named_by_its_id(folder, capsys):
    said(capsys, folder, 'erase', folder / 'keys', SESSION, status=0)
    listed = json.loads(said(capsys, folder, 'list', folder / 'keys', '--json', status=0))
    assert [row['state'] for row in listed] == ['erased']
