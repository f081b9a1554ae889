"""Aircraft from a stream of BaseStation messages (dump1090, readsb ... port 30003)."""

from __future__ import annotations

from pydantic import Field, field_validator

from qkd_gs.devices.aircraft import AircraftReading, AircraftReceiver, AircraftReport
from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.drivers.addresses import greeting_of, host_and_port
from qkd_gs.drivers.adsb.receiver import Receiver
from qkd_gs.drivers.adsb.sbs import parse_line
from qkd_gs.drivers.connection import Connection, checked_host
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.loader import Section

_LONGEST = 4096  # bytes without an end of line


class SbsOptions(Section):
    """Options of the driver ``aircraft.sbs``."""

    host: str = Field('127.0.0.1', description='IP address of the receiver')
    port: int = Field(30003, ge=1, le=65535, description='TCP port of its BaseStation messages')
    timeout_s: float = Field(5.0, gt=0, le=60, description='longest time without a message (aircraft.silent)')

    @field_validator('host')
    @classmethod
    def _host(cls, value: str) -> str:
        return checked_host(value)


class SbsReceiver(Receiver):
    """Implements `AircraftReceiver`."""

    news = first = 'message'

    def __init__(self, options: SbsOptions) -> None:
        self._connection = Connection('aircraft', options.host, options.port)
        super().__init__(self._connection.name, options.timeout_s)

    def open(self) -> None:
        """Begin to connect."""
        self._connection.open()
        self._rest = b''
        self._begin()

    def close(self) -> None:
        """Disconnect."""
        self._state.is_open = False
        self._connection.close()

    def _newest(self, now_ns: int) -> tuple[tuple[AircraftReport, ...], int]:
        data, closed = self._connection.receive()
        reports, refused = self._parse(now_ns, data)
        if closed:
            raise DeviceFault('aircraft.silent', f'{self._name} has closed the connection')
        return reports, refused

    def _parse(self, now_ns: int, data: bytes) -> tuple[tuple[AircraftReport, ...], int]:
        *lines, rest = (self._rest + data).split(b'\n')
        self._rest = rest[-_LONGEST:]
        reports, refused = [], 0
        for line in lines:
            try:
                report = parse_line(line, now_ns)
            except ValueError:
                refused += 1
                continue
            self._alive_ns = now_ns
            if report is not None:
                reports.append(report)
        self._refused += refused
        self._known = {'refused_messages': str(self._refused), 'address': self._name}
        return tuple(reports), refused

    def _told(self, reading: AircraftReading) -> str:
        return 'messages arrive'


def probe(address: str) -> Probed | None:
    """Look for BaseStation messages at ``HOST:PORT``."""
    where = host_and_port(address)
    if where is None:
        return None
    first = greeting_of(where).split(b'\n')[0]
    try:
        told = parse_line(first, 0)
    except ValueError:
        return None
    return Probed({'host': where[0], 'port': where[1]}, 'BaseStation messages') if told is not None else None


@driver(SbsOptions, probe)
def sbs(context: DriverContext[SbsOptions]) -> AircraftReceiver:
    """Driver ``aircraft.sbs``."""
    return SbsReceiver(context.options)
