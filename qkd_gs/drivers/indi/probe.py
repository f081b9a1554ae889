"""Asks an address whether an INDI server is there, and which of its devices a station can use; nothing moves."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from qkd_gs.devices.driver import Probed
from qkd_gs.drivers.addresses import CONNECT_S, host_and_port

_ASK = b'<getProperties version="1.7"/>\n'
_QUIET_S, _MOST_S = 0.3, 3.0
_INFO, _INTERFACE = 'DRIVER_INFO', 'DRIVER_INTERFACE'
_INTERFACES = {  # bits of DRIVER_INTERFACE (INDI's basedevice.h)
    'mount': 1,
    'guiding_camera': 2,
    'focuser': 8,
    'dome': 32,
    'gps': 64,
    'weather': 128,
    'calibration_light': 1024,
    'hwp': 4096,
}


def probe(address: str) -> list[Probed]:
    """Devices of an INDI server at ``HOST:PORT``; its drivers tell of themselves without being connected."""
    where = host_and_port(address)
    if where is None:
        return []
    found = []
    for element in _told(where):
        if element.get('name') != _INFO:
            continue
        values = {one.get('name'): (one.text or '').strip() for one in element}
        device, bits = element.get('device', ''), values.get(_INTERFACE) or ''
        options = {'host': where[0], 'port': where[1], 'device': device}
        said = f'INDI, {device}, {values.get("DRIVER_EXEC")} {values.get("DRIVER_VERSION")}'
        kinds = [kind for kind, bit in _INTERFACES.items() if bits.isdecimal() and int(bits) & bit]
        found += [Probed(options, said, kind) for kind in kinds]
    return found


def _told(where: tuple[str, int]) -> list[Element]:
    """Elements that the server answers with, until it has been quiet for a moment; none if it is no INDI."""
    parser: Any = XMLPullParser(('end',))
    parser.feed('<stream>')
    end_s = time.monotonic() + _MOST_S
    with suppress(OSError), socket.create_connection(where, CONNECT_S) as connection:
        connection.sendall(_ASK)
        connection.settimeout(CONNECT_S)
        while time.monotonic() < end_s:
            data = connection.recv(1 << 16)
            if not data:
                break
            try:
                parser.feed(data)
            except ParseError:
                return []
            connection.settimeout(_QUIET_S)
    found = [one for _, one in parser.read_events() if isinstance(one, Element)]
    return [one for one in found if one.tag == 'defTextVector']
