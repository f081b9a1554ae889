"""Asks an address whether rotctld is there; nothing moves."""

from __future__ import annotations

import socket

from qkd_gs.devices.driver import Probed
from qkd_gs.drivers.addresses import CONNECT_S, host_and_port

_MODEL = b'_\n'  # get_info: name of the rotator


def probe(address: str) -> Probed | None:
    """Rotctld at ``HOST:PORT``."""
    where = host_and_port(address)
    if where is None:
        return None
    try:
        with socket.create_connection(where, CONNECT_S) as connection:
            connection.settimeout(CONNECT_S)
            connection.sendall(b'+p\n')
            told = _until(connection, b'RPRT')
            if not told.startswith(b'get_pos:'):
                return None
            connection.sendall(_MODEL)
            model = _until(connection, b'\n').decode('ascii', 'replace').strip()
    except OSError:
        return None
    return Probed({'host': where[0], 'port': where[1]}, f'rotctld, {model or "rotator without a name"}')


def _until(connection: socket.socket, end: bytes) -> bytes:
    """Answer up to its end; shorter if nothing more comes."""
    told = b''
    while end not in told and len(told) < 4096:
        part = connection.recv(4096)
        if not part:
            break
        told += part
    return told
