"""Aircraft from snapshots ``aircraft.json`` (dump1090, readsb): a file of this machine, or fetched over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from qkd_gs.devices.aircraft import AircraftReading, AircraftReceiver
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.devices.open_state import OpenState
from qkd_gs.drivers.adsb.snapshot import Snapshot, parse_snapshot
from qkd_gs.drivers.connection import Connection, checked_host
from qkd_gs.drivers.steady import Forward
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

_PERIOD_NS = 500_000_000
_LONGEST = 1 << 24
_TEST_S = 10.0


class JsonOptions(Section):
    """Options of the driver ``aircraft.json``."""

    file: str | None = Field(None, description='e.g. /run/dump1090-fa/aircraft.json; or url')
    url: str | None = Field(None, description='e.g. http://192.168.1.5:8080/data/aircraft.json; with an IP address')
    timeout_s: float = Field(5.0, gt=0, le=60, description='longest time without a new snapshot (aircraft.silent)')
    max_offset_s: float = Field(
        1.0, gt=0, le=10, description="largest time by which the receiver's clock may be ahead of ours (aircraft.clock)"
    )

    @model_validator(mode='after')
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError('give either file or url')
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme != 'http' or not parts.hostname:
                raise ValueError(f'url: {self.url!r} does not begin with http:// and an IP address')
            checked_host(parts.hostname)
        return self


class _File:
    """Snapshots of a file."""

    def __init__(self, path: str) -> None:
        self.name = path

    def ask(self) -> None:
        """Nothing to send."""

    def answer(self) -> bytes | None:
        """The file as it is."""
        try:
            return Path(self.name).read_bytes()
        except OSError as error:
            raise DeviceFault('aircraft.silent', f'{self.name}: {error.strerror}') from error

    def close(self) -> None:
        """Nothing to close."""


class _Http:
    """Snapshots of an HTTP server; a connection for each, as HTTP/1.0 has it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = url
        self._connection = Connection('aircraft', checked_host(str(parts.hostname)), parts.port or 80)
        self._request = f'GET {parts.path or "/"} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n'.encode('ascii')
        self._data = b''

    def ask(self) -> None:
        """Begin a request."""
        self._data = b''
        self._connection.open()
        self._connection.send(self._request)

    def answer(self) -> bytes | None:
        """Body of the answer once it is complete."""
        data, closed = self._connection.receive()
        self._data += data
        if len(self._data) > _LONGEST:
            raise DeviceFault('aircraft.silent', f'{self.name}: the answer does not end')
        if not closed:
            return None
        self._connection.close()
        head, _, body = self._data.partition(b'\r\n\r\n')
        status = head.split(b'\r\n')[0].split()
        if len(status) < 2 or status[1] != b'200':
            told = b' '.join(status[1:])[:40].decode('ascii', 'replace')
            raise DeviceFault('aircraft.silent', f'{self.name}: the server answers {told or "nothing"}')
        return body

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class JsonReceiver:
    """Implements `AircraftReceiver`."""

    def __init__(self, options: JsonOptions) -> None:
        self._options = options
        self._state = OpenState('aircraft')
        self._source = _File(options.file) if options.file is not None else _Http(str(options.url))
        self._known: dict[str, str] = {}

    def open(self) -> None:
        """Begin to fetch."""
        self._forward = Forward('aircraft')
        self._asked_ns: int | None = None
        self._waiting = False
        self._begun_ns, self._made_ns, self._refused = 0, 0, 0
        self._state.is_open = True

    def close(self) -> None:
        """Stop fetching."""
        self._state.is_open = False
        self._source.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return self._known

    def read(self, now_ns: int) -> AircraftReading:
        """Reports of a snapshot that is new since the last call."""
        self._state.require()
        self._forward.check(now_ns)
        self._begun_ns = self._begun_ns or now_ns
        snapshot, refused = self._newest(now_ns)
        alive_ns = min(self._made_ns, now_ns)
        since_s = (now_ns - max(alive_ns, self._begun_ns)) * 1e-9
        if since_s > self._options.timeout_s:
            raise DeviceFault('aircraft.silent', f'{self._source.name}: no new snapshot for {since_s:.0f} s')
        return AircraftReading(alive_ns, snapshot.reports if snapshot else (), refused)

    def _newest(self, now_ns: int) -> tuple[Snapshot | None, int]:
        if not self._waiting and (self._asked_ns is None or now_ns - self._asked_ns >= _PERIOD_NS):
            self._source.ask()
            self._asked_ns, self._waiting = now_ns, True
        text = self._source.answer() if self._waiting else None
        if text is None:
            return None, 0
        self._waiting = False
        try:
            snapshot = parse_snapshot(text, now_ns)
        except ValueError:  # e.g. while it is being written
            self._refused += 1
            return None, 1
        ahead_s = (snapshot.made_ns - now_ns) * 1e-9
        if ahead_s > self._options.max_offset_s:
            raise DeviceFault('aircraft.clock', f'{self._source.name}: its clock is {ahead_s:.1f} s ahead')
        self._refused += snapshot.refused
        self._known = {'refused_messages': str(self._refused), 'source': self._source.name}
        if snapshot.made_ns <= self._made_ns:  # the same one again
            return None, 0
        self._made_ns = snapshot.made_ns
        return snapshot, snapshot.refused

    def self_test(self) -> str:
        """Wait for the first snapshot."""
        end_s = time.monotonic() + _TEST_S
        while time.monotonic() < end_s:
            reading = self.read(time.time_ns())
            if reading.stamp_ns:
                return f'{self._source.name}: {len(reading.reports)} aircraft'
            time.sleep(0.05)
        raise DeviceFault('aircraft.silent', f'{self._source.name}: no snapshot within {_TEST_S:g} s')


@driver(JsonOptions)
def json_snapshots(context: DriverContext[JsonOptions]) -> AircraftReceiver:
    """Driver ``aircraft.json``."""
    return JsonReceiver(context.options)
