"""Codes and messages: exact, near their entropy, and never trusting."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qkd_gs.qkd.amplification import key_request
from qkd_gs.qkd.link.channel import Message
from qkd_gs.qkd.link.codes import (
    pack_bits,
    pack_integers,
    pack_symbols,
    pack_train,
    unpack_bits,
    unpack_integers,
    unpack_symbols,
    unpack_train,
)
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.exchange_cascade import pack_queries, unpack_queries
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.states import BeaconLog
from qkd_gs.timing.pulse_times import PulseTimes

RNG = np.random.default_rng(8)
integers = arrays(np.int64, st.integers(0, 60), elements=st.integers(-(2**63), 2**63 - 1))


@given(values=integers)
@settings(max_examples=60, deadline=None)
def test_numbers_come_back_exactly(values):
    np.testing.assert_array_equal(unpack_integers(pack_integers(values)), values)


@given(start=st.integers(0, 2**62), gaps=arrays(np.int64, st.integers(0, 50), elements=st.integers(0, 2**40)))
@settings(max_examples=60, deadline=None)
def test_times_come_back_exactly_whatever_the_train_does(start, gaps):
    times = start + np.cumsum(gaps)
    np.testing.assert_array_equal(unpack_train(pack_train(times)), times)


@given(bits=arrays(np.uint8, st.integers(0, 100), elements=st.integers(0, 1)))
@settings(max_examples=30, deadline=None)
def test_bits_and_symbols_come_back_exactly(bits):
    np.testing.assert_array_equal(unpack_bits(pack_bits(bits), len(bits)), bits)
    np.testing.assert_array_equal(unpack_symbols(pack_symbols(bits), len(bits)), bits)


@pytest.mark.parametrize('decode', [unpack_integers, unpack_train, unpack_queries])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_codes_are_refused_or_give_numbers(decode, data):
    good = {
        unpack_integers: pack_integers(np.arange(50) ** 2 * 977 % 1999),
        unpack_train: pack_train(np.arange(50) * 1000),
        unpack_queries: pack_queries(0, np.arange(50)),
    }[decode]
    junk = data.draw(st.one_of(st.binary(max_size=80), st.just(good)))
    if junk:
        junk = bytearray(junk)
        junk[data.draw(st.integers(0, len(junk) - 1))] ^= data.draw(st.integers(0, 255))
    with suppress(ProtocolError):  # and nothing else
        assert decode(bytes(junk)) is not None


def test_a_message_cannot_blow_up_in_memory():
    bomb = pack_symbols(np.zeros(50_000_000, np.uint8))
    assert len(bomb) < 100_000
    with pytest.raises(ProtocolError):
        unpack_symbols(bomb, 1000)


def log_of(pulses, jitter_ps=50_000):
    times = np.arange(pulses) * 100_000_000 + RNG.normal(0, jitter_ps, pulses).astype(np.int64) + 7 * 10**15
    return BeaconLog(4711, PulseTimes.of(times), 1_538_000_000_000_000_000)


def test_the_beacon_log_crosses_the_slow_link_in_a_third_of_its_raw_time():
    log = log_of(200_000)
    blocks = list(messages.log_blocks(log))
    head = messages.LogHead(first_index=4711, pulses=200_000, epoch_utc_ns=log.epoch_utc_ns)
    back = messages.read_log(head, iter(blocks), 1e8, Spool())
    np.testing.assert_array_equal(back.time_ps[:], log.time_ps[:])
    bits_a_pulse = 8 * sum(map(len, blocks)) / 200_000
    entropy = np.log2(50_000 * np.sqrt(2 * np.pi * np.e))  # of the jitter, in ps
    assert bits_a_pulse < entropy + 0.4
    assert 3e6 * bits_a_pulse / 1e6 < 192 / 3  # seconds at 1 Mbit/s


def test_a_log_of_the_wrong_length_or_rate_is_refused():
    log = log_of(1000)
    blocks = list(messages.log_blocks(log))
    for pulses in (999, 1001):
        head = messages.LogHead(first_index=0, pulses=pulses, epoch_utc_ns=0)
        with pytest.raises(ProtocolError, match='1000 pulses instead'):
            messages.read_log(head, iter(blocks), 1e8, Spool())
    with pytest.raises(ProtocolError, match='not a train of pulses'):
        messages.read_log(messages.LogHead(first_index=0, pulses=1000, epoch_utc_ns=0), iter(blocks), 2e8, Spool())


class Line:
    """A conversation with oneself."""

    pre_shared_bits = 1152

    def __init__(self):
        self.said = []

    def send(self, kind, content):
        self.said.append(Message(kind, content))

    def receive(self, kind):
        if not self.said:
            raise ProtocolError('truncated', 'nothing more was said')
        message = self.said.pop(0)
        assert message.kind is kind
        return message


@given(key_bits=st.integers(0, 4000), share=st.floats(0, 1), part=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_a_matrix_comes_back_in_whatever_parts_it_goes(key_bits, share, part):
    refill = key_request.amplified_bits(Line(), 1) - 1  # pre-shared bits that come with a key
    secret_bits, line = max(int(share * key_bits) - refill, 0), Line()
    matrix = RNG.bytes(key_request.matrix_bytes(key_bits, key_request.amplified_bits(line, secret_bits)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_request, '_PART', part)
        key_request.request_key(line, secret_bits, 17, matrix)
        assert len(line.said) == max(1, -(-len(matrix) // part))
        assert key_request.requested_key(line, key_bits) == (secret_bits, 17, matrix)
    assert not line.said


def cut(message):
    return Message(message.kind, message.payload[:-1])


@pytest.mark.parametrize(
    'change',
    [
        lambda said: said[:1],  # the rest is missing
        lambda said: [cut(said[0]), *said[1:]],
        lambda said: [*said[:-1], cut(said[-1])],
        lambda said: [*said[:-1], Message(said[-1].kind, said[-1].payload + b'x')],
        lambda said: [Message(said[0].kind, b'short')],
        lambda said: [Message(said[0].kind, b'\xff' * 8 + said[0].payload[8:]), *said[1:]],  # more than the key has
    ],
)
def test_a_matrix_of_the_wrong_size_is_refused(change, monkeypatch):
    monkeypatch.setattr(key_request, '_PART', 10)
    sent = Line()
    key_request.request_key(sent, 100, 17, bytes(key_request.matrix_bytes(200, 100)))
    line = Line()
    line.said = change(sent.said)
    with pytest.raises(ProtocolError):
        key_request.requested_key(line, 200)


@given(data=st.data(), gaps=st.lists(st.integers(1, 2**39), max_size=40), first=st.integers(0, 2**39))
@settings(max_examples=60, deadline=None)
def test_detections_come_back_exactly_however_they_were_gathered(data, gaps, first):
    pulse = np.cumsum([first, *gaps])
    basis, bit = RNG.integers(0, 2, (2, len(pulse))).astype(np.uint8)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pulse)), max_size=4)))
    spans = [(first, int(pulse[-1]))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, 'DETECTION_BLOCK', data.draw(st.integers(1, 15)))
        logs = [DetectionLog(spans), DetectionLog(spans)]
        for number, part in enumerate(np.split(np.arange(len(pulse)), cuts)):
            logs[number > 2].add(Detections(pulse[part], basis[part], bit[part]))
        log = DetectionLog.joined(logs)
        assert len(log) == len(pulse)
        announced = list(messages.read_detections(len(pulse), log.announcements()))
        back = list(log.taken())
    assert not list(log.taken())
    for place, column in enumerate((pulse, basis)):
        np.testing.assert_array_equal(np.concatenate([block[place] for block in announced]), column)
    for name, column in (('pulse', pulse), ('basis', basis), ('bit', bit)):
        np.testing.assert_array_equal(np.concatenate([getattr(block, name) for block in back]), column)


def test_detections_outside_locked_time_are_left_out():
    pulse = np.arange(0, 100, 5)
    zeros = np.zeros(len(pulse), np.uint8)
    (block,) = DetectionLog.of(Detections(pulse, zeros, zeros), [(10, 20), (50, 51)]).taken()
    assert block.pulse.tolist() == [10, 15, 20, 50]


@pytest.mark.parametrize('pulse', [[5, 5], [7, 6], [2**62, 2**62 + 1], [2**63, 2**63]])
def test_detections_out_of_order_are_refused(pulse):
    block = messages.detection_block(np.array(pulse, np.uint64).view(np.int64) & (2**63 - 1), np.zeros(2, np.uint8))
    with pytest.raises(ProtocolError, match='pulse numbers'):
        list(messages.read_detections(2, iter([block])))


@pytest.mark.parametrize(
    ('count', 'blocks', 'complaint'),
    [
        (3, [[1, 2], [3, 4]], 'more detections'),
        (4, [[1, 2], [2, 3]], 'not ascending'),
        (4, [[5, 6], [1, 2]], 'not'),
    ],
)
def test_blocks_that_contradict_each_other_are_refused(count, blocks, complaint):
    payloads = [messages.detection_block(np.array(block), np.zeros(2, np.uint8)) for block in blocks]
    with pytest.raises(ProtocolError, match=complaint):
        list(messages.read_detections(count, iter(payloads)))


def test_detections_cost_little_more_than_their_entropy():
    pulse = np.cumsum(1 + RNG.geometric(1e-4, 100_000))
    size = len(messages.detection_block(pulse, RNG.integers(0, 2, 100_000).astype(np.uint8)))
    assert 8 * size / 100_000 < 1 + np.log2(np.e * 1e4) + 0.4


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_answer_discloses_no_signal_bit(data):
    n = data.draw(st.integers(1, 40))
    match, bit = (data.draw(arrays(np.uint8, n, elements=st.integers(0, 1))) for _ in range(2))
    intensity = data.draw(arrays(np.uint8, n, elements=st.integers(0, 2)))
    payload = messages.pack_sift(match, intensity, bit)
    back_match, back_intensity, opened = messages.read_sift(payload, n)
    kept = match == 1
    np.testing.assert_array_equal(back_match, kept)
    np.testing.assert_array_equal(back_intensity, intensity[kept])
    np.testing.assert_array_equal(opened, bit[kept & (intensity != 0)])
    other = np.where(kept & (intensity != 0), bit, 1 - bit)  # all other bits turned round: the same answer
    assert messages.pack_sift(match, intensity, other.astype(np.uint8)) == payload


@given(flip=st.integers(0, 10_000), value=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_answer_is_refused_or_consistent(flip, value):
    rng = np.random.default_rng(1)
    match, bit = rng.integers(0, 2, (2, 300)).astype(np.uint8)
    payload = bytearray(messages.pack_sift(match, rng.integers(0, 3, 300).astype(np.uint8), bit))
    payload[flip % len(payload)] ^= value
    with suppress(ProtocolError):  # and nothing else
        back_match, intensity, opened = messages.read_sift(bytes(payload), 300)
        assert len(intensity) == back_match.sum()
        assert len(opened) == (intensity != 0).sum()
