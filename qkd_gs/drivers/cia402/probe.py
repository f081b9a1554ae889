"""Find servo drives on a CAN bus by reading objects, which changes nothing."""

from __future__ import annotations

import time
from typing import Any

from qkd_gs.devices.driver import Probed
from qkd_gs.drivers.cia402.bus import CanBus, SdoAbort
from qkd_gs.drivers.cia402.objects import SDO_ANSWER, SDO_REQUEST, Index
from qkd_gs.drivers.extras import need
from qkd_gs.drivers.steady import looks
from qkd_gs.errors import DeviceFault

_DEVICE_TYPE = 0x1000
_PROFILE = 402
_NODES = range(1, 127)
_LISTEN_S = 0.5
_READ_S = 0.3


def probe(address: str) -> Probed | None:
    """Look for two drives at ``can:INTERFACE:CHANNEL``; the one with the smaller node id is taken for azimuth."""
    if not address.startswith('can:'):
        return None
    _, interface, channel = (*address.split(':', 2), '', '')[:3]
    bus = CanBus(lambda: need('can', 'can').Bus(interface=interface, channel=channel), address)
    try:
        bus.open()
        drives = [_drive(bus, node) for node in _drives(bus)]
    except DeviceFault:
        return None
    finally:
        bus.close()
    if len(drives) < 2:
        return None
    axes = dict(zip(('azimuth', 'elevation'), drives, strict=False))
    said = ', '.join(f'node {drive["node_id"]}' for drive in drives)
    said = f'drives with CiA 402: {said}; which axis is which, zero_counts and sign are to be found out'
    return Probed({'interface': interface, 'channel': channel} | axes, said)


def _drives(bus: CanBus) -> list[int]:
    """Node ids whose device type is a drive."""
    request = bytes((0x40, _DEVICE_TYPE & 0xFF, _DEVICE_TYPE >> 8, 0)) + bytes(4)
    for node in _NODES:
        bus.send(SDO_REQUEST + node, request)
    found = set()
    for _ in looks(_LISTEN_S):
        for frame in bus.frames():
            node = frame.identifier - SDO_ANSWER
            if (
                node in _NODES
                and frame.data[:4] == b'\x43' + request[1:4]
                and int.from_bytes(frame.data[4:6], 'little') == _PROFILE
            ):
                found.add(node)
        time.sleep(0.01)
    return sorted(found)


def _drive(bus: CanBus, node: int) -> dict[str, Any]:
    options: dict[str, Any] = {'node_id': node, 'serial_number': bus.upload(node, Index.IDENTITY, 4, _READ_S)}
    try:
        counts, turns = (bus.upload(node, Index.ENCODER_RESOLUTION, sub, _READ_S) for sub in (1, 2))
    except SdoAbort:
        return options  # a drive without this object
    return options | {'counts_per_turn': counts // max(turns, 1)}
