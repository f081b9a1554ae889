"""TLS 1.3 over TCP with both certificates pinned: each side accepts one certificate and no other."""

from __future__ import annotations

import hmac
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qkd_gs.qkd.link.callers import Callers
from qkd_gs.qkd.link.channel import PacketChannel
from qkd_gs.qkd.link.faults import ProtocolError

LOOPBACK = '127.0.0.1'
SILENCE_S = 300.0  # between two messages the other side may process the tags of a whole pass
HANDSHAKE_S = 30.0
_SLOWEST_BIT_S = 100_000  # a slower peer counts as silent


@dataclass(frozen=True)
class TlsIdentity:
    """Certificate and key of this side, and the only certificate that it accepts.

    Attributes
    ----------
    certificate, private_key : Path
        Own certificate and key, PEM; only its owner can read the key's file.
    peer_certificate : str
        The other side's certificate, PEM.
    """

    certificate: Path
    private_key: Path
    peer_certificate: str

    def context(self, server: bool) -> ssl.SSLContext:
        """TLS settings of the server or the client side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the pinned certificate identifies the peer
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certificate, self.private_key)
        context.load_verify_locations(cadata=self.peer_certificate)
        return context


class SocketStream:
    """A TLS socket as a stream.

    Parameters
    ----------
    connection : ssl.SSLSocket
        Connection after the handshake.
    timeout_s : float
        Longest silence.  A whole message may take this time plus its length at 100 kbit/s, so a peer that
        sends single bytes slowly cannot block the run.
    clock_s : callable
        Monotonic clock, seconds.
    """

    def __init__(
        self, connection: ssl.SSLSocket, timeout_s: float = SILENCE_S, clock_s: Callable[[], float] = time.monotonic
    ):
        self._connection, self._timeout_s, self._clock_s = connection, timeout_s, clock_s
        connection.settimeout(timeout_s)

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        try:
            self._connection.settimeout(self._timeout_s + 8 * len(data) / _SLOWEST_BIT_S)
            self._connection.sendall(data)
        except TimeoutError as error:
            raise ProtocolError('silent', f'the other side accepted nothing for {self._timeout_s:g} s') from error
        except OSError as error:
            raise ProtocolError('truncated', 'the other side closed the link') from error

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        end_s = self._clock_s() + self._timeout_s + 8 * size / _SLOWEST_BIT_S
        buffer = bytearray(size)
        view, have = memoryview(buffer), 0
        while have < size:
            left_s = end_s - self._clock_s()
            try:
                if left_s <= 0:
                    raise TimeoutError
                self._connection.settimeout(min(left_s, self._timeout_s))
                got = self._connection.recv_into(view[have:])
            except TimeoutError as error:
                raise ProtocolError('silent', f'{have} of {size} bytes were received in time') from error
            except OSError as error:
                raise ProtocolError('truncated', 'the link failed') from error
            if not got:
                raise ProtocolError('truncated', f'the link closed after {have} of {size} bytes')
            have += got
        return bytes(buffer)

    def close(self) -> None:
        """Close the socket; may be called repeatedly."""
        self._connection.close()


class Listener:
    """A listening socket on loopback; nobody who calls it can keep another one waiting for long.

    Parameters
    ----------
    identity : TlsIdentity
        Identity of the listening side.
    host, port : str, int
        Address to listen on; port 0 chooses a free one, see the attribute `port`.
    """

    def __init__(self, identity: TlsIdentity, host: str = LOOPBACK, port: int = 0):
        self._identity = identity
        self._socket = socket.create_server((host, port))
        self._callers = Callers(self._socket, identity.context(server=True), time.monotonic)
        self.host, self.port = self._socket.getsockname()[:2]

    def accept(
        self, timeout_s: float = 30.0, silence_s: float = SILENCE_S, handshake_s: float = HANDSHAKE_S
    ) -> PacketChannel:
        """Channel to the next client that presents the pinned certificate.

        Parameters
        ----------
        timeout_s : float
            Longest wait for one.
        silence_s : float
            Longest silence afterwards.
        handshake_s : float
            Longest duration of a handshake.

        Raises
        ------
        ProtocolError
            No client connected, or one was sent away, e.g. with another certificate: call again for the others.
        """
        return _pinned(self._callers.next(timeout_s, handshake_s), self._identity, silence_s)

    def close(self) -> None:
        """Stop listening; may be called repeatedly."""
        self._callers.close()
        self._socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(
    identity: TlsIdentity, port: int, host: str = LOOPBACK, timeout_s: float = 30.0, silence_s: float = SILENCE_S
) -> PacketChannel:
    """Channel to the side that listens at `host` and `port`.

    Raises
    ------
    ProtocolError
        No connection, or the peer's certificate is not the pinned one.
    """
    try:
        raw = socket.create_connection((host, port), timeout=timeout_s)
    except OSError as error:
        raise ProtocolError('silent', f'no connection to {host}:{port}') from error
    raw.settimeout(timeout_s)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small parity messages wait for answers
        connection = identity.context(server=False).wrap_socket(raw)
    except (OSError, ssl.SSLError) as error:
        raw.close()
        raise ProtocolError('identity', 'the handshake failed: not the pinned certificate, or not TLS 1.3') from error
    return _pinned(connection, identity, silence_s)


def _pinned(connection: ssl.SSLSocket, identity: TlsIdentity, silence_s: float) -> PacketChannel:
    """Channel over a connection after its handshake."""
    shown = connection.getpeercert(binary_form=True) or b''
    if not hmac.compare_digest(shown, ssl.PEM_cert_to_DER_cert(identity.peer_certificate)):
        connection.close()
        raise ProtocolError('identity', 'the other side presented a certificate that is not the pinned one')
    return PacketChannel(SocketStream(connection, silence_s))
