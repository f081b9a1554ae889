"""Addresses at which devices may be asked without being named: those that no other kind of equipment uses."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from qkd_gs.drivers.extras import need
from qkd_gs.errors import StationError

CONNECT_S = 1.0  # longest time until a server answers
Connect = Callable[[tuple[str, int], float], socket.socket]  # as socket.create_connection
_SERVERS = '127.0.0.1:2947', '127.0.0.1:4533', '127.0.0.1:7624'  # gpsd, rotctld, INDI
_ALPACA_PORT = 32227
_ALPACA_ASKS, _ALPACA_TELLS = b'alpacadiscovery1', 'AlpacaPort'
_ALPACA_S = 0.5
_MAKERS = {0x1546: 'u-blox', 0x25DC: 'Cobolt'}  # of USB; other adapters, e.g. FTDI's, may belong to anything


def usual_addresses() -> list[str]:
    """Servers of this machine, Alpaca servers, CAN interfaces, and serial ports whose USB identity tells the maker."""
    ports = [port for port, maker in serial_ports().items() if maker]
    interfaces = sorted(path.parent.name for path in Path('/sys/class/net').glob('*/type') if _is_can(path))
    return [*ports, *_SERVERS, *alpaca_servers(), *(f'can:socketcan:{name}' for name in interfaces)]


def alpaca_servers(ask: Iterable[str] = ('127.0.0.1', '255.255.255.255'), port: int = _ALPACA_PORT) -> list[str]:
    """Alpaca servers that answer a datagram, as ``HOST:PORT``.

    Parameters
    ----------
    ask : iterable of str
        Addresses that it is sent to, and the UDP `port` of Alpaca's discovery protocol.
    """
    found: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for host in ask:
            with suppress(OSError):  # no network there
                line.sendto(_ALPACA_ASKS, (host, port))
        line.settimeout(_ALPACA_S)
        with suppress(OSError):  # nothing more comes
            while True:
                data, (host, _) = line.recvfrom(1024)
                with suppress(ValueError, KeyError, TypeError):  # no answer of Alpaca
                    found.add(f'{host}:{int(json.loads(data)[_ALPACA_TELLS])}')
    return sorted(found)


def serial_ports() -> dict[str, str]:
    """Serial ports on USB, each with its maker, if that is one of our devices; '' otherwise."""
    try:
        listed = need('serial.tools.list_ports', 'serial').comports()
    except StationError:
        return {}
    return {port.device: _MAKERS.get(port.vid, '') for port in listed if port.vid is not None}


def is_serial(address: str) -> bool:
    """Whether an address is a serial port."""
    return address.startswith('/') or '://' in address


def host_and_port(address: str) -> tuple[str, int] | None:
    """Host and port of an address ``HOST:PORT``; None if it is another kind."""
    host, _, port = address.rpartition(':')
    if is_serial(address) or address.startswith(('can:', 'gige:')) or not host or not port.isdecimal():
        return None
    return host, int(port)


def greeting_of(where: tuple[str, int]) -> bytes:
    """First bytes that a server sends by itself; empty: none answers, or it sends nothing."""
    try:
        with socket.create_connection(where, CONNECT_S) as connection:
            connection.settimeout(CONNECT_S)
            return connection.recv(4096)
    except OSError:
        return b''


def _is_can(path: Path) -> bool:
    try:
        return path.read_text(encoding='ascii').strip() == '280'  # ARPHRD_CAN
    except OSError:
        return False
