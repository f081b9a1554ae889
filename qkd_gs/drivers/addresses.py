"""Addresses at which devices may be asked without being named: those that no other kind of equipment uses."""

from __future__ import annotations

from pathlib import Path

from qkd_gs.drivers.extras import need
from qkd_gs.errors import StationError

_GPSD = '127.0.0.1:2947'
_MAKERS = {0x1546: 'u-blox', 0x25DC: 'Cobolt'}  # of USB; other adapters, e.g. FTDI's, may belong to anything


def usual_addresses() -> list[str]:
    """Gpsd of this machine, CAN interfaces, and serial ports whose USB identity tells the maker."""
    ports = [port for port, maker in serial_ports().items() if maker]
    interfaces = sorted(path.parent.name for path in Path('/sys/class/net').glob('*/type') if _is_can(path))
    return [*ports, _GPSD, *(f'can:socketcan:{name}' for name in interfaces)]


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
    if is_serial(address) or address.startswith('can:') or not host or not port.isdecimal():
        return None
    return host, int(port)


def _is_can(path: Path) -> bool:
    try:
        return path.read_text(encoding='ascii').strip() == '280'  # ARPHRD_CAN
    except OSError:
        return False
