"""ETSI GS QKD 014 V1.1.1, clause by clause, against servers on loopback; doc/delivery.md has the table."""

import base64
import json
import socket
import ssl
import uuid

import pytest
import requests
from kmes import Kmes

LIMITS = {'max_key_per_request': 8, 'max_key_size': 1024, 'max_sae_id_count': 1}


@pytest.fixture(scope='module')
def kmes(tmp_path_factory):
    with Kmes(tmp_path_factory.mktemp('kmes'), **LIMITS).serving() as kmes:
        yield kmes


def said(answer, status=400):
    assert answer.status_code == status, answer.text
    assert answer.headers['content-type'] == 'application/json'
    assert set(answer.json()) <= {'message', 'details'}
    return answer.json()['message']


def keys_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers['content-type'] == 'application/json'
    assert set(answer.json()) == {'keys'}
    assert all(set(one) == {'key_ID', 'key'} for one in answer.json()['keys'])
    return {one['key_ID']: base64.b64decode(one['key'], validate=True) for one in answer.json()['keys']}


def test_5_1_https_with_a_certificate_on_both_sides(kmes):
    address = kmes.servers['ground'].address
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(f'http://{address}/api/v1/keys/bob/status', timeout=60)
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(
            f'https://{address}/api/v1/keys/bob/status', verify=str(kmes.places['ground'].certificate), timeout=60
        )
    with pytest.raises(requests.exceptions.RequestException):  # an SAE that is not registered
        kmes.ask('mallory', 'GET', '/api/v1/keys/bob/status', at='ground')
    with pytest.raises(requests.exceptions.SSLError):  # a client that trusts another KME
        requests.get(
            f'https://{address}/api/v1/keys/bob/status',
            cert=(str(kmes.folder / 'alice.crt'), str(kmes.folder / 'alice.key')),
            verify=str(kmes.places['source'].certificate),
            timeout=60,
        )


def test_5_1_tls_1_3_is_the_least(kmes):
    context = ssl.create_default_context(cafile=str(kmes.places['ground'].certificate))
    context.load_cert_chain(kmes.folder / 'alice.crt', kmes.folder / 'alice.key')
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    host, port = kmes.servers['ground'].address.split(':')
    with (
        socket.create_connection((host, int(port)), timeout=60) as raw,
        pytest.raises(ssl.SSLError),
        context.wrap_socket(raw, server_hostname=host),
    ):
        pass


def test_5_1_the_sae_id_is_that_of_the_certificate(kmes):
    assert kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()['master_SAE_ID'] == 'alice'
    assert kmes.ask('carol', 'GET', '/api/v1/keys/bob/status').json()['master_SAE_ID'] == 'carol'


def test_5_1_the_methods_and_no_others(kmes):
    for path in ('status', 'enc_keys', 'dec_keys'):
        for method in ('PUT', 'DELETE', 'PATCH'):
            said(kmes.ask('alice', method, f'/api/v1/keys/bob/{path}'), 405)
    said(kmes.ask('alice', 'POST', '/api/v1/keys/bob/status'), 405)
    said(kmes.ask('alice', 'GET', '/api/v1/keys/bob/other'), 404)


def test_5_1_a_head_request_costs_no_key(kmes):
    before = kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()['stored_key_count']
    assert kmes.ask('alice', 'HEAD', '/api/v1/keys/bob/enc_keys').status_code == 405
    assert kmes.ask('alice', 'GET', '/api/v1/keys/bob/enc_keys/').status_code == 404
    assert kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()['stored_key_count'] == before


def test_5_1_a_certificate_is_not_accepted_after_its_user_was_removed(tmp_path):
    with Kmes(tmp_path).serving() as kmes:
        kmes.enc('carol', 'bob')
        kmes.places['ground'].users.remove('carol')
        answer = kmes.enc('carol', 'bob')
        assert answer.status_code == 401


def test_5_2_status_of_a_pair_that_is_not_registered(kmes):
    assert said(kmes.ask('carol', 'GET', '/api/v1/keys/dora/status')) == 'no keys are shared with this SAE'
    assert said(kmes.ask('alice', 'GET', '/api/v1/keys/nobody/status')) == 'no keys are shared with this SAE'


def test_6_1_status(kmes):
    status = kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()
    count = status.pop('stored_key_count')
    assert status == {
        'source_KME_ID': 'ground',
        'target_KME_ID': 'source',
        'master_SAE_ID': 'alice',
        'slave_SAE_ID': 'bob',
        'key_size': 256,
        'max_key_count': 100_000,
        'max_key_per_request': 8,
        'max_key_size': 1024,
        'min_key_size': 64,
        'max_SAE_ID_count': 1,
    }
    kmes.enc('alice', 'bob', params={'number': 2})
    assert kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()['stored_key_count'] == count - 2


def test_5_3_get_key_defaults(kmes):
    for method, options in (('GET', {}), ('POST', {'json': {}}), ('POST', {})):
        ((key_id, key),) = keys_of(kmes.enc('alice', 'bob', method, **options)).items()
        assert len(key) == 32
        assert str(uuid.UUID(key_id)) == key_id


def test_5_4_get_key_with_key_ids_gives_the_same_keys_once(kmes):
    keys = keys_of(kmes.enc('alice', 'bob', params={'number': 3, 'size': 128}))
    assert {len(key) for key in keys.values()} == {16}
    one, *others = keys
    assert keys_of(kmes.dec('bob', 'alice', 'GET', params={'key_ID': one})) == {one: keys[one]}
    assert keys_of(kmes.dec_ids('bob', 'alice', others)) == {other: keys[other] for other in others}
    for used in keys:
        assert said(kmes.dec_ids('bob', 'alice', [used])) == 'one or more keys specified are not found on KME'


def test_5_4_in_the_other_direction(kmes):
    keys = keys_of(kmes.enc('bob', 'alice'))
    assert keys_of(kmes.dec_ids('alice', 'bob', list(keys))) == keys


def test_figure_3_two_saes_of_one_kme(kmes):
    keys = keys_of(kmes.enc('alice', 'carol', params={'number': 2}))
    assert kmes.dec_ids('alice', 'carol', list(keys)).status_code == 401
    assert keys_of(kmes.dec_ids('carol', 'alice', list(keys))) == keys
    said(kmes.dec_ids('carol', 'alice', list(keys)))


def test_5_4_an_sae_that_was_not_named_is_unauthorized(kmes):
    keys = keys_of(kmes.enc('alice', 'bob'))
    answer = kmes.dec_ids('dora', 'alice', list(keys))
    assert (answer.status_code, answer.content) == (401, b'')
    assert said(kmes.dec_ids('bob', 'carol', list(keys))) == 'one or more keys specified are not found on KME'
    assert keys_of(kmes.dec_ids('bob', 'alice', list(keys))) == keys, 'nothing was consumed by that'


def test_6_2_number_and_size(kmes):
    for method, how in (('GET', 'params'), ('POST', 'json')):
        assert len(keys_of(kmes.enc('alice', 'bob', method, **{how: {'number': 8, 'size': 64}}))) == 8
        assert 'max_key_per_request' in said(kmes.enc('alice', 'bob', method, **{how: {'number': 9}}))
        assert said(kmes.enc('alice', 'bob', method, **{how: {'size': 129}})) == 'size shall be a multiple of 8'
        for size in (56, 1032, 8_000_000):
            assert 'max_key_size' in said(kmes.enc('alice', 'bob', method, **{how: {'size': size}}))
        for number in (0, -1, 'x', '', '1.5', 1.5, True):
            said(kmes.enc('alice', 'bob', method, **{how: {'number': number}}))
    said(kmes.enc('alice', 'bob', 'POST', json={'number': '1'}))
    said(kmes.enc('alice', 'bob', params=[('size', '64'), ('size', '128')]))
    said(kmes.enc('alice', 'bob', params={'key_ID': 'x'}))
    said(kmes.enc('alice', 'bob', 'POST', params={'size': 64}, json={}))
    said(kmes.enc('alice', 'bob', data=b'{}'))


def test_6_2_additional_slaves_get_the_same_key(kmes):
    keys = keys_of(kmes.enc('alice', 'bob', 'POST', json={'additional_slave_SAE_IDs': ['dora']}))
    assert keys_of(kmes.dec_ids('dora', 'alice', list(keys))) == keys
    said(kmes.dec_ids('dora', 'alice', list(keys)))
    assert keys_of(kmes.dec_ids('bob', 'alice', list(keys))) == keys
    said(kmes.dec_ids('bob', 'alice', list(keys)))


@pytest.mark.parametrize('others', [['dora', 'carol'], ['dora', 'dora'], ['bob'], ['carol'], ['nobody'], [1], 'dora'])
def test_6_2_additional_slaves_that_are_refused(kmes, others):
    said(kmes.enc('alice', 'bob', 'POST', json={'additional_slave_SAE_IDs': others}))


def test_6_2_mandatory_extensions(kmes):
    answer = kmes.enc('alice', 'bob', 'POST', json={'extension_mandatory': [{'abc_route_type': 'direct'}]})
    assert said(answer) == 'not all extension_mandatory parameters are supported'
    assert answer.json()['details'] == [{'extension_mandatory_unsupported': 'abc_route_type is not supported'}]
    assert (
        said(kmes.enc('alice', 'bob', 'POST', json={'extension_mandatory': [{'qkdgs_route': 'relayed'}]}))
        == 'not all extension_mandatory request options could be met'
    )
    keys_of(kmes.enc('alice', 'bob', 'POST', json={'extension_mandatory': [{'qkdgs_route': 'direct'}]}))
    keys_of(kmes.enc('alice', 'bob', 'POST', json={'extension_mandatory': []}))


def test_6_2_optional_extensions_are_ignored(kmes):
    keys_of(kmes.enc('alice', 'bob', 'POST', json={'extension_optional': [{'abc_max_age': 30000}, {}]}))


def test_6_4_key_ids(kmes):
    (key_id,) = keys = keys_of(kmes.enc('alice', 'bob'))
    for bad in (
        {},
        {'key_IDs': []},
        {'key_IDs': [key_id]},
        {'key_IDs': [{'key_ID': 1}]},
        {'key_IDs': [{'key_ID': 'x'}]},
        {'key_IDs': [{'key_ID': key_id}, {'key_ID': key_id}]},
        {'key_IDs': [{'key_ID': key_id}], 'other': 1},
    ):
        said(kmes.dec('bob', 'alice', json=bad))
    said(kmes.dec('bob', 'alice', 'GET'))
    said(kmes.dec('bob', 'alice', 'GET', params=[('key_ID', key_id), ('key_ID', key_id)]))
    unknown = str(uuid.uuid4())
    assert said(kmes.dec_ids('bob', 'alice', [key_id, unknown])) == 'one or more keys specified are not found on KME'
    extended = {'key_IDs': [{'key_ID': key_id.upper(), 'key_ID_extension': {}}], 'key_IDs_extension': {'a': 1}}
    assert keys_of(kmes.dec('bob', 'alice', json=extended)) == keys


@pytest.mark.parametrize('body', [b'', b'{', b'[]', b'null', b'{"key_IDs": NaN}', b'\xff', b'[' * 100_000])
def test_6_5_what_is_not_json(kmes, body):
    said(kmes.dec('bob', 'alice', data=body, headers={'Content-Type': 'application/json'}))


def test_5_1_content_type(kmes):
    for kind in ('text/plain', 'application/x-www-form-urlencoded'):
        answer = kmes.enc('alice', 'bob', 'POST', data=json.dumps({'size': 64}), headers={'Content-Type': kind})
        assert said(answer) == 'Content-Type shall be application/json'
    keys_of(kmes.enc('alice', 'bob', 'POST', data=b'{}', headers={'Content-Type': 'application/json; charset=utf-8'}))


def test_a_body_without_end(kmes):
    def parts():
        for _ in range(64):
            yield b' ' * 65536

    try:
        answer = kmes.enc('alice', 'bob', 'POST', data=parts(), headers={'Content-Type': 'application/json'})
    except requests.exceptions.ConnectionError:
        return  # the server has closed the connection, and the client was still writing
    assert said(answer) == 'the body is too long'


def test_5_3_too_few_bits_are_an_error_of_the_server(tmp_path):
    with Kmes(tmp_path, keys=1, bits=1024).serving() as kmes:
        assert len(keys_of(kmes.enc('alice', 'bob', params={'number': 2}))) == 2  # 512 bits in this direction
        answer = kmes.enc('alice', 'bob')
        assert said(answer, 503) == 'not enough key is stored for this request'
        assert kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()['stored_key_count'] == 0


def test_5_3_no_key_while_the_other_kme_does_not_answer(tmp_path):
    with Kmes(tmp_path).serving(only=['ground']) as kmes:
        assert 'KME source does not answer' in said(kmes.enc('alice', 'bob'), 503)
        keys_of(kmes.enc('alice', 'carol'))


def test_simulated_keys_are_said_to_be_so_in_every_answer(tmp_path):
    with Kmes(tmp_path, simulated=True).serving() as kmes:
        status = kmes.ask('alice', 'GET', '/api/v1/keys/bob/status').json()
        assert status['status_extension'] == {'simulated': True}
        container = kmes.enc('alice', 'bob').json()
        assert container['key_container_extension'] == {'simulated': True}
        ids = [one['key_ID'] for one in container['keys']]
        assert kmes.dec_ids('bob', 'alice', ids).json() == container
        assert {'simulated': True} in kmes.dec_ids('bob', 'alice', ids).json()['details']
        assert 'simulated' in kmes.ask('alice', 'GET', '/').text


def test_the_description_for_people_and_programs(kmes):
    assert kmes.ask('alice', 'GET', '/openapi.json').json()['openapi'] == '3.1.0'
    shown = kmes.ask('alice', 'GET', '/')
    assert shown.headers['content-type'].startswith('text/html')
    assert 'dec_keys' in shown.text


def test_only_a_peer_may_offer_keys(kmes):
    answer = kmes.ask('alice', 'POST', '/kme/v1/offers', json={'offers': [], 'revoke': []})
    assert answer.status_code == 401
