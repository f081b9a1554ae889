"""A device of an Alpaca server: values that are asked for in turn, and commands; nothing waits.

The interface is described at https://ascom-standards.org/api: ``GET`` or ``PUT
/api/v1/KIND/NUMBER/NAME`` with an answer in JSON (``Value``, ``ErrorNumber``, ``ErrorMessage``).
"""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, field_validator

from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.alpaca.http import parse_answer
from qkd_gs.drivers.connection import Connection, checked_host
from qkd_gs.drivers.percentiles import Latencies
from qkd_gs.drivers.steady import Forward, Waiting
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

_NOT_IMPLEMENTED = (0x400, 0x40C)
_CLIENT_ID = 4242
_WAIT_S = 0.005


class AlpacaOptions(Section):
    """Options of every Alpaca driver."""

    host: str = Field('127.0.0.1', description='IP address of the Alpaca server')
    port: int = Field(11111, ge=1, le=65535, description='its TCP port')
    number: int = Field(0, ge=0, description='number of the device at the server')
    timeout_s: float = Field(1.5, gt=0, le=60, description='longest time without an answer (KIND.silent)')

    @field_validator('host')
    @classmethod
    def _host(cls, value: str) -> str:
        return checked_host(value)


@dataclass(frozen=True)
class _Request:
    method: str
    name: str
    parameters: str = ''
    accept: str = ''  # media type in which the value comes; '': in JSON


@dataclass(frozen=True)
class Told:
    """A value, and the station time at which it was asked for."""

    value: Any
    stamp_ns: int


class AlpacaSession:
    """One device.

    Parameters
    ----------
    code : str
        Kind of device here, the first part of the fault codes.
    kind : str
        Kind of device of Alpaca, e.g. ``'dome'``.
    asked : tuple of str
        Values that are asked for in turn.
    optional : frozenset of str
        Of those: values that the device may not have.
    """

    def __init__(
        self,
        code: str,
        options: AlpacaOptions,
        kind: str,
        asked: tuple[str, ...],
        optional: frozenset[str] = frozenset(),
    ) -> None:
        self._code, self._options, self._asked, self._optional = code, options, asked, optional
        self._base = f'/api/v1/{kind}/{options.number}'
        self._name = f'{kind} {options.number} at {options.host}:{options.port}'
        self._connection = Connection(code, options.host, options.port)
        self.state = OpenState(code)
        self.values: dict[str, Told] = {}
        self.commanded_ns = 0  # when the last command was answered; values asked for before may be of the time before
        self.command_sent_ns = 0  # when that one was sent

    def open(self) -> None:
        """Begin to connect, and to ask."""
        self._connection.open()
        self._forward = Forward(self._code)
        self._data, self._closed = b'', False
        self._commands: deque[_Request] = deque([_Request('PUT', 'connected', 'Connected=true')])
        self._next, self._transaction = 0, 0
        self._round_trips = Latencies()
        self._waiting: tuple[_Request, int] | None = None
        self._silence = Waiting()
        self.values, self.commanded_ns = {}, 0
        self.state.is_open = True

    def wait(self) -> None:
        """Wait until every value is told; for `open` of a driver alone.

        Raises
        ------
        DeviceFault
            ``KIND.silent``, ``KIND.refused``; the session is closed then.
        """
        try:
            while not self.step(time.time_ns()):
                time.sleep(_WAIT_S)
        except DeviceFault:
            self.close()
            raise
        self._forward, self._silence, self.commanded_ns = Forward(self._code), Waiting(), 0
        self._round_trips = Latencies()
        self._waiting = (self._waiting[0], 0) if self._waiting is not None else None
        self.values = {name: Told(told.value, 0) for name, told in self.values.items()}

    def close(self) -> None:
        """Disconnect; allowed in every state."""
        self.state.is_open = False
        self._connection.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        known = {name: str(told.value) for name, told in self.values.items() if name in ('name', 'driverversion')}
        told = {'round_trip_ms': str(self._round_trips)} if self.state.is_open else {}
        return {'alpaca_device': self._name} | told | known

    def command(self, name: str, **parameters: Any) -> None:
        """Send a command before the next question; an older one of the same name that still waits is dropped."""
        self.state.require()
        told = {key: str(value).lower() if isinstance(value, bool) else value for key, value in parameters.items()}
        self._commands = deque(one for one in self._commands if one.name != name)
        self._commands.append(_Request('PUT', name, urlencode(told)))

    def fetch(self, name: str, accept: str) -> None:
        """Ask once for a value in a media type; `values` then has the `Answer` as it comes."""
        self._commands.append(_Request('GET', name, accept=accept))

    def ask_in_turn(self, *names: str) -> None:
        """Ask for these values from now on."""
        self._asked, self._next = names, 0

    def urgent(self, name: str) -> None:
        """Send a command that makes the device safe at once, before what waits, on a connection of its own.

        Allowed in every state: a device that is not open cannot be told.
        A thread waits for it, not the caller, and it goes out even if the device is closed meanwhile.  It is sent again
        after a command that is under way, which the server might take later.
        """
        if not self.state.is_open:
            return
        self._commands = deque([_Request('PUT', name)])
        where = self._options.host, self._options.port, self._options.timeout_s
        Thread(target=_put, args=(*where, f'{self._base}/{name}'), name=f'alpaca {name}').start()

    @property
    def busy(self) -> bool:
        """Whether a command waits for its answer, or to be sent."""
        return bool(self._commands) or (self._waiting is not None and self._waiting[0].method == 'PUT')

    @property
    def moving(self) -> bool:
        """Whether a device with ``ismoving`` moves, or has not told since the last command that it stands."""
        told = self.values['ismoving']
        return self.busy or told.stamp_ns <= self.commanded_ns or told.value is True

    def step(self, now_ns: int) -> bool:
        """Take an answer and send the next request; whether every value that is needed has been told.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: no server, or no answer for the time-out; ``KIND.refused``: a command was refused.
        """
        self.state.require()
        self._forward.check(now_ns)
        data, self._closed = self._connection.receive()
        self._data += data
        if self._waiting is not None:
            self._take(now_ns)
        quiet_s = self._silence.look(now_ns)
        if quiet_s > self._options.timeout_s:
            raise DeviceFault(f'{self._code}.silent', f'{self._name} has not answered for {quiet_s:.1f} s')
        if self._waiting is None:
            self._send(now_ns)
        return all(name in self.values for name in self._asked)

    def _take(self, now_ns: int) -> None:
        assert self._waiting is not None
        request, sent_ns = self._waiting
        try:
            answer = parse_answer(self._data, self._closed)
        except ValueError as error:
            raise DeviceFault(f'{self._code}.silent', f'{self._name}: {error}') from error
        if answer is None:
            if self._closed:
                raise DeviceFault(f'{self._code}.silent', f'{self._name}: the server has closed the connection')
            return
        self._waiting, self._data = None, b''
        self._silence.begin(now_ns)
        if sent_ns:  # 0: sent before station time began
            self._round_trips.add((now_ns - sent_ns) * 1e-9)
        self._closed = answer.closes
        if answer.status != 200:
            why = answer.body[:80].decode('utf-8', 'replace')
            raise DeviceFault(f'{self._code}.refused', f'{self._name}, {request.name}: HTTP {answer.status} {why}')
        if request.accept:
            self.values[request.name] = Told(answer, sent_ns)
            return
        try:
            told = json.loads(answer.body)
            number, message = int(told.get('ErrorNumber') or 0), str(told.get('ErrorMessage') or '')
        except (ValueError, AttributeError, TypeError) as broken:
            raise DeviceFault(f'{self._code}.silent', f'{self._name}, {request.name}: no answer of Alpaca') from broken
        if number and request.name not in self._optional:
            raise DeviceFault(f'{self._code}.refused', f'{self._name}, {request.name}: {message or hex(number)}')
        if request.method == 'PUT':
            self.commanded_ns, self.command_sent_ns = now_ns, sent_ns
        else:
            self.values[request.name] = Told(None if number else told.get('Value'), sent_ns)

    def _send(self, now_ns: int) -> None:
        if self._closed:
            self._connection.open()
            self._closed = False
        if self._commands:
            request = self._commands.popleft()
        else:
            request = _Request('GET', self._asked[self._next % len(self._asked)])
            self._next += 1
        self._transaction += 1
        ids = f'ClientID={_CLIENT_ID}&ClientTransactionID={self._transaction}'
        host = f'Host: {self._options.host}:{self._options.port}\r\n'
        path = f'{self._base}/{request.name}'
        if request.method == 'GET':
            accept = f'Accept: {request.accept}\r\n' if request.accept else ''
            text = f'GET {path}?{ids} HTTP/1.1\r\n{host}{accept}\r\n'
        else:
            body = f'{request.parameters}&{ids}' if request.parameters else ids
            form = f'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n'
            text = f'PUT {path} HTTP/1.1\r\n{host}{form}\r\n{body}'
        self._waiting = request, now_ns
        self._data = b''
        self._connection.send(text.encode('ascii'))

    def number(self, name: str) -> float:
        """A value as a number; NaN if the device does not have it."""
        told = self.values.get(name)
        value = told.value if told is not None else None
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float('nan')

    def oldest_ns(self) -> int:
        """Stamp of the oldest value."""
        return min(self.values[name].stamp_ns for name in self._asked)


def _put(host: str, port: int, timeout_s: float, path: str) -> None:
    """Send a command on a connection of its own; a server that does not answer cannot be helped."""
    connection = HTTPConnection(host, port, timeout=timeout_s)
    with suppress(OSError, HTTPException), closing(connection):
        body = f'ClientID={_CLIENT_ID}&ClientTransactionID=0'
        connection.request('PUT', path, body, {'Content-Type': 'application/x-www-form-urlencoded'})
        connection.getresponse().read()
