"""Clients that others wrote: qkdsec, etsi-qkd-014-client, curl; and requests that nobody would write."""

import base64
import json
import subprocess

import pytest
from etsi_qkd_014_client import QKD014Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kmes import Kmes
from qkdsec.client import ETSI014Client
from qkdsec.client.errors import KMEHTTPError

from qkd_gs.keys.delivery.description import openapi
from qkd_gs.keys.delivery.settings import DeliverySettings


@pytest.fixture(scope='module')
def kmes(tmp_path_factory):
    with Kmes(tmp_path_factory.mktemp('kmes'), keys=4, bits=200_000).serving() as kmes:
        yield kmes


def qkdsec_client(kmes, sae):
    place = 'ground' if sae == 'alice' else 'source'
    return ETSI014Client(
        f'https://{kmes.servers[place].address}',
        client_cert=(str(kmes.folder / f'{sae}.crt'), str(kmes.folder / f'{sae}.key')),
        verify=str(kmes.places[place].certificate),
    )


def test_qkdsec(kmes):
    alice, bob = qkdsec_client(kmes, 'alice'), qkdsec_client(kmes, 'bob')
    assert alice.status('bob').target_kme_id == 'source'
    keys = {one.key_id: one.key for one in alice.get_enc_keys('bob', number=2, size=128)}
    keys |= {one.key_id: one.key for one in alice.get_enc_keys('bob', method='POST')}
    assert {one.key_id: one.key for one in bob.get_dec_keys('alice', key_ids=list(keys))} == keys
    with pytest.raises(KMEHTTPError, match='not found on KME'):
        bob.get_dec_keys('alice', key_ids=list(keys))


def test_etsi_qkd_014_client(kmes):
    def client(sae, place):
        files = [str(kmes.folder / f'{sae}.{ending}') for ending in ('crt', 'key')]
        return QKD014Client(kmes.servers[place].address, *files, str(kmes.places[place].certificate))

    alice, bob = client('alice', 'ground'), client('bob', 'source')
    code, status = alice.get_status('bob')
    assert (code, status.key_size) == (200, 256)
    code, container = alice.get_key('bob', number=2, size=512)
    assert code == 200
    keys = {one.key_id: one.key for one in container.keys}
    code, fetched = bob.get_key_with_key_IDs('alice', list(keys))
    assert code == 200
    assert {one.key_id: one.key for one in fetched.keys} == keys
    code, error = bob.get_key_with_key_IDs('alice', list(keys))
    assert (code, error.message) == (400, 'one or more keys specified are not found on KME')


def curl(kmes, sae, place, path, *options):
    words = ['curl', '--silent', '--show-error', '--fail-with-body', '--cacert', kmes.places[place].certificate]
    words += ['--cert', kmes.folder / f'{sae}.crt', '--key', kmes.folder / f'{sae}.key', *options]
    address = f'https://{kmes.servers[place].address}/api/v1/keys/{path}'
    return json.loads(subprocess.run([*words, address], check=True, capture_output=True).stdout)


def test_curl(kmes):
    container = curl(kmes, 'alice', 'ground', 'bob/enc_keys?number=2&size=64')
    assert [len(base64.b64decode(one['key'])) for one in container['keys']] == [8, 8]
    ids = json.dumps({'key_IDs': [{'key_ID': one['key_ID']} for one in container['keys']]})
    options = '--json', ids
    assert curl(kmes, 'bob', 'source', 'alice/dec_keys', *options) == container


@pytest.fixture(scope='module')
def operations():
    """What may be asked; its library takes seconds to import, so it is imported here and its pytest plugin is off."""
    import schemathesis

    return [found.ok() for found in schemathesis.openapi.from_dict(openapi(DeliverySettings())).get_all_operations()]


@pytest.mark.long
@settings(max_examples=900, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.data())
def test_made_up_requests(kmes, operations, drawn):
    case = drawn.draw(drawn.draw(st.sampled_from(operations)).as_strategy())
    for name in case.path_parameters:
        case.path_parameters[name] = 'bob' if len(case.path_parameters[name]) % 2 else case.path_parameters[name]
    answer = case.call(
        base_url=f'https://{kmes.servers["ground"].address}',
        cert=(str(kmes.folder / 'alice.crt'), str(kmes.folder / 'alice.key')),
        verify=str(kmes.places['ground'].certificate),
    )
    assert answer.status_code in (200, 400, 401, 404, 405, 503)
    if answer.status_code not in (200, 401):
        assert set(json.loads(answer.content)) <= {'message', 'details'}
