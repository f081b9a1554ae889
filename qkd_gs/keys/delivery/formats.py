"""Data formats of ETSI GS QKD 014 V1.1.1, clause 6."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, field_validator

from qkd_gs.keys.delivery.refusal import UNSUPPORTED_MESSAGE, bad_request

JsonObject = dict[str, Any]
MAX_KEY_IDS = 1024  # in one request
MAX_BODY_BYTES = 1 << 20
ROUTE_EXTENSION = 'qkdgs_route'  # the one mandatory extension that is supported
DIRECT, RELAYED = 'direct', 'relayed'


class _Format(BaseModel):
    """An object of the standard: other items are refused, and no value is converted."""

    model_config = ConfigDict(extra='forbid', frozen=True)


class Status(_Format):
    """Status data format, clause 6.1."""

    source_KME_ID: str = Field(description='KME ID of the KME')
    target_KME_ID: str = Field(description='KME ID of the target KME')
    master_SAE_ID: str = Field(description='SAE ID of the calling master SAE')
    slave_SAE_ID: str = Field(description='SAE ID of the specified slave SAE')
    key_size: int = Field(description='default size of a key, bit')
    stored_key_count: int = Field(description='number of keys of this size that can be delivered now')
    max_key_count: int = Field(description='largest stored_key_count')
    max_key_per_request: int = Field(description='largest number of keys in a request')
    max_key_size: int = Field(description='largest size of a key, bit')
    min_key_size: int = Field(description='smallest size of a key, bit')
    max_SAE_ID_count: int = Field(description='largest number of additional_slave_SAE_IDs; 0: not supported')
    status_extension: JsonObject | None = Field(default=None, description='simulated: true where keys are simulated')


class KeyRequest(_Format):
    """Key request data format, clause 6.2; every item is optional."""

    number: StrictInt = Field(default=1, ge=1, description='number of keys; default 1')
    size: StrictInt | None = Field(default=None, ge=1, description='bits of each key; default: key_size of the status')
    additional_slave_SAE_IDs: list[StrictStr] = Field(
        default_factory=list, description='further SAEs that may request the same keys'
    )
    extension_mandatory: list[JsonObject] = Field(
        default_factory=list,
        description=f'"{ROUTE_EXTENSION}" ("{DIRECT}" or "{RELAYED}") is supported, others are refused',
    )
    extension_optional: list[JsonObject] = Field(default_factory=list, description='ignored')

    @field_validator('additional_slave_SAE_IDs')
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError('an SAE ID is given twice')
        return value

    def route(self) -> str | None:
        """Route that the request insists on, if any.

        Raises
        ------
        Refusal
            It insists on something that is not supported.
        """
        route = None
        for name, value in (pair for one in self.extension_mandatory for pair in one.items()):
            if name != ROUTE_EXTENSION or value not in (DIRECT, RELAYED) or (route or value) != value:
                raise bad_request(UNSUPPORTED_MESSAGE, extension_mandatory_unsupported=f'{name[:64]} is not supported')
            route = value
        return route


class KeyId(_Format):
    """One key ID of `KeyIds`."""

    key_ID: StrictStr = Field(description='UUID')
    key_ID_extension: JsonObject | None = Field(default=None, description='ignored')

    @field_validator('key_ID')
    @classmethod
    def _uuid(cls, value: str) -> str:
        return parse_key_id(value)


class KeyIds(_Format):
    """Key IDs data format, clause 6.4."""

    key_IDs: list[KeyId] = Field(min_length=1, max_length=MAX_KEY_IDS)
    key_IDs_extension: JsonObject | None = Field(default=None, description='ignored')

    @field_validator('key_IDs')
    @classmethod
    def _each_once(cls, value: list[KeyId]) -> list[KeyId]:
        if len({one.key_ID for one in value}) < len(value):
            raise ValueError('a key ID is given twice')
        return value


class Key(_Format):
    """One key of `KeyContainer`."""

    key_ID: str = Field(description='UUID')
    key_ID_extension: JsonObject | None = None
    key: str = Field(description='base64')
    key_extension: JsonObject | None = None


class KeyContainer(_Format):
    """Key container data format, clause 6.3."""

    keys: list[Key]
    key_container_extension: JsonObject | None = Field(
        default=None, description='simulated: true where keys are simulated'
    )

    def __repr__(self) -> str:
        return f'<KeyContainer of {len(self.keys)} keys>'

    __str__ = __repr__


class ErrorMessage(_Format):
    """Error data format, clause 6.5."""

    message: str
    details: list[JsonObject] | None = Field(default=None, description='names and values')


F = TypeVar('F', bound=BaseModel)


def parse_key_id(text: str) -> str:
    """Key ID in its canonical spelling.

    Raises
    ------
    ValueError
        It is no UUID in the format of RFC 4122.
    """
    try:
        parsed = str(uuid.UUID(text)) if len(text) == 36 else ''
    except ValueError:
        parsed = ''
    if parsed != text.lower():
        raise ValueError('is not a UUID')
    return parsed


def parse_body(body: bytes, model: type[F]) -> F:
    """Read a request's body.

    Raises
    ------
    Refusal
        Not JSON in UTF-8, or not this format; the message names the item and repeats no value.
    """
    try:
        return parse_object(json.loads(body.decode('utf-8'), parse_constant=_no_constant), model)
    except (ValueError, RecursionError) as error:
        raise bad_request('the body is not JSON in UTF-8') from error


def parse_query(query: Sequence[tuple[str, str]], model: type[F], numbers: Sequence[str]) -> F:
    """Read a request's parameters in the URL.

    Parameters
    ----------
    query : sequence of (str, str)
        Names and values.
    model : type
    numbers : sequence of str
        Items that are integers, as decimal digits.

    Raises
    ------
    Refusal
        A parameter is given twice, unknown, or not what it should be.
    """
    items: dict[str, Any] = {}
    for name, value in query:
        if name in items:
            raise bad_request(f'{name[:64]} is given twice')
        digits = value.isascii() and value.isdigit() and len(value) < 10
        items[name] = int(value) if name in numbers and digits else value
    return parse_object(items, model)


def parse_object(items: Mapping[str, Any] | Any, model: type[F]) -> F:
    """Check an object against its format.

    Raises
    ------
    Refusal
        It does not have it.
    """
    try:
        return model.model_validate(items)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = '.'.join(str(part)[:64] for part in first['loc'])
        raise bad_request(f'{where}: {first["msg"]}' if where else first['msg']) from error


def to_json(answer: _Format) -> bytes:
    """An answer as JSON; options that are not used are left out."""
    return answer.model_dump_json(exclude_none=True).encode()


def _no_constant(name: str) -> None:
    raise ValueError(f'{name} is not JSON')
