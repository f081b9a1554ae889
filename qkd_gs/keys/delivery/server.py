"""The HTTPS server of a KME: mutual TLS 1.3, every certificate pinned."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qkd_gs.errors import StationError
from qkd_gs.keys.delivery.app import DeliveryApp
from qkd_gs.keys.delivery.offers import Peer
from qkd_gs.keys.delivery.peer_client import PeerClient
from qkd_gs.keys.delivery.place import DeliveryPlace
from qkd_gs.keys.delivery.service import DeliveryService
from qkd_gs.keys.delivery.settings import DeliverySettings
from qkd_gs.keys.delivery.trust import read_certificate, shown_fingerprint, tls_context, trust
from qkd_gs.keys.delivery.users import fingerprint
from qkd_gs.settings.satellite import parse_address

_KEEP_ALIVE_S = 75
_END_S = 1  # for requests that are being answered when the server is stopped


class _Protocol(HttpToolsProtocol):
    """HTTP on a connection whose client is known by its certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        shown = shown_fingerprint(transport.get_extra_info('ssl_object'))
        self.app_state = {**self.app_state, 'peer_certificate': shown}


class DeliveryServer:
    """A server that listens when it has been made.

    Parameters
    ----------
    place : DeliveryPlace
    settings : DeliverySettings
    listen : str
        HOST:PORT; port 0: any, see the attribute `address`.

    Raises
    ------
    StationError
        The address cannot be listened on, or a certificate or store cannot be used.
    """

    def __init__(self, place: DeliveryPlace, settings: DeliverySettings, listen: str) -> None:
        place.make_certificate(settings.kme_id, settings.hostnames, datetime.now(UTC))
        self._place, self._settings = place, settings
        self._certificates = {name: read_certificate(one.certificate) for name, one in settings.peers.items()}
        self._service = DeliveryService(place, settings, self._peer)
        self._service.check_stores()  # an unsound one is told now, and not to the first client
        host, port = parse_address(listen)
        try:
            self._socket = socket.create_server((host, port), backlog=1024)
        except OSError as error:
            raise StationError(f'cannot be listened on: {error.strerror}', where=listen) from error
        found = self._socket.getsockname()
        self._server = uvicorn.Server(self._config())
        self.address = f'[{found[0]}]:{found[1]}' if ':' in found[0] else f'{found[0]}:{found[1]}'

    def serve(self) -> None:
        """Answer until interrupted."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._service.close()

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self._server.should_exit = True

    def _config(self) -> uvicorn.Config:
        peers = {fingerprint(pem): name for name, pem in self._certificates.items()}
        return uvicorn.Config(
            DeliveryApp(self._service, peers).asgi(),
            http=_Protocol,
            ws='none',
            loop='asyncio',
            lifespan='off',
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_END_S,
            ssl_context_factory=lambda _config, _default: self._context(),
        )

    def _context(self) -> ssl.SSLContext:
        """TLS settings that learn of new users when a client connects."""
        context = tls_context(self._place.certificate, self._place.private_key, server=True)
        trust(context, self._certificates.values())
        trust(context, (user.certificate for user in self._place.users.all().values()))
        context.sni_callback = _learning(self._place)
        return context

    def _peer(self, name: str) -> Peer:
        host, port = parse_address(self._settings.peers[name].address)
        context = tls_context(self._place.certificate, self._place.private_key, server=False)
        trust(context, [self._certificates[name]])
        return PeerClient(host, port, context, fingerprint(self._certificates[name]))


def _learning(place: DeliveryPlace) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    known: set[str] = set()

    def learn(_connection: ssl.SSLObject, _name: str | None, context: ssl.SSLContext) -> None:
        fresh = {user.certificate for user in place.users.all().values()} - known
        known.update(fresh)
        trust(context, fresh)

    return learn
