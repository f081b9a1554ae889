"""Announcements: answered only when authenticated, for pulses that are past, and of each pulse once."""

import numpy as np
import pytest
from protocol_twin import EPOCH_NS, SESSION, TERMS, KeyedTransmitter, Run, receive

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import Side
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.satellite_sifting import SETTLED_NS
from qkd_gs.qkd.protocol.session_record import RecordInMemory

EASY = TERMS.model_copy(update={'epsilon_total': 9e-4})
OTHER_SESSION = 'f' * 32


@pytest.fixture(scope='module')
def light():
    return receive(KeyedTransmitter(), np.random.default_rng(3), seconds=2.0, noise_hz=10.0, error=0.005)


class Inside:
    """Somebody inside TLS who replaces the ground's messages of some kinds and keeps what comes back.

    A message that she keeps to herself is the last one: she cuts the line, and nobody has to wait.
    """

    def __init__(self, channel, replace):
        self.channel, self.replace = channel, replace
        self.sent, self.received = [], []

    def send(self, message):
        passed = self.replace(message)
        for one in passed:
            self.sent.append(one.kind)
            self.channel.send(one)
        if not passed:
            self.channel.close()

    def receive(self):
        message = self.channel.receive()
        self.received.append(message.kind)
        return message

    def close(self):
        self.channel.close()


def watched(light, replace=lambda message: [message], **parts):
    """A run with somebody inside; the fault of the ground, and what was said."""
    inside = []

    def wrap(channel):
        inside.append(Inside(channel, replace))
        return inside[0]

    with pytest.raises((ProtocolError, StationError)) as fault:
        Run(*light, terms=EASY, wrap=wrap, **parts)
    return fault.value, inside[0]


def stored(folder, side):
    """Arguments of a run whose side keeps its record on the disk."""
    return {f'{side}_record': lambda: KeyStore(folder / 'keys.db', bytes(32), simulated=False, side=side)}


def test_pulses_that_an_eavesdropper_asks_for_are_not_answered(light):
    """She stored photons and asks for bases and intensities of 200,000 pulses; the ground's tag is not hers."""
    asked = np.arange(0, 200_000 * 1000, 1000)

    def ask(message):
        if message.kind is Kind.SIFT_HEAD:
            head = messages.SiftHead(locked=[(0, int(asked[-1]))], detections=len(asked))
            return [Message(Kind.SIFT_HEAD, head.model_dump_json().encode())]
        if message.kind is Kind.DETECTIONS:
            return [Message(Kind.DETECTIONS, messages.detection_block(asked, np.zeros(len(asked), np.uint8)))]
        return [message]

    record = RecordInMemory()
    fault, inside = watched(light, ask, satellite_record=record)
    assert Kind.SIFT_ANSWER not in inside.received
    assert fault.code == 'link.refused'
    Run(*light, terms=EASY, satellite_record=record)  # nor are the pulses that she named booked


def test_an_announcement_without_a_tag_is_not_answered(light):
    """She keeps the ground's tag back."""
    tags = iter(range(100))

    def untagged(message):
        return [] if message.kind is Kind.TAG and next(tags) == 1 else [message]  # the first is that of the log

    _, inside = watched(light, untagged)
    assert Kind.DETECTIONS in inside.sent
    assert Kind.SIFT_ANSWER not in inside.received


def test_nothing_is_said_about_errors_when_the_answers_are_not_the_satellites(light):
    """With bits of her own for decoys, the number of errors would tell her bits of the ground."""

    class Liar(Inside):
        def receive(self):
            message = super().receive()
            if message.kind is Kind.SIFT_ANSWER:
                return Message(message.kind, message.payload[:-1] + bytes([message.payload[-1] ^ 1]))
            return message

    inside = []
    with pytest.raises(ProtocolError) as fault:
        Run(*light, terms=EASY, wrap=lambda channel: inside.append(Liar(channel, lambda m: [m])) or inside[0])
    assert fault.value.code == 'link.authentication'
    assert Kind.ERROR_COUNTS not in inside[0].sent


def test_locked_time_outside_the_requested_log_is_refused(light):
    _, inside = watched(light, log_ns=10**9)
    assert Kind.SIFT_ANSWER not in inside.received


@pytest.mark.parametrize('after_s', [-1.0, 0.0, SETTLED_NS * 1e-9 - 0.1])  # nobody waits here
def test_pulses_that_are_not_safely_past_are_not_answered(light, after_s):
    last_ns = EPOCH_NS + light[1][-1][1] * 10
    _, inside = watched(light, now_utc_ns=lambda: last_ns + round(after_s * 1e9))
    assert Kind.SIFT_ANSWER not in inside.received


def test_pulses_that_are_past_are_answered(light):
    last_ns = EPOCH_NS + light[1][-1][1] * 10
    assert Run(*light, terms=EASY, now_utc_ns=lambda: last_ns + SETTLED_NS).result.secret_bits > 1000


@pytest.mark.parametrize('side', Side)
def test_pulses_are_used_once_whatever_the_session_is_called(light, tmp_path, side):
    """Half of their bits could be known from the first time."""
    record = stored(tmp_path, side)
    Run(*light, terms=EASY, **record)
    fault, inside = watched(light, session=OTHER_SESSION, **record)
    assert f'session {SESSION} has used' in str(fault)
    assert Kind.SIFT_ANSWER not in inside.received


@pytest.mark.parametrize('side', Side)
def test_a_repeated_run_that_announces_something_else_is_refused(light, tmp_path, side):
    """E.g. cross clicks with fresh random bases, another gate, or other spans."""
    detections, locked = light
    record = stored(tmp_path, side)
    broken, _ = watched(light, lambda m: [] if m.kind is Kind.VERIFY_OUTCOME else [m], **record)
    assert isinstance(broken, ProtocolError)
    other_basis = detections.basis.copy()
    other_basis[100] ^= 1
    others = [
        (type(detections)(detections.pulse, other_basis, detections.bit), locked),
        (type(detections)(detections.pulse[1:], detections.basis[1:], detections.bit[1:]), locked),
        (detections, [(0, locked[0][1] - 1)]),
    ]
    for other in others:
        fault, inside = watched(other, **record)
        assert 'announces other detections' in str(fault)
        assert Kind.SIFT_ANSWER not in inside.received
    run = Run(*light, terms=EASY, **record)
    np.testing.assert_array_equal(run.result.key[:], run.satellite.key[:])
    assert run.result.disclosed_before > 0


def test_what_each_side_disclosed_in_a_broken_run_is_added(light):
    """Somebody between them may have had other answers from each of them."""
    ground, satellite = RecordInMemory(), RecordInMemory()
    ground.record_leakage(SESSION, 300)
    satellite.record_leakage(SESSION, 200)
    run = Run(*light, terms=EASY, ground_record=ground, satellite_record=satellite)
    assert run.result.disclosed_before == 500
    assert ground.disclosed_before(SESSION) == 300 + run.result.disclosed_bits + run.result.blocks * 65
