"""Common part of the drivers behind an INDI server: connection, connecting the device, silence, faults."""

from __future__ import annotations

import time
from collections.abc import Callable

from pydantic import Field, field_validator

from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.connection import checked_host
from qkd_gs.drivers.indi.client import IndiClient, Property
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.drivers.steady import Forward, Waiting
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

_CONNECT_S, _WAIT_S = 10.0, 0.005
_ASK_NS = 500_000_000  # the server is asked for a sign of life so often


class IndiOptions(Section):
    """Options of every INDI driver."""

    host: str = Field('127.0.0.1', description='IP address of the INDI server')
    port: int = Field(7624, ge=1, le=65535, description='its TCP port')
    device: str = Field(min_length=1, description='name of the device, as its INDI driver calls it')
    timeout_s: float = Field(1.5, gt=0, le=60, description='longest time without an answer (KIND.silent)')

    @field_validator('host')
    @classmethod
    def _host(cls, value: str) -> str:
        return checked_host(value)


class IndiDevice:
    """A device of an INDI server: connects it, asks for a sign of life twice a second, tells its health.

    Parameters
    ----------
    code : str
        Kind of device.
    needed : tuple of str
        Properties without which it is not usable.
    """

    def __init__(self, code: str, options: IndiOptions, needed: tuple[str, ...]) -> None:
        self._code, self._options, self._needed = code, options, needed
        self._state = OpenState(code)
        self._client = IndiClient(code, options.host, options.port, options.device)
        self._forward = Forward(code)
        self._silence = Waiting()

    def open(self) -> None:
        """Begin to connect; the device itself is connected as soon as the server tells of it."""
        self._client.open()
        self._forward = Forward(self._code)
        self._silence, self._asked_ns = Waiting(), 0
        self._connecting = self._answered = False
        self._round_trips = Latencies()
        self._state.is_open = True

    def wait(self, told: Callable[[], bool] = lambda: True) -> None:
        """Wait until the device is connected; for `open` of a driver alone.

        Parameters
        ----------
        told : callable
            Whether what is needed has been told: a property is announced with zeros before the hardware is read.

        Raises
        ------
        DeviceFault
            ``KIND.silent``; it is closed then.
        """
        end_s = time.monotonic() + _CONNECT_S
        try:
            while not (self.step(time.time_ns()) and told()):
                if time.monotonic() > end_s:
                    raise DeviceFault(f'{self._code}.silent', f'{self._options.device} does not get connected')
                time.sleep(_WAIT_S)
        except DeviceFault:
            self._state.is_open = False
            self._client.close()
            raise
        self._forward, self._silence, self._asked_ns, self._client.heard_ns = Forward(self._code), Waiting(), 0, 0
        self._round_trips = Latencies()

    def close(self) -> None:
        """Disconnect from the server."""
        self._state.is_open = False
        self._client.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        info = self._client.properties.get('DRIVER_INFO')
        told = {'message': self._client.said} if self._client.said else {}
        told |= {'round_trip_ms': str(self._round_trips)} if self._state.is_open else {}
        return told | ({key.lower(): value for key, value in info.values.items()} if info else {})

    def step(self, now_ns: int) -> bool:
        """Take what has arrived; whether the device is connected and tells all that is needed.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: no server, no such device, or no answer for the time-out.
        """
        self._state.require()
        self._forward.check(now_ns)
        heard_ns = self._client.heard_ns
        self._client.step(now_ns)
        if self._client.heard_ns != heard_ns:
            self._silence.begin(now_ns)
        if not self._answered and self._client.heard_ns > self._asked_ns > 0:
            self._answered = True
            self._round_trips.add((self._client.heard_ns - self._asked_ns) * 1e-9)
        self._ask(now_ns)
        quiet_s = self._silence.look(now_ns)
        if quiet_s > self._options.timeout_s:
            where = f'{self._options.host}:{self._options.port}'
            raise DeviceFault(
                f'{self._code}.silent', f'{self._options.device} at {where} has told nothing for {quiet_s:.1f} s'
            )
        connection = self._client.properties.get('CONNECTION')
        if connection is None:
            return False
        if not connection.on('CONNECT'):
            if connection.state == 'Alert':
                raise DeviceFault(
                    f'{self._code}.silent',
                    f'{self._options.device} cannot be connected: {self._client.said or "no reason is told"}',
                )
            if not self._connecting:
                self._client.switch('CONNECTION', 'CONNECT')
                self._connecting = True
            return False
        return all(name in self._client.properties for name in self._needed)

    def _ask(self, now_ns: int) -> None:
        """Have the server tell the properties again: its answer is the sign of life."""
        if now_ns - self._asked_ns >= _ASK_NS:
            self._asked_ns, self._answered = now_ns, False
            self._client.ask()

    def prop(self, name: str) -> Property:
        """A needed property.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: it is not there yet.
        """
        found = self._client.properties.get(name)
        if found is None:
            raise DeviceFault(f'{self._code}.silent', f'{self._options.device} has not told {name}')
        return found

    def self_test(self) -> str:
        """Wait until the device is connected; nothing moves."""
        self.wait()
        return f'{self._options.device}: connected'


def finite(values: Property | None, name: str, factor: float = 1.0) -> float:
    """A number of a property that may be missing; NaN then."""
    try:
        return values.number(name) * factor if values is not None else float('nan')
    except (KeyError, ValueError):
        return float('nan')
