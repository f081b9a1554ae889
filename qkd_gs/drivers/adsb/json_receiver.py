"""Aircraft from snapshots ``aircraft.json`` (dump1090, readsb): a file of this machine, or fetched over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from qkd_gs.devices.aircraft import AircraftReading, AircraftReceiver, AircraftReport
from qkd_gs.devices.driver import DriverContext, driver
from qkd_gs.drivers.adsb.receiver import Receiver
from qkd_gs.drivers.adsb.snapshot import parse_snapshot
from qkd_gs.drivers.connection import Connection, checked_host
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

_PERIOD_NS = 500_000_000
_LONGEST = 1 << 24


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


class JsonReceiver(Receiver):
    """Implements `AircraftReceiver`."""

    news, first = 'new snapshot', 'snapshot'

    def __init__(self, options: JsonOptions) -> None:
        self._options = options
        self._source = _File(options.file) if options.file is not None else _Http(str(options.url))
        super().__init__(self._source.name, options.timeout_s)

    def open(self) -> None:
        """Begin to fetch."""
        self._begin()
        self._asked_ns: int | None = None
        self._waiting = False

    def close(self) -> None:
        """Stop fetching."""
        self._state.is_open = False
        self._source.close()

    def _newest(self, now_ns: int) -> tuple[tuple[AircraftReport, ...], int]:
        if not self._waiting and (self._asked_ns is None or now_ns - self._asked_ns >= _PERIOD_NS):
            self._source.ask()
            self._asked_ns, self._waiting = now_ns, True
        text = self._source.answer() if self._waiting else None
        if text is None:
            return (), 0
        self._waiting = False
        try:
            snapshot = parse_snapshot(text, now_ns)
        except ValueError:  # e.g. while it is being written
            self._refused += 1
            return (), 1
        ahead_s = (snapshot.made_ns - now_ns) * 1e-9
        if ahead_s > self._options.max_offset_s:
            raise DeviceFault('aircraft.clock', f'{self._name}: its clock is {ahead_s:.1f} s ahead')
        self._refused += snapshot.refused
        self._known = {'refused_messages': str(self._refused), 'source': self._name}
        if snapshot.made_ns <= self._alive_ns:  # the same one again
            return (), 0
        self._alive_ns = snapshot.made_ns
        return snapshot.reports, snapshot.refused

    def _told(self, reading: AircraftReading) -> str:
        return f'{len(reading.reports)} aircraft'


@driver(JsonOptions)
def json_snapshots(context: DriverContext[JsonOptions]) -> AircraftReceiver:
    """Driver ``aircraft.json``."""
    return JsonReceiver(context.options)
