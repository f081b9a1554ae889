"""A client of a KME, for the demonstration and the benchmark; applications use their own."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

from qkd_gs.errors import DeviceFault

_SILENCE_S = 60.0


class KmeClient:
    """One connection of an SAE to its KME.

    Parameters
    ----------
    host, port : str, int
    certificate, private_key : Path
        Of the SAE.
    kme_certificate : Path
        The only one that is trusted.
    """

    def __init__(self, host: str, port: int, certificate: Path, private_key: Path, kme_certificate: Path) -> None:
        context = ssl.create_default_context(cafile=str(kme_certificate))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_cert_chain(certificate, private_key)
        self._connection = http.client.HTTPSConnection(host, port, timeout=_SILENCE_S, context=context)

    def status(self, slave: str) -> dict[str, Any]:
        """Status of the keys that can be shared with a slave SAE."""
        return self._ask('GET', f'{quote(slave, safe="")}/status')

    def get_keys(self, slave: str, number: int = 1, size: int = 256) -> dict[str, bytes]:
        """New keys by ID, as the master SAE."""
        return _keys(self._ask('GET', f'{quote(slave, safe="")}/enc_keys?number={number}&size={size}'))

    def get_keys_with_ids(self, master: str, key_ids: list[str]) -> dict[str, bytes]:
        """Keys that a master SAE has got."""
        body = json.dumps({'key_IDs': [{'key_ID': one} for one in key_ids]}).encode()
        return _keys(self._ask('POST', f'{quote(master, safe="")}/dec_keys', body))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            headers = {} if body is None else {'Content-Type': 'application/json'}
            self._connection.request(method, f'/api/v1/keys/{path}', body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DeviceFault('kme.connection', f'the connection broke: {type(error).__name__}') from error
        if answer.status != http.HTTPStatus.OK:
            said = json.loads(content)['message'] if content else 'unauthorized'
            raise DeviceFault('kme.refused', f'{answer.status}: {said}')
        return dict(json.loads(content))


def _keys(container: dict[str, Any]) -> dict[str, bytes]:
    return {one['key_ID']: base64.b64decode(one['key']) for one in container['keys']}
