"""Whoever calls the satellite's server, and however: those who hold the certificate are served."""

import socket
import ssl
import struct
import threading
from contextlib import ExitStack, suppress

import pytest

from qkd_gs.errors import DeviceFault
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SLOT_BYTES
from qkd_gs.qkd.link import callers
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.tls import Listener, TlsIdentity, connect
from qkd_gs.satellite import server
from qkd_gs.satellite.server import serve_log


class Last(BaseException):
    """Ends the server."""


class Transmitter:
    def __init__(self, path):
        path.touch(0o600)
        self.path = path


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server whose runs answer one message; the second run fails as no run should."""
    material = bytes(range(256)) * (3 * SLOT_BYTES // 256 + 1)
    keys, ground = (KeyFolder.create(tmp_path / name, material) for name in ('satellite', 'ground'))
    keys.pin_satellite(ground.own_certificate())
    ground.pin_satellite(keys.own_certificate())
    runs = []

    def answer(channel, *_, **__):
        runs.append(channel)
        message = channel.receive()
        if message.payload == b'last':
            raise Last
        if message.payload == b'break':
            raise ZeroDivisionError
        channel.send(message)
        channel.close()
        raise ProtocolError('truncated', 'that was all')

    monkeypatch.setattr(server, 'serve', answer)

    def run():
        with suppress(Last):
            serve_log(Transmitter(tmp_path / 'log'), keys, None, listener, False, lambda *_: None)

    with Listener(keys.tls_own()) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield listener.port, ground
        connect(ground.tls_own(), listener.port).send(Message(Kind.HELLO, b'last'))
        thread.join()


def asked(served):
    port, ground = served
    channel = connect(ground.tls_own(), port, timeout_s=20.0)
    channel.send(Message(Kind.HELLO, b'well?'))
    assert channel.receive().payload == b'well?'
    channel.close()


def handshake(port, context, name=None):
    with socket.create_connection(('127.0.0.1', port)) as raw, suppress(OSError):
        context.wrap_socket(raw, server_hostname=name).recv(1)


def unverified(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.maximum_version = version
    return context


def nonsense(port, _):
    with socket.create_connection(('127.0.0.1', port)) as raw:
        raw.sendall(b'GET / HTTP/1.1\r\n\r\n' + bytes(100_000))


def no_certificate(port, _):
    handshake(port, unverified())


def old_tls(port, _):
    handshake(port, unverified(ssl.TLSVersion.TLSv1_2))


def another_certificate(port, folder):
    there = folder / 'stranger'
    stranger = (KeyFolder(there) if there.exists() else KeyFolder.create(there)).tls_ground(simulated=True)
    trusting = TlsIdentity(
        stranger.certificate, stranger.private_key, (folder / 'satellite/ground.tls.crt').read_text()
    )
    with suppress(DeviceFault):
        connect(trusting, port).receive()


def reset(port, _):
    raw = socket.create_connection(('127.0.0.1', port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    raw.close()


@pytest.mark.parametrize('wrong', [nonsense, no_certificate, old_tls, another_certificate, reset])
def test_a_wrong_caller_is_sent_away_and_the_next_one_is_served(served, tmp_path, wrong):
    for _ in range(2):
        wrong(served[0], tmp_path)
        asked(served)


def test_a_run_that_breaks_for_a_reason_nobody_thought_of_does_not_end_the_server(served, caplog):
    port, ground = served
    channel = connect(ground.tls_own(), port)
    channel.send(Message(Kind.HELLO, b'break'))
    asked(served)
    assert 'ZeroDivisionError' in caplog.text


def test_callers_that_connect_and_say_nothing_keep_nobody_waiting(served, caplog):
    """Three times as many as are listened to at a time."""
    with ExitStack() as open_:
        for _ in range(3):
            for _ in range(callers.MOST):
                raw = open_.enter_context(socket.create_connection(('127.0.0.1', served[0])))
                raw.sendall(b'\x16\x03\x01')  # the beginning of a greeting
            asked(served)
    refused = [record for record in caplog.records if 'was refused' in record.message]
    assert 1 <= len(refused) <= 24  # the log is not flooded, either


def test_a_handshake_has_a_limited_time(tmp_path):
    folder = KeyFolder.create(tmp_path / 'keys')
    with Listener(folder.tls_simulated_satellite()) as listener, socket.create_connection(('127.0.0.1', listener.port)):
        with pytest.raises(ProtocolError, match=r'link\.identity.*its handshake took over 0\.1 s'):
            listener.accept(handshake_s=0.1)
        with pytest.raises(ProtocolError, match='no client connected'):
            listener.accept(timeout_s=0.01)
