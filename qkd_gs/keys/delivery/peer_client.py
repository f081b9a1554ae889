"""Offers to the KME of another station, over HTTPS with both certificates pinned."""

from __future__ import annotations

import hmac
import http.client
import ssl
from http import HTTPStatus

from pydantic import ValidationError

from qkd_gs.keys.delivery.offers import OfferMessage, OfferReply, PeerFault
from qkd_gs.keys.delivery.trust import shown_fingerprint

OFFERS_PATH = '/kme/v1/offers'
_SILENCE_S = 10.0


class PeerClient:
    """Another KME; one connection, opened when it is needed.

    Parameters
    ----------
    host, port : str, int
    context : ssl.SSLContext
        Own certificate, and trust in the peer's.
    fingerprint : bytes
        SHA-256 of the peer's certificate.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, fingerprint: bytes) -> None:
        self._host, self._port, self._context, self._fingerprint = host, port, context, fingerprint
        self._connection: http.client.HTTPSConnection | None = None

    def offer(self, message: OfferMessage) -> OfferReply:
        """As `Peer.offer`; over a connection that had been open before it is tried once more over a new one."""
        body = message.model_dump_json().encode()
        if self._connection is not None:
            try:
                return self._post(self._connection, body)
            except PeerFault:
                self._close()
        try:
            self._connection = self._connect()
            return self._post(self._connection, body)
        except PeerFault:
            self._close()
            raise

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_SILENCE_S, context=self._context)
        try:
            connection.connect()
        except OSError as error:
            raise PeerFault('no connection with its certificate') from error
        assert isinstance(connection.sock, ssl.SSLSocket)
        if not hmac.compare_digest(shown_fingerprint(connection.sock), self._fingerprint):
            connection.close()
            raise PeerFault('another certificate')
        return connection

    @staticmethod
    def _post(connection: http.client.HTTPSConnection, body: bytes) -> OfferReply:
        try:
            connection.request('POST', OFFERS_PATH, body, {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise PeerFault('the connection broke') from error
        if answer.status != HTTPStatus.OK:
            raise PeerFault(f'status {answer.status}')
        try:
            return OfferReply.model_validate_json(content)
        except ValidationError as error:
            raise PeerFault('an answer that is none') from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
