"""`qkd-gs keys users | export-kme | journal | serve`: what is registered, and what is refused in one sentence."""

import json

import pytest

from qkd_gs.cli import main
from qkd_gs.keys.credentials import new_certificate
from qkd_gs.keys.folder import KeyFolder


@pytest.fixture
def folder(tmp_path):
    KeyFolder.create(tmp_path / 'keys')
    for name in ('alice', 'bob'):
        key, certificate = new_certificate(name)
        (tmp_path / f'{name}.crt').write_bytes(certificate)
        (tmp_path / f'{name}.pem').write_bytes(key + certificate)
    return tmp_path


def said(capsys, *words, status=2):
    assert main(['keys', *(str(word) for word in words)]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_users(folder, capsys):
    keys = folder / 'keys'
    mark = said(
        capsys, 'users', 'add', keys, 'alice', '--certificate', folder / 'alice.crt', '--shares-with', 'bob', status=0
    ).strip()
    options = ['--shares-with', 'carol', '--at', 'Beijing', '--bits-per-day', 1000, '--reserve-bits', 64]
    said(capsys, 'users', 'add', keys, 'alice', *options, status=0)
    (user,) = json.loads(said(capsys, 'users', 'list', keys, '--json', status=0))
    assert (user['name'], user['certificate']) == ('alice', mark)
    assert user['shares_with'] == [
        {'name': 'bob', 'kme': None, 'bits_per_day': None, 'reserve_bits': 0},
        {'name': 'carol', 'kme': 'Beijing', 'bits_per_day': 1000, 'reserve_bits': 64},
    ]
    assert 'carol at Beijing, 1,000 bits a day' in said(capsys, 'users', 'list', keys, status=0)
    assert said(capsys, 'users', 'list', keys, '--simulated', status=0) == '', 'simulated keys have other users'
    said(capsys, 'users', 'remove', keys, 'alice', status=0)
    assert json.loads(said(capsys, 'users', 'list', keys, '--json', status=0)) == []


def test_users_that_are_refused(folder, capsys):
    keys = folder / 'keys'

    def add(name, certificate, *options):
        files = [] if certificate is None else ['--certificate', folder / certificate]
        return said(capsys, 'users', 'add', keys, name, *files, '--shares-with', 'dora', *options)

    said(capsys, 'users', 'add', keys, 'eve', '--certificate', folder / 'bob.crt', '--shares-with', 'x', status=0)
    assert 'is not registered yet' in add('alice', None)
    assert 'has a private key' in add('alice', 'alice.pem')
    assert 'cannot be read' in add('alice', 'missing')
    assert 'has the certificate of eve' in add('alice', 'bob.crt')
    assert 'is registered with another certificate' in add('eve', 'alice.crt')
    assert 'cannot be an ID' in add('a/b', 'alice.crt')
    assert 'does not share keys with itself' in add('dora', 'alice.crt')
    assert 'less than none' in add('alice', 'alice.crt', '--bits-per-day', '-1')
    assert 'is not registered' in said(capsys, 'users', 'remove', keys, 'alice')


def test_the_certificate_of_the_server(folder, capsys):
    keys, file = folder / 'keys', folder / 'kme.crt'
    said(capsys, 'export-kme', keys, file, status=0)
    assert 'BEGIN CERTIFICATE' in file.read_text()
    assert 'exists already' in said(capsys, 'export-kme', keys, file)
    said(capsys, 'export-kme', keys, folder / 'simulated.crt', '--simulated', status=0)
    assert file.read_text() != (folder / 'simulated.crt').read_text()
    (folder / 'delivery.yaml').write_text('kme_id: Shanghai')
    refused = said(capsys, 'export-kme', keys, folder / 'other.crt', '--config', folder / 'delivery.yaml')
    assert 'is the certificate of KME, not of Shanghai' in refused


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('key_size: 100', 'key_size: is not a multiple of 8'),
        ('key_size: 16', 'key_size is not between min_key_size and max_key_size'),
        ('kme_id: a b', 'cannot be an ID'),
        ('listen: nowhere', 'is not HOST:PORT'),
        ('peers: {KME: {address: "a:1", certificate: x}}', 'KME is this KME itself'),
        ('peers: {Beijing: {address: "a:1", certificate: missing.crt}}', 'cannot be read'),
        ('colour: red', 'colour is not known'),
    ],
)
def test_settings_that_are_refused(folder, capsys, text, why):
    (folder / 'delivery.yaml').write_text(text)
    assert why in said(
        capsys, 'serve', folder / 'keys', '--config', folder / 'delivery.yaml', '--listen', '127.0.0.1:0'
    )


def test_an_empty_journal(folder, capsys):
    assert json.loads(said(capsys, 'journal', folder / 'keys', '--json', status=0)) == []
