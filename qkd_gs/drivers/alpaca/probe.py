"""Asks an address whether an Alpaca server is there, and which of its devices a station can use; nothing moves."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

from qkd_gs.devices.driver import Probed
from qkd_gs.drivers.addresses import CONNECT_S, host_and_port

_LONGEST = 1 << 20
_KINDS = {
    'telescope': 'mount',
    'camera': 'guiding_camera',
    'rotator': 'hwp',
    'dome': 'dome',
    'focuser': 'focuser',
    'covercalibrator': 'calibration_light',
    'safetymonitor': 'weather',
    'observingconditions': 'weather',
}


def probe(address: str) -> list[Probed]:
    """Devices of an Alpaca server at ``HOST:PORT``."""
    where = host_and_port(address)
    if where is None:
        return []
    found: dict[tuple[str, int], Probed] = {}
    for one in _devices(where):
        kind, number = str(one.get('DeviceType', '')).lower(), one.get('DeviceNumber')
        if kind not in _KINDS or not isinstance(number, int):
            continue
        options: dict[str, Any] = {'host': where[0], 'port': where[1], 'number': number}
        if _KINDS[kind] == 'weather':  # one driver asks both kinds of device
            known = found.get(('weather', number))
            both = (
                dict(known.options) if known is not None else options | {'safety_monitor': False, 'conditions': False}
            )
            options = both | {'safety_monitor' if kind == 'safetymonitor' else 'conditions': True}
        found[_KINDS[kind], number] = Probed(options, f'Alpaca, {one.get("DeviceName", kind)}', _KINDS[kind])
    return list(found.values())


def _devices(where: tuple[str, int]) -> list[dict[str, Any]]:
    """Devices that the server lists; of one without the management interface, the first of each kind."""
    connection = HTTPConnection(*where, timeout=CONNECT_S)
    with suppress(OSError, HTTPException, ValueError), closing(connection):
        listed = _value(connection, '/management/v1/configureddevices')
        if isinstance(listed, list):
            return [one for one in listed if isinstance(one, dict)]
        named = {kind: _value(connection, f'/api/v1/{kind}/0/name') for kind in _KINDS}
        return [
            {'DeviceType': kind, 'DeviceNumber': 0, 'DeviceName': name}
            for kind, name in named.items()
            if isinstance(name, str)
        ]
    return []


def _value(connection: HTTPConnection, path: str) -> object:
    """Value that the server answers with; None if it refuses or has nothing there."""
    connection.request('GET', f'{path}?ClientID=1&ClientTransactionID=1')
    answer = connection.getresponse()
    text = answer.read(_LONGEST)
    told = json.loads(text) if answer.status == HTTPStatus.OK else None
    return told.get('Value') if isinstance(told, dict) and not told.get('ErrorNumber') else None
