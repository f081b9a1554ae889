"""The API of ETSI GS QKD 014 as an ASGI application; what it decides is `DeliveryService`."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.description import openapi_json, page
from qkd_gs.keys.delivery.formats import (
    MAX_BODY_BYTES,
    ErrorMessage,
    JsonObject,
    Key,
    KeyContainer,
    KeyIds,
    KeyRequest,
    Status,
    parse_body,
    parse_object,
    parse_query,
    to_json,
)
from qkd_gs.keys.delivery.holder import Fetched, FetchRequest
from qkd_gs.keys.delivery.issuer import Issued, IssueRequest
from qkd_gs.keys.delivery.offers import OfferMessage, OfferReply
from qkd_gs.keys.delivery.peer_client import OFFERS_PATH
from qkd_gs.keys.delivery.refusal import (
    SIZE_MESSAGE,
    UNAUTHORIZED,
    UNAVAILABLE,
    UNMET_MESSAGE,
    Refusal,
    bad_request,
    unauthorized,
)
from qkd_gs.keys.delivery.service import DeliveryService
from qkd_gs.keys.delivery.users import Share

_log = logging.getLogger(__name__)
_MAX_OFFER_BYTES = 16 * MAX_BODY_BYTES
_HEADERS = {'Cache-Control': 'no-store'}
Endpoint = Callable[[Request], Awaitable[Response]]


class DeliveryApp:
    """Endpoints of one KME.

    Parameters
    ----------
    service : DeliveryService
    peers : dict of bytes to str
        KME IDs of peers by the SHA-256 of their certificates.
    """

    def __init__(self, service: DeliveryService, peers: dict[bytes, str]) -> None:
        self._service, self._settings, self._peers = service, service.settings, peers
        self._extension: JsonObject | None = {'simulated': True} if service.simulated else None

    def asgi(self) -> Starlette:
        """The application."""
        base = '/api/v1/keys/{sae_id}'
        application = Starlette(
            routes=[
                Route(f'{base}/status', self._answering(self._status), methods=['GET']),
                Route(f'{base}/enc_keys', self._answering(self._enc_keys), methods=['GET', 'POST']),
                Route(f'{base}/dec_keys', self._answering(self._dec_keys), methods=['GET', 'POST']),
                Route(OFFERS_PATH, self._answering(self._offers), methods=['POST']),
                Route('/openapi.json', self._answering(self._openapi), methods=['GET']),
                Route('/', self._answering(self._page), methods=['GET']),
            ],
            exception_handlers={HTTPException: self._outside_the_standard},
        )
        application.router.redirect_slashes = False
        for route in application.routes:
            if isinstance(route, Route) and route.methods is not None:
                route.methods.discard('HEAD')  # it would cost a key that is not returned
        return application

    async def _status(self, request: Request) -> Response:
        caller, slave = self._caller(request), _sae_id(request)
        _no_parameters(request)
        share, peer = self._service.partner(caller, slave)
        settings = self._settings
        left = await asyncio.wrap_future(self._service.left_bits(peer))
        assert isinstance(left, dict)
        spare = sum(left.values()) - max(settings.reserve_bits, share.reserve_bits)
        count = min(sum(bits // settings.key_size for bits in left.values()), max(0, spare) // settings.key_size)
        status = Status(
            source_KME_ID=settings.kme_id,
            target_KME_ID=peer or settings.kme_id,
            master_SAE_ID=caller,
            slave_SAE_ID=slave,
            key_size=settings.key_size,
            stored_key_count=min(count, settings.max_key_count),
            max_key_count=settings.max_key_count,
            max_key_per_request=settings.max_key_per_request,
            max_key_size=settings.max_key_size,
            min_key_size=settings.min_key_size,
            max_SAE_ID_count=settings.max_sae_id_count,
            status_extension=self._extension,
        )
        return _json(to_json(status))

    async def _enc_keys(self, request: Request) -> Response:
        caller, slave = self._caller(request), _sae_id(request)
        if request.method == 'GET':
            wanted = parse_query(_query(request), KeyRequest, ('number', 'size'))
            await _no_body(request)
        else:
            _no_parameters(request)
            wanted = parse_body(await _body(request, may_be_empty=True), KeyRequest)
        share, peer = self._service.partner(caller, slave)
        checked = self._checked(caller, slave, wanted, share, peer)
        outcome = await asyncio.wrap_future(self._service.issue(peer, checked))
        assert isinstance(outcome, Issued)
        keys = [
            Key(key_ID=key_id, key=base64.b64encode(piece.material.reveal()).decode())
            for key_id, piece in outcome.pieces.items()
        ]
        outcome.wipe()
        return _json(to_json(KeyContainer(keys=keys, key_container_extension=self._extension)))

    def _checked(self, caller: str, slave: str, wanted: KeyRequest, share: Share, peer: str) -> IssueRequest:
        """A request within the limits."""
        settings, size = self._settings, wanted.size or self._settings.key_size
        route = wanted.route()
        if wanted.number > settings.max_key_per_request:
            raise bad_request('number is larger than max_key_per_request')
        if size % 8:
            raise bad_request(SIZE_MESSAGE)
        if not settings.min_key_size <= size <= settings.max_key_size:
            raise bad_request('size is not between min_key_size and max_key_size')
        if len(wanted.additional_slave_SAE_IDs) > settings.max_sae_id_count:
            raise bad_request('more additional_slave_SAE_IDs than max_SAE_ID_count')
        if slave in wanted.additional_slave_SAE_IDs:
            raise bad_request('the slave SAE is also among the additional ones')
        for other in wanted.additional_slave_SAE_IDs:
            if self._service.partner(caller, other)[1] != peer:
                raise bad_request('the additional slave SAEs use another KME')
        if route is not None and route != self._service.route(peer):
            raise bad_request(UNMET_MESSAGE)
        return IssueRequest(caller, (slave, *wanted.additional_slave_SAE_IDs), wanted.number, size, share)

    async def _dec_keys(self, request: Request) -> Response:
        caller, master = self._caller(request), _sae_id(request)
        if request.method == 'GET':
            query = _query(request)
            if len(query) != 1 or query[0][0] != 'key_ID':
                raise bad_request('give one key_ID; for several use POST')
            wanted = parse_object({'key_IDs': [{'key_ID': query[0][1]}]}, KeyIds)
            await _no_body(request)
        else:
            _no_parameters(request)
            wanted = parse_body(await _body(request), KeyIds)
        _, peer = self._service.partner(caller, master)
        ids = tuple(one.key_ID for one in wanted.key_IDs)
        outcome = await asyncio.wrap_future(self._service.fetch(peer, FetchRequest(caller, master, ids)))
        assert isinstance(outcome, Fetched)
        keys = [
            Key(key_ID=key_id, key=base64.b64encode(secret.reveal()).decode())
            for key_id, secret in outcome.keys.items()
        ]
        outcome.wipe()
        if self._settings.repeat_dec_keys_s > 0:
            later = self._settings.repeat_dec_keys_s + 1
            asyncio.get_running_loop().call_later(later, self._service.forget_fetched, peer)
        return _json(to_json(KeyContainer(keys=keys, key_container_extension=self._extension)))

    async def _offers(self, request: Request) -> Response:
        peer = self._peers.get(request.state.peer_certificate)
        if peer is None:
            raise unauthorized()
        message = parse_body(await _body(request, most=_MAX_OFFER_BYTES), OfferMessage)
        reply = await asyncio.wrap_future(self._service.hold(peer, message))
        assert isinstance(reply, OfferReply)
        return _json(reply.model_dump_json().encode())

    async def _openapi(self, request: Request) -> Response:
        self._known(request)
        return _json(openapi_json(self._settings))

    async def _page(self, request: Request) -> Response:
        self._known(request)
        return HTMLResponse(page(self._settings, self._service.simulated))

    def _caller(self, request: Request) -> str:
        """SAE ID of the caller, by its certificate."""
        name = self._service.users.named(request.state.peer_certificate)
        if name is None:
            raise unauthorized()
        return name

    def _known(self, request: Request) -> None:
        if request.state.peer_certificate not in self._peers:
            self._caller(request)

    def _answering(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint whose refusals are answers as the standard has them."""

        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Refusal as refusal:
                if refusal.status == UNAUTHORIZED:
                    return Response(status_code=UNAUTHORIZED, headers=_HEADERS)
                return self._error(refusal.status, refusal.message, refusal.details)
            except StationError as error:
                _log.error('%s', error)
                return self._error(UNAVAILABLE, 'the server cannot be used now', {})

        return answer

    def _error(self, status: int, message: str, details: JsonObject) -> Response:
        shown = {**details, **(self._extension or {})}
        listed = [{name: value} for name, value in shown.items()] or None
        return _json(to_json(ErrorMessage(message=message, details=listed)), status)

    async def _outside_the_standard(self, request: Request, error: Exception) -> Response:
        """Unknown paths and methods."""
        assert isinstance(error, HTTPException)
        response = self._error(error.status_code, error.detail, {})
        response.headers.update(error.headers or {})
        return response


def _sae_id(request: Request) -> str:
    """SAE ID in the URL; an encoded slash would be another path."""
    raw: bytes = request.scope.get('raw_path') or request.scope['path'].encode()
    try:
        return unquote(raw.split(b'?')[0].split(b'/')[4].decode('ascii'), errors='strict')
    except (UnicodeDecodeError, IndexError) as error:
        raise bad_request('the SAE ID is not URL-encoded UTF-8') from error


def _query(request: Request) -> list[tuple[str, str]]:
    try:
        text = request.scope['query_string'].decode('ascii')
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors='strict', max_num_fields=16)
    except ValueError as error:
        raise bad_request('the parameters in the URL are malformed') from error


def _no_parameters(request: Request) -> None:
    if request.scope['query_string']:
        raise bad_request('no parameters belong into this URL')


async def _no_body(request: Request) -> None:
    if await _read(request, MAX_BODY_BYTES):
        raise bad_request('a GET request has no body')


async def _body(request: Request, may_be_empty: bool = False, most: int = MAX_BODY_BYTES) -> bytes:
    body = await _read(request, most)
    if not body and may_be_empty:
        return b'{}'
    kind = request.headers.get('content-type', '').partition(';')[0].strip().lower()
    if kind != 'application/json':
        raise bad_request('Content-Type shall be application/json')
    return body


async def _read(request: Request, most: int) -> bytes:
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            raise bad_request('the body is too long')
        parts.append(part)
    return b''.join(parts)


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, _HEADERS, 'application/json')
