"""OpenAPI description of the API, for programs and for people."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from pydantic.json_schema import models_json_schema

from qkd_gs.keys.delivery.formats import ErrorMessage, KeyContainer, KeyIds, KeyRequest, Status
from qkd_gs.keys.delivery.settings import DeliverySettings

_MODELS = (Status, KeyRequest, KeyIds, KeyContainer, ErrorMessage)
_SAE = {'type': 'string', 'minLength': 1, 'maxLength': 64}


def openapi_json(settings: DeliverySettings) -> bytes:
    """OpenAPI 3.1 description."""
    return json.dumps(openapi(settings)).encode()


def openapi(settings: DeliverySettings) -> dict[str, Any]:
    """OpenAPI 3.1 description."""
    limits = {
        'number': {'type': 'integer', 'minimum': 1, 'maximum': settings.max_key_per_request, 'default': 1},
        'size': {
            'type': 'integer',
            'minimum': settings.min_key_size,
            'maximum': settings.max_key_size,
            'multipleOf': 8,
            'default': settings.key_size,
        },
    }
    numbers = [{'name': name, 'in': 'query', 'required': False, 'schema': one} for name, one in limits.items()]
    key_id = {'name': 'key_ID', 'in': 'query', 'required': True, 'schema': {'type': 'string', 'format': 'uuid'}}
    paths = {
        '/api/v1/keys/{slave_SAE_ID}/status': {
            'get': _operation('Get status', 'slave', 'Status', 'what can be requested for a slave SAE')
        },
        '/api/v1/keys/{slave_SAE_ID}/enc_keys': {
            'get': _operation('Get key', 'slave', 'KeyContainer', 'new keys for the caller, the master SAE', numbers),
            'post': _operation(
                'Get key', 'slave', 'KeyContainer', 'new keys for the caller, the master SAE', body='KeyRequest'
            ),
        },
        '/api/v1/keys/{master_SAE_ID}/dec_keys': {
            'get': _operation(
                'Get key with key IDs', 'master', 'KeyContainer', 'a key that the master SAE has got', [key_id]
            ),
            'post': _operation(
                'Get key with key IDs', 'master', 'KeyContainer', 'keys that the master SAE has got', body='KeyIds'
            ),
        },
    }
    return {
        'openapi': '3.1.0',
        'info': {
            'title': f'Key delivery of {settings.kme_id}',
            'version': '1.1.1',
            'description': 'ETSI GS QKD 014 V1.1.1. The caller is known by its certificate (mutual TLS 1.3).',
        },
        'paths': paths,
        'components': {'schemas': _schemas(), 'securitySchemes': {'certificate': {'type': 'mutualTLS'}}},
        'security': [{'certificate': []}],
    }


def page(settings: DeliverySettings, simulated: bool) -> str:
    """The description as a page for people."""
    template = Environment(loader=PackageLoader('qkd_gs.keys.delivery', '.'), autoescape=True).get_template(
        'description.html.j2'
    )
    return template.render(api=openapi(settings), settings=settings, simulated=simulated)


def _operation(
    name: str,
    partner: str,
    answer: str,
    summary: str,
    parameters: list[dict[str, Any]] | None = None,
    body: str | None = None,
) -> dict[str, Any]:
    path = {'name': f'{partner}_SAE_ID', 'in': 'path', 'required': True, 'schema': _SAE}
    operation: dict[str, Any] = {
        'summary': name,
        'description': summary,
        'parameters': [path, *(parameters or [])],
        'responses': {
            '200': _response(answer, 'granted'),
            '400': _response('ErrorMessage', 'bad request format'),
            '401': {'description': 'unauthorized'},
            '503': _response('ErrorMessage', 'error on server side'),
        },
    }
    if body is not None:
        operation['requestBody'] = {'required': body == 'KeyIds', 'content': _content(body)}
    return operation


def _response(model: str, description: str) -> dict[str, Any]:
    return {'description': description, 'content': _content(model)}


def _content(model: str) -> dict[str, Any]:
    return {'application/json': {'schema': {'$ref': f'#/components/schemas/{model}'}}}


@cache
def _schemas() -> dict[str, Any]:
    wanted = [(model, 'validation') for model in _MODELS]
    _, made = models_json_schema(wanted, ref_template='#/components/schemas/{model}')  # type: ignore[arg-type]
    return dict(made['$defs'])
