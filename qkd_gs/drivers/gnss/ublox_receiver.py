"""u-blox receiver on a serial port of its own."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from pydantic import Field

from qkd_gs.devices.driver import DriverContext, Probed, driver
from qkd_gs.devices.gps import Gps
from qkd_gs.drivers.addresses import is_serial
from qkd_gs.drivers.gnss import ubx
from qkd_gs.drivers.gnss.fix import Fix, GnssLimits
from qkd_gs.drivers.gnss.receiver import GnssReceiver
from qkd_gs.drivers.serial_line import SerialPort
from qkd_gs.drivers.steady import looks
from qkd_gs.errors import DeviceFault
from qkd_gs.settings.site import Site

_ANSWER_S = 1.0
_BAUDS = (9600, 38400, 115200)
_MESSAGES = {ubx.NAV_PVT: 1, ubx.NAV_TIMELS: 5, ubx.TIM_TP: 1, ubx.NAV_SVIN: 1, ubx.TIM_SVIN: 1}  # navigation cycles


class UbloxOptions(GnssLimits):
    """Options of the driver ``gps.ublox``."""

    port: str = Field(min_length=1, description='serial port, e.g. /dev/ttyACM0, or socket://HOST:PORT')
    baud: int = Field(9600, ge=4800, le=921_600, description='bits per second; of no meaning on USB')
    configure: bool = Field(True, description='switch the needed messages on, until the receiver loses power')
    serial_number: str | None = Field(
        None,
        pattern='^[0-9a-f]{10,12}$',
        description='unique id of the receiver, hexadecimal; another one is refused',
    )


class UbloxReceiver(GnssReceiver):
    """Implements `Gps`."""

    def __init__(self, options: UbloxOptions, site: Site) -> None:
        self._options = options
        self._port = SerialPort('gps', options.port, options.baud)
        super().__init__(options, site)

    def _begin(self) -> None:
        super()._begin()
        self._stream = ubx.UbxStream()
        self._leap_seconds: int | None = None

    def open(self) -> None:
        """Open the port, identify the receiver and switch its messages on.

        Raises
        ------
        DeviceFault
            ``gps.silent``: no port, or no answer in UBX; ``gps.other``: another receiver; ``gps.refused``: it refuses
            the message of position and time.
        """
        self.close()
        self._begin()
        self._port.open()
        try:
            self._identify()
            if self._options.configure:
                self._configure()
        except DeviceFault:
            self._port.close()
            raise
        self._state.is_open = True

    def close(self) -> None:
        """Close the port."""
        self._state.is_open = False
        self._port.close()

    def health(self) -> dict[str, str]:
        """Values for the diagnostics."""
        return super().health() | {'broken_frames': str(self._stream.broken)}

    def _identify(self) -> None:
        identity = identify(self._port, self._stream)
        if identity is None:
            raise DeviceFault('gps.silent', f'{self._options.port}: no u-blox receiver answers')
        firmware, model, unique = identity
        self._known |= {'firmware': firmware, 'model': model, 'serial_number': unique}
        if self._options.serial_number not in (None, unique):
            raise DeviceFault('gps.other', f'receiver {unique} instead of {self._options.serial_number}')

    def _configure(self) -> None:
        for kind, cycles in _MESSAGES.items():
            self._port.send(ubx.frame(ubx.CFG_MSG, bytes((*kind, cycles))))
            answer = _wait(
                self._port,
                self._stream,
                lambda message: message[0] in (ubx.ACK, ubx.NAK) and message[1] == bytes(ubx.CFG_MSG),
            )
            if kind == ubx.NAV_PVT and (answer is None or answer[0] == ubx.NAK):
                raise DeviceFault('gps.refused', 'the receiver does not switch NAV-PVT on')

    def _newest_fix(self) -> Fix | None:
        newest: ubx.NavPvt | None = None
        for kind, payload in self._stream.feed(self._port.receive()):
            if kind == ubx.NAV_PVT:
                newest = ubx.parse_pvt(payload) or newest
            else:
                self._take_message(kind, payload)
        return self._fix_of(newest) if newest is not None else None

    def _fix_of(self, pvt: ubx.NavPvt) -> Fix:
        fixed = pvt.fixed and pvt.utc_ns > 0
        self._known['horizontal_accuracy_m'] = f'{pvt.horizontal_accuracy_m:.1f}'
        return Fix(
            utc_ns=pvt.utc_ns,
            latitude_deg=pvt.latitude_deg,
            longitude_deg=pvt.longitude_deg,
            altitude_m=pvt.altitude_m,
            satellites=max(pvt.satellites, 1) if fixed else 0,
            time_accuracy_s=pvt.time_accuracy_s if fixed else inf,
            leap_seconds=self._leap_seconds,
        )

    def _take_message(self, kind: tuple[int, int], payload: bytes) -> None:
        if kind == ubx.NAV_TIMELS and (leap := ubx.parse_leap_seconds(payload)):
            self._leap_seconds = leap.current
            self._known['leap_seconds'] = str(leap.current) if leap.current is not None else 'not received yet'
            if leap.change:
                self._known['leap_second_announced'] = f'{leap.change:+d} in {leap.to_event_s} s'
        elif kind == ubx.TIM_TP and (error_s := ubx.parse_pulse_error_s(payload)) is not None:
            self._known['pps_quantization_ns'] = f'{error_s * 1e9:.3f}'
        elif survey := ubx.parse_survey(kind, payload):
            state = 'done' if survey.valid else 'running' if survey.active else 'off'
            self._known['survey_in'] = f'{state}, {survey.seconds} s, {survey.accuracy_m:.2f} m'


def identify(port: SerialPort, stream: ubx.UbxStream) -> tuple[str, str, str] | None:
    """Firmware, model and unique id of a receiver ('' where it does not tell); None if none answers."""
    version = ubx.parse_version(_poll(port, stream, ubx.MON_VER))
    return (*version, _poll(port, stream, ubx.SEC_UNIQID)[4:].hex()) if version else None


def _poll(port: SerialPort, stream: ubx.UbxStream, kind: tuple[int, int]) -> bytes:
    """Payload of the answer to a poll; empty without one."""
    port.send(ubx.frame(kind))
    answer = _wait(port, stream, lambda message: message[0] == kind or message == (ubx.NAK, bytes(kind)))
    return answer[1] if answer is not None and answer[0] == kind else b''


def _wait(port: SerialPort, stream: ubx.UbxStream, wanted: Callable[[ubx.Message], bool]) -> ubx.Message | None:
    for left_s in looks(_ANSWER_S):
        for message in stream.feed(port.receive(left_s)):
            if wanted(message):
                return message
    return None


def probe(address: str) -> Probed | None:
    """Look for a receiver at a serial port."""
    if not is_serial(address):
        return None
    for baud in _BAUDS:
        port = SerialPort('gps', address, baud)
        try:
            port.open()
            identity = identify(port, ubx.UbxStream())
        except DeviceFault:
            return None
        finally:
            port.close()
        if identity is not None:
            firmware, model, unique = identity
            options = {'port': address, 'baud': baud} | ({'serial_number': unique} if unique else {})
            return Probed(options, f'u-blox {model or "receiver"}, firmware {firmware}')
    return None


@driver(UbloxOptions, probe)
def ublox(context: DriverContext[UbloxOptions]) -> Gps:
    """Driver ``gps.ublox``."""
    return UbloxReceiver(context.options, context.site)
