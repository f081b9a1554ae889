"""GPS receiver by way of gpsd, on this machine or another one."""

from __future__ import annotations

import socket
from math import nan
from typing import Any

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.devices.gps import Gps
from qkd_gs.drivers.addresses import CONNECT_S, Connect, greeting_of, host_and_port
from qkd_gs.drivers.gnss.fix import Fix, GnssLimits
from qkd_gs.drivers.gnss.gpsd_protocol import PORT, WATCH, fix_of, number, parse, satellites_used
from qkd_gs.drivers.gnss.receiver import GnssReceiver
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.site import Site

_LONGEST = 1 << 20  # bytes without an end of line


class GpsdOptions(GnssLimits):
    """Options of the driver ``gps.gpsd``."""

    host: str = Field('127.0.0.1', min_length=1, description='host of gpsd')
    port: int = Field(PORT, ge=1, le=65535, description='TCP port of gpsd')
    device: str | None = Field(None, description='path of the receiver, as gpsd names it, if gpsd has several')
    pps_accuracy_ns: float = Field(
        100.0, gt=0, le=1e6, description="[ns] one-sigma error of the receiver's PPS edge, from its data sheet"
    )


class GpsdReceiver(GnssReceiver):
    """Implements `Gps`."""

    def __init__(self, options: GpsdOptions, site: Site, connect: Connect = socket.create_connection) -> None:
        self._options, self._connect = options, connect
        self._socket: socket.socket | None = None
        super().__init__(options, site)

    def _begin(self) -> None:
        super()._begin()
        self._rest = b''
        self._sky: dict[str, Any] | None = None
        self._device = self._options.device

    def open(self) -> None:
        """Connect and subscribe; raises ``gps.silent`` if gpsd is not there."""
        self.close()
        self._begin()
        where = (self._options.host, self._options.port)
        try:
            self._socket = self._connect(where, CONNECT_S)
            self._socket.setblocking(False)
            self._socket.sendall(WATCH)
        except OSError as error:
            self.close()
            raise DeviceFault('gps.silent', f'gpsd at {where[0]}:{where[1]}: {error}') from error
        self._state.is_open = True

    def close(self) -> None:
        """Disconnect."""
        self._state.is_open = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _newest_fix(self) -> Fix | None:
        newest: Fix | None = None
        for message in self._messages():
            tpv = self._take_message(message)
            if tpv is not None:
                newest = fix_of(tpv, self._sky, self._options.pps_accuracy_ns * 1e-9)
        return newest

    def _messages(self) -> list[dict[str, Any]]:
        """Messages that have arrived."""
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                break
            except OSError as error:
                raise DeviceFault('gps.silent', f'gpsd: {error}') from error
            if not data:
                raise DeviceFault('gps.silent', 'gpsd has closed the connection')
            self._rest += data
        *lines, rest = self._rest.split(b'\n')
        self._rest = rest[-_LONGEST:]
        return [message for message in map(parse, lines) if message is not None]

    def _take_message(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Take a message; returns it if it is a TPV of our receiver."""
        kind, device = message['class'], message.get('device')
        if kind == 'VERSION':
            self._known['gpsd'] = str(message.get('release', ''))
        elif kind == 'DEVICE':
            self._take_device(message)
        if kind not in ('TPV', 'SKY', 'PPS') or (self._options.device and device != self._options.device):
            return None
        if self._device is None:
            self._device = device
        elif device is not None and device != self._device:
            raise DeviceFault(
                'gps.ambiguous', f'gpsd has several receivers, {self._device} and {device}: name one (device)'
            )
        if kind == 'SKY':
            if satellites_used(message) is not None:
                self._sky = message
            self._known['pdop'] = f'{number(message, "pdop", nan):.1f}'
        elif kind == 'PPS':
            clock_s = message.get('clock_sec', 0) - message.get('real_sec', 0)
            clock_ns = message.get('clock_nsec', 0) - message.get('real_nsec', 0)
            self._known['system_clock_minus_pps_us'] = f'{clock_s * 1e6 + clock_ns * 1e-3:.1f}'
        return message if kind == 'TPV' else None

    def _take_device(self, message: dict[str, Any]) -> None:
        path = message.get('path')
        ours = path in (self._device, self._options.device) if self._device or self._options.device else True
        if ours and message.get('activated') in (0, None):
            raise DeviceFault('gps.silent', f'gpsd has lost the receiver {path}')
        if ours:
            self._known['receiver'] = ' '.join(str(message[key]) for key in ('driver', 'subtype') if message.get(key))


def probe(address: str) -> Probed | None:
    """Look for gpsd at ``HOST:PORT``."""
    where = host_and_port(address)
    if where is None:
        return None
    message = parse(greeting_of(where).split(b'\n')[0])  # another server may never end a line
    if message is None or message['class'] != 'VERSION':
        return None
    return Probed({'host': where[0], 'port': where[1]}, f'gpsd {message.get("release", "")}')


@driver(GpsdOptions, probe)
def gpsd(context: DriverContext[GpsdOptions]) -> Gps:
    """Driver ``gps.gpsd``."""
    return GpsdReceiver(context.options, context.site)
