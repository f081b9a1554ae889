"""A serial port, or a serial device server on the network; reading never waits."""

from __future__ import annotations

from typing import Any

from qkd_gs.drivers.extras import need
from qkd_gs.errors import DeviceFault

_LONGEST = 4096  # bytes kept without an end of line; more is noise
_CHUNK = 4096


class SerialPort:
    """Bytes to and from a device; 8 data bits, no parity, one stop bit, no flow control.

    Parameters
    ----------
    code : str
        Kind of device, the first part of its fault codes.
    port : str
        Device file, or a URL of pyserial such as ``socket://192.168.1.20:4001``.
    baud : int
        Bits per second.
    """

    def __init__(self, code: str, port: str, baud: int) -> None:
        self._code, self._name, self._baud = code, port, baud
        self._port: Any = None

    def open(self) -> None:
        """Open the port for this process alone.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: the port does not exist, is in use, or the server refuses the connection.
        StationError
            pyserial is not installed.
        """
        serial = need('serial', 'serial')
        more = {} if '://' in self._name else {'exclusive': True}
        try:
            self._port = serial.serial_for_url(self._name, baudrate=self._baud, timeout=0, write_timeout=0, **more)
            self._port.reset_input_buffer()
        except (OSError, ValueError) as error:  # SerialException is an OSError
            self.close()
            raise self._lost(error) from error

    def send(self, data: bytes) -> None:
        """Send at once; raises ``KIND.silent`` if the port is gone or takes no more bytes."""
        try:
            sent = self._open_port().write(data)
        except OSError as error:
            raise self._lost(error) from error
        if sent is not None and sent < len(data):
            raise self._lost('it takes no more bytes')

    def receive(self, wait_s: float = 0.0) -> bytes:
        """Bytes that have arrived; waits up to `wait_s` for the first (only in ``open()`` and in self-tests).

        Raises
        ------
        DeviceFault
            ``KIND.silent``: the port is gone.
        """
        port, received = self._open_port(), b''
        try:
            if wait_s:
                port.timeout = wait_s
                received = port.read(1)
                port.timeout = 0
            while data := port.read(_CHUNK):
                received += data
                if len(data) < _CHUNK:
                    break
        except OSError as error:
            raise self._lost(error) from error
        return received

    def close(self) -> None:
        """Close the port; allowed in every state."""
        if self._port is not None:
            try:
                self._port.close()
            except OSError:
                pass  # of a port that is gone
            self._port = None

    def _open_port(self) -> Any:
        if self._port is None:
            raise self._lost('the port is closed')
        return self._port

    def _lost(self, why: object) -> DeviceFault:
        return DeviceFault(f'{self._code}.silent', f'{self._name}: {why}')


class SerialLine(SerialPort):
    """A serial port with lines of ASCII text."""

    _rest = b''

    def open(self) -> None:
        """Open the port; see `SerialPort`."""
        super().open()
        self._rest = b''

    def lines(self, wait_s: float = 0.0) -> list[str]:
        """Complete lines that have arrived, without their ends; bytes that are not ASCII become '?'."""
        data = (self._rest + self.receive(wait_s)).replace(b'\r', b'\n')
        *complete, rest = data.split(b'\n')
        self._rest = rest[-_LONGEST:]
        return [line.decode('ascii', 'replace').replace('\ufffd', '?') for line in complete if line]
