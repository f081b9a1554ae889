"""Frames and links: every way in which a message can arrive wrong is noticed."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.link.channel import HEADER_BYTES, Kind, Message, PacketChannel, encode_packet, expect
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import LinkMeter, channel_pair, pipe
from qkd_gs.qkd.link.tls import Listener, TlsIdentity, connect

HELLO = Message(Kind.HELLO, b'good day')
TAG = Message(Kind.TAG, bytes(16))


def arriving(*pieces, timeout_s=0.01):
    """A channel at which these bytes come in, and nothing after them."""
    near, far = pipe(timeout_s)
    for piece in pieces:
        far.write(piece)
    return PacketChannel(near), far


@given(payloads=st.lists(st.binary(max_size=300), max_size=5))
@settings(max_examples=30, deadline=None)
def test_messages_arrive_as_they_were_sent(payloads):
    one, other = channel_pair(timeout_s=120.0)
    for payload in payloads:
        one.send(Message(Kind.TAG, payload))
    assert [other.receive().payload for _ in payloads] == payloads


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_is_noticed(data):
    frame = bytearray(encode_packet(HELLO, 0))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    channel, far = arriving(bytes(frame))
    far.close()
    with pytest.raises(ProtocolError):
        channel.receive()


@given(junk=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_junk_is_an_error_and_never_a_hang(junk):
    channel, far = arriving(junk)
    far.close()

    def read_on():
        for _ in range(20):
            channel.receive()

    with pytest.raises(ProtocolError):
        read_on()


@pytest.mark.parametrize(
    ('sent', 'code'),
    [
        ([encode_packet(HELLO, 0), encode_packet(HELLO, 0)], 'link.replay'),
        ([encode_packet(HELLO, 0), encode_packet(TAG, 2), encode_packet(TAG, 1)], 'link.reordered'),
        ([encode_packet(HELLO, 0)], 'link.silent'),
        ([encode_packet(HELLO, 0), encode_packet(TAG, 1)[:-3]], 'link.silent'),
        ([encode_packet(HELLO, 0), b'QG\x01' + encode_packet(TAG, 1)[3:]], 'link.version'),
        ([encode_packet(HELLO, 0), encode_packet(TAG, 1)[:8] + b'\xff' * 8], 'link.oversize'),
        ([encode_packet(HELLO, 0), b'GET / HTTP/1.1\r\n'], 'link.damaged'),
        ([encode_packet(HELLO, 0), b'QG\x02\xc8' + encode_packet(TAG, 1)[4:]], 'link.malformed'),
    ],
)
def test_every_fault_has_its_name(sent, code):
    channel, _ = arriving(*sent)
    assert channel.receive() == HELLO
    with pytest.raises(ProtocolError) as fault:
        channel.receive()
    assert fault.value.code == code


def test_an_end_inside_a_message_is_truncation():
    channel, far = arriving(encode_packet(TAG, 0)[:-1])
    far.close()
    with pytest.raises(ProtocolError, match=r'link\.truncated'):
        channel.receive()


def test_after_a_fault_the_link_is_closed_for_both():
    one, other = channel_pair(timeout_s=120.0)
    one._stream.write(b'x' * HEADER_BYTES)
    with pytest.raises(ProtocolError, match=r'link\.damaged'):
        other.receive()
    with pytest.raises(ProtocolError, match=r'link\.truncated'):
        one.receive()
    with pytest.raises(ProtocolError, match='closed'):
        other.send(HELLO)


def test_a_refusal_carries_its_reason_and_no_control_characters():
    one, other = channel_pair(timeout_s=120.0)
    one.send(Message(Kind.REFUSE, b'no such session\x1b[31m\xff'))
    with pytest.raises(ProtocolError, match=r'link\.refused: the other side ended the run: no such session') as fault:
        expect(other, Kind.WELCOME)
    assert '\x1b' not in str(fault.value)


def test_a_message_out_of_place_is_refused():
    one, other = channel_pair(timeout_s=120.0)
    one.send(TAG)
    with pytest.raises(ProtocolError, match='received TAG instead of HELLO or WELCOME'):
        expect(other, Kind.HELLO, Kind.WELCOME)


def test_the_meter_reckons_what_a_slow_link_would_take():
    one, other = channel_pair(timeout_s=120.0)
    meter = LinkMeter(one)
    for _ in range(3):  # three questions and answers of 125,000 bytes: 3 round trips and 6 Mbit
        meter.send(Message(Kind.TAG, bytes(125_000 - HEADER_BYTES)))
        other.send(other.receive())
        meter.receive()
    assert meter.link_s(round_trip_s=0.25, rate_bit_s=1e6) == pytest.approx(6.0 + 0.75)
    assert meter.bytes_by_kind == {'TAG': 750_000}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return KeyFolder.create(tmp_path_factory.mktemp('tls') / 'keys')


def talk(server_identity, client_identity, serve, faults, silence_s=5.0):
    """Run `serve(channel)` behind a listener; return the answer; the server's faults go to `faults`."""

    def run():
        try:
            serve(listener.accept())
        except ProtocolError as fault:
            faults.append(fault.code)

    with Listener(server_identity) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        channel = None
        try:
            channel = connect(client_identity, listener.port, silence_s=silence_s)
            channel.send(HELLO)
            return channel.receive()
        finally:
            if channel:
                channel.close()
            thread.join()


def test_tls_carries_messages_both_ways(folder):
    def echo(channel):
        channel.send(channel.receive())

    faults = []
    assert talk(folder.tls_simulated_satellite(), folder.tls_ground(simulated=True), echo, faults) == HELLO
    assert not faults


def test_a_stranger_is_turned_away_by_either_side(folder, tmp_path):
    faults = []
    stranger = KeyFolder.create(tmp_path / 'stranger')
    mine, theirs = folder.tls_ground(simulated=True), stranger.tls_ground(simulated=True)
    posing = TlsIdentity(theirs.certificate, theirs.private_key, mine.peer_certificate)  # trusts us, is not trusted
    with pytest.raises(ProtocolError):
        talk(folder.tls_simulated_satellite(), posing, lambda channel: channel.receive(), faults)
    with pytest.raises(ProtocolError, match=r'link\.identity'):
        talk(stranger.tls_simulated_satellite(), mine, lambda channel: channel.receive(), faults)
    assert faults == ['link.identity', 'link.identity']


def test_a_peer_that_hangs_up_or_stays_silent_is_noticed(folder):
    pair = folder.tls_simulated_satellite(), folder.tls_ground(simulated=True)
    with pytest.raises(ProtocolError, match=r'link\.truncated'):
        talk(*pair, lambda channel: channel.close(), [])
    with pytest.raises(ProtocolError, match=r'link\.silent'):
        talk(*pair, lambda channel: [channel.receive(), channel.receive()], [], silence_s=0.2)


def test_nobody_there_is_told_at_once(folder):
    with Listener(folder.tls_simulated_satellite()) as listener:
        port = listener.port
        with pytest.raises(ProtocolError, match='no client connected'):
            listener.accept(timeout_s=0.05)
    with pytest.raises(ProtocolError, match='no connection to'):
        connect(folder.tls_ground(simulated=True), port, timeout_s=0.5)
