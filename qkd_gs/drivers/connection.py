"""A TCP connection that never waits, not even to be made."""

from __future__ import annotations

import select
import socket
from ipaddress import ip_address

from qkd_gs.errors import DeviceFault

_CHUNK = 1 << 16


def checked_host(host: str) -> str:
    """A host that is found without a name server: an IP address or ``localhost``.

    Raises
    ------
    ValueError
        Another name, whose look-up could hold up the caller.
    """
    if host == 'localhost':
        return '127.0.0.1'
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise ValueError(f'{host!r} is no IP address: a name server could hold up the station') from error


class Connection:
    """Connects, sends and receives without waiting.

    Parameters
    ----------
    code : str
        First part of the fault codes.
    host, port : str, int
        IP address and TCP port.
    """

    def __init__(self, code: str, host: str, port: int) -> None:
        self._code, self._where = code, (host, port)
        self._socket: socket.socket | None = None
        self._connected = False
        self._unsent = b''

    @property
    def name(self) -> str:
        """``HOST:PORT``."""
        return f'{self._where[0]}:{self._where[1]}'

    def open(self) -> None:
        """Begin to connect."""
        self.close()
        family = socket.AF_INET6 if ':' in self._where[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.connect_ex(self._where)

    def close(self) -> None:
        """Disconnect; allowed in every state."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._connected, self._unsent = None, False, b''

    def connected(self) -> bool:
        """Whether the connection is made by now.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: it was refused.
        """
        if not self._connected and self._socket is not None:
            _, writable, _ = select.select([], [self._socket], [], 0)
            if writable:
                error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise self._lost(OSError(error, 'connection refused' if error == 111 else f'error {error}'))
                self._connected = True
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connected

    def send(self, data: bytes) -> None:
        """Send; what does not go out at once is sent with the next call of `receive`."""
        self._unsent += data
        if self.connected():
            self._flush()

    def receive(self) -> tuple[bytes, bool]:
        """Bytes that have arrived, and whether the other side has closed the connection.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: the connection is broken.
        """
        if not self.connected() or self._socket is None:
            return b'', False
        self._flush()
        parts: list[bytes] = []
        while True:
            try:
                part = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return b''.join(parts), False
            except OSError as error:
                raise self._lost(error) from error
            if not part:
                return b''.join(parts), True
            parts.append(part)

    def _flush(self) -> None:
        if not self._unsent or self._socket is None:
            return
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            raise self._lost(error) from error

    def _lost(self, error: OSError) -> DeviceFault:
        return DeviceFault(f'{self._code}.silent', f'{self.name}: {error.strerror or error}')
