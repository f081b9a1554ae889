"""A run in parts: tags, order, past and new are checked for each part, and a repeated run says the same parts."""

import threading
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from protocol_twin import EPOCH_NS, LOG_NS, NOW_NS, SESSION, TERMS, KeyedTransmitter, opened, receive

from qkd_gs.errors import StationError
from qkd_gs.keys.entries import Side
from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.finite_key.counts import MOST_PARTS
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.protocol.satellite_sifting import SETTLED_NS
from qkd_gs.qkd.protocol.session_record import RecordInMemory

EASY = TERMS.model_copy(update={'epsilon_total': 9e-4})
SECOND = 10**8  # pulses
TRANSMITTER = KeyedTransmitter()


@pytest.fixture(scope='module')
def light():
    return receive(TRANSMITTER, np.random.default_rng(3), seconds=3.0, noise_hz=10.0, error=0.005)[0]


def part(light, first_s, last_s):
    """Detections and span of some seconds."""
    span = (round(first_s * SECOND), round(last_s * SECOND) - 1)
    return light.within([span]), [span]


class Inside:
    """Somebody inside TLS who replaces the ground's messages, by their kind and how often it came before."""

    def __init__(self, channel, replace):
        self._channel, self._replace = channel, replace
        self.sent, self.received = [], []

    def send(self, message):
        number = sum(one.kind is message.kind for one in self.sent)
        self.sent.append(message)
        for one in self._replace(message, number, self.sent):
            self._channel.send(one)

    def receive(self):
        message = self._channel.receive()
        self.received.append(message.kind)
        return message

    def close(self):
        self._channel.close()


class Parts:
    """Both sides, over channels in memory; the ground says these parts in their order."""

    def __init__(self, parts, replace=lambda message, number, sent: [message], **sides):
        ground_end, satellite_end = channel_pair(sides.get('timeout_s', 60.0))
        self.inside, self.satellite = Inside(ground_end, replace), None
        self.records = [sides.get(f'{side}_record', RecordInMemory()) for side in ('ground', 'satellite')]

        def answer():
            try:
                self.satellite = serve(
                    satellite_end, TRANSMITTER, EASY, SimulatedPreSharedKey(1, SESSION), opened(self.records[1]),
                    sides.get('now_utc_ns', lambda: NOW_NS), wait_until=sides.get('wait_until', lambda _: None),
                )  # fmt: skip
            except (StationError, ProtocolError) as fault:
                self.satellite = fault

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            self._ground(parts, sides.get('most', MOST_PARTS), sides.get('expected', 300_000))
        finally:
            self.inside.close()
            thread.join()

    def _ground(self, parts, most, expected):
        session = GroundSession(
            self.inside, EASY, SESSION, SimulatedPreSharedKey(1, SESSION), opened(self.records[0]),
            random_bytes=np.random.default_rng(99).bytes, parts=most,
        )  # fmt: skip
        session.open()
        for detections, spans in parts[:-1]:
            session.request_beacon_log(EPOCH_NS, EPOCH_NS + LOG_NS)
            session.add_part(DetectionLog.of(detections, spans), spans, expected=expected)
        session.request_beacon_log(EPOCH_NS, EPOCH_NS + LOG_NS)
        detections, spans = parts[-1]
        self.result = session.make_key(DetectionLog.of(detections, spans), spans, expected=expected)
        session.confirm()


def broken(*arguments, **sides):
    """A run that fails: the ground's fault, and what was said."""
    run = Parts.__new__(Parts)
    with pytest.raises((ProtocolError, StationError)) as fault:
        run.__init__(*arguments, **sides)
    return fault.value, run


@pytest.fixture
def three(light):
    return [part(light, 0, 1.5), part(light, 1.5, 2.5), part(light, 2.5, 3)]


def answers(run):
    """Parts that were answered: each answer ends with the satellite's tag."""
    return sum(pair == (Kind.SIFT_ANSWER, Kind.TAG) for pair in pairwise(run.inside.received))


def test_three_parts_make_one_key(three, light):
    run, whole = Parts(three), Parts([part(light, 0, 3)], most=1)
    np.testing.assert_array_equal(run.result.key[:], run.satellite.key[:])
    assert run.satellite.confirmed
    assert run.result.sifted_bits == whole.result.sifted_bits
    assert run.result.pre_shared_bits == len(run.result.refill) == 2 * whole.result.pre_shared_bits
    assert whole.result.secret_bits - run.result.secret_bits < 1152 + 0.02 * whole.result.secret_bits
    assert run.result.counts.parted.expected == 300_000
    assert whole.result.counts.parted is None


class Clock:
    """The satellite's clock: it stands still while a part is asked for, and is waited for."""

    def __init__(self, asked_ns, late_ns=0):
        self._asked_ns, self.waited_ns, self._late_ns = list(asked_ns), [], late_ns
        self.ns = None

    def now_utc_ns(self):
        if self.ns is None:
            self.ns = self._asked_ns.pop(0)
        elif self.waited_ns and self.ns == self.waited_ns[-1] - self._late_ns:
            now_ns, self.ns = self.ns, None
            return now_ns
        return self.ns

    def wait_until(self, utc_ns):
        if self.ns is not None:  # the log is of the past
            self.waited_ns.append(utc_ns)
            self.ns = utc_ns - self._late_ns


def test_a_part_is_answered_a_second_after_its_last_pulse(three):
    sent_ns = [EPOCH_NS + spans[-1][1] * 10 for _, spans in three]
    clock = Clock(sent_ns)
    run = Parts(three, now_utc_ns=clock.now_utc_ns, wait_until=clock.wait_until)
    assert run.satellite.confirmed
    assert clock.waited_ns == [ns + SETTLED_NS for ns in sent_ns]


@pytest.mark.parametrize('early', range(3))
def test_a_part_that_is_not_over_is_not_answered(three, early):
    """Earlier ones are; then somebody asks for pulses that are still to be sent."""
    clock = Clock([EPOCH_NS + spans[-1][1] * 10 - (k == early) for k, (_, spans) in enumerate(three)])
    _, run = broken(three, now_utc_ns=clock.now_utc_ns, wait_until=clock.wait_until)
    assert answers(run) == early
    assert 'not over yet' in str(run.satellite)


def test_a_part_is_not_answered_when_the_wait_ends_early(three):
    clock = Clock([EPOCH_NS + spans[-1][1] * 10 for _, spans in three], late_ns=1)
    _, run = broken(three, now_utc_ns=clock.now_utc_ns, wait_until=clock.wait_until)
    assert answers(run) == 0
    assert 'only just over' in str(run.satellite)


@pytest.mark.parametrize('kind', [Kind.SIFT_HEAD, Kind.DETECTIONS, Kind.TAG, Kind.CORRECT, Kind.LOG_REQUEST])
def test_a_message_of_one_part_is_no_message_of_another(three, kind):
    """Somebody sends what the ground said in the first part once more, in the second."""
    earlier = {Kind.TAG: 2, Kind.LOG_REQUEST: 0}.get(kind, 0)

    def replay(message, number, sent):
        again = number == (3 if kind is Kind.TAG else 1) and message.kind is kind
        return [[one for one in sent if one.kind is kind][earlier]] if again else [message]

    def changed(message):
        if message.kind is not Kind.LOG_REQUEST:
            return message
        return Message(message.kind, message.payload.replace(b'0', b'1', 1))

    def replay_or_change(message, number, sent):
        return [changed(one) for one in replay(message, number, sent)] if number else [message]

    _, run = broken(three, replay_or_change if kind is Kind.LOG_REQUEST else replay, timeout_s=5.0)
    assert answers(run) <= (2 if kind is Kind.CORRECT else 1)
    assert Kind.AMPLIFIED not in run.inside.received


def test_parts_in_another_order_are_refused(three):
    _, run = broken([three[1], three[0], three[2]])
    assert answers(run) == 1
    assert 'unordered' in str(run.satellite)


def test_a_pulse_in_two_parts_is_refused(light):
    _, run = broken([part(light, 0, 1.5), part(light, 1.4, 2.5), part(light, 2.5, 3)])
    assert answers(run) == 1
    assert 'unordered or overlapping' in str(run.satellite)


def test_more_parts_than_were_said_are_refused(light):
    four = [part(light, k, k + 0.5) for k in (0, 0.5, 1, 1.5)]
    _, run = broken(four)
    assert answers(run) <= MOST_PARTS
    assert Kind.AMPLIFIED not in run.inside.received


def test_the_last_part_cannot_be_left_out_by_somebody_else(three):
    """She says that the errors are told where the ground asks for parities; nobody has a key."""

    def shorten(message, number, sent):
        if message.kind is Kind.CORRECT and number == 1:
            report = b'{"errors": [[1, 1], [1, 1]], "qber": 0.01, "reason": "", "seed": 5}'
            return [Message(Kind.ERROR_COUNTS, report)]
        return [message]

    _, run = broken(three, shorten)
    assert isinstance(run.satellite, ProtocolError)
    assert Kind.AMPLIFIED not in run.inside.received


@pytest.mark.parametrize('side', Side)
def test_a_repeated_run_says_the_parts_of_the_first_one(three, light, tmp_path, side):
    """Each part is booked for good; behind the last one that is booked, the rest may be another one."""
    record = {f'{side}_record': lambda: KeyStore(tmp_path / 'keys.db', bytes(32), simulated=False, side=side)}
    cut = lambda m, number, _: [] if (m.kind, number) == (Kind.LOG_REQUEST, 2) else [m]  # noqa: E731
    broken(three, cut, timeout_s=2.0, **record)
    for other in (
        [part(light, 0, 1.4), *three[1:]],
        [three[0], part(light, 1.5, 2.4), part(light, 2.5, 3)],
        [(three[0][0], three[0][1]), (three[1][0].within([(0, 2 * SECOND)]), three[1][1]), three[2]],
    ):
        fault, _ = broken(other, **record)
        assert 'announces other detections' in str(fault)
    fault, _ = broken(three, expected=200_000, **record)  # the bound may not be chosen by what was told
    assert 'announces other detections' in str(fault)
    fault, _ = broken([part(light, 0, 3)], most=1, **record)
    assert 'announces other detections' in str(fault)
    run = Parts([*three[:2], part(light, 2.5, 2.9)], **record)
    np.testing.assert_array_equal(run.result.key[:], run.satellite.key[:])


def test_what_a_broken_run_disclosed_is_charged_once(three):
    records = {'ground_record': RecordInMemory(), 'satellite_record': RecordInMemory()}
    whole = Parts(three).result
    for kind, number in ((Kind.PARITY_REQUEST, 20), (Kind.SIFT_HEAD, 1), (Kind.PARITY_REQUEST, 160)):
        with suppress(ProtocolError):
            lost = lambda m, n, _, due=(kind, number): [] if (m.kind, n) == due else [m]  # noqa: E731
            Parts(three, lost, timeout_s=1.0, **records)
    again = Parts(three, **records).result
    assert again.disclosed_bits == whole.disclosed_bits
    assert again.disclosed_before == 0
    assert again.secret_bits == whole.secret_bits


def test_a_part_with_too_many_errors_ends_the_run_before_a_parity():
    spoilt = receive(TRANSMITTER, np.random.default_rng(4), seconds=3.0, noise_hz=10.0, error=0.08)[0]
    fault, run = broken([part(spoilt, 0, 1.5), part(spoilt, 1.5, 3)])
    assert 'above the limit' in str(fault)
    assert not any(message.kind in (Kind.CORRECT, Kind.PARITY_REQUEST) for message in run.inside.sent)
