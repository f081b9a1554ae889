"""Attacks on the light and on the messages, each with what must come of it: no key, or a shorter one."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_twin import NOW_NS, SESSION, TERMS, KeyedTransmitter, Run, receive, splitting_gain

from qkd_gs.errors import StationError
from qkd_gs.keys.preshared import MAX_ATTEMPTS, SLOT_BYTES, PreSharedKey, SimulatedPreSharedKey
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.codes import pack_train, unpack_train
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol.messages import Hello, LogRequest, Welcome
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.states import BeaconLog
from qkd_gs.timing.pulse_times import PulseTimes

GREETED = [
    Message(Kind.LOG_REQUEST, LogRequest(first_utc_ns=0, last_utc_ns=10**9).model_dump_json().encode()),
    Message(Kind.TAG, bytes(16)),
]
MATERIAL = os.urandom(240 * SLOT_BYTES)
EASY = TERMS.model_copy(update={'epsilon_total': 9e-4})  # so that a little light makes a key


def light(seed=3, seconds=6.0, **link):
    return receive(KeyedTransmitter(), np.random.default_rng(seed), seconds=seconds, **link)


def little_light(**link):
    return light(seconds=2.0, noise_hz=10.0, error=0.005, **link)


@pytest.fixture(scope='module')
def honest():
    return Run(*light()).result


@pytest.fixture(scope='module')
def little():
    detections = little_light()
    assert Run(*detections, terms=EASY).result.secret_bits > 1000
    return detections


class Meddler:
    """Somebody inside the link, past TLS: changes messages of a kind on their way, in either direction."""

    def __init__(self, channel, kind, change):
        self.channel, self.kind, self.change = channel, kind, change
        self.waiting = []

    def send(self, message):
        for sent in self.change(message) if message.kind is self.kind else [message]:
            self.channel.send(sent)

    def receive(self):
        if not self.waiting:
            message = self.channel.receive()
            self.waiting = self.change(message) if message.kind is self.kind else [message]
        return self.waiting.pop(0) if self.waiting else self.receive()

    def close(self):
        self.channel.close()


def meddled(light, kind, change, timeout_s=120.0, **parts):
    """A run with a meddler; it must fail for the ground, and leave the satellite without a confirmed key."""
    with pytest.raises(ProtocolError) as fault:
        Run(*light, terms=EASY, wrap=lambda channel: Meddler(channel, kind, change), timeout_s=timeout_s, **parts)
    return fault.value.code


def flip(where=-1):
    def change(message):
        payload = bytearray(message.payload)
        if payload:
            payload[where % len(payload)] ^= 1
        return [Message(message.kind, bytes(payload))]

    return change


# ---- light


def test_intercepting_a_part_of_the_photons_costs_key(honest):
    part = 0.04
    watched = Run(*light(intercepted=part)).result
    assert watched.qber == pytest.approx(honest.qber + part / 4, abs=0.002)
    assert watched.secret_bits < honest.secret_bits * (1 - 4 * part)


def test_intercepting_all_photons_ends_the_run_before_anything_is_disclosed():
    run = Run(*light(intercepted=1.0))
    assert run.result.secret_bits == run.result.disclosed_bits == len(run.satellite.key) == 0
    assert 'estimated from the decoy states, 25' in run.result.reasons[0]
    assert run.ground_record.disclosed_before(SESSION) == 0


def test_splitting_photon_numbers_is_seen_by_the_decoys(honest):
    run = Run(*light(gain=splitting_gain))
    counts = run.result.counts
    assert counts.sifted_bits == pytest.approx(honest.sifted_bits, rel=0.02)  # the signal looks as ever
    assert run.result.qber < 0.05
    assert counts.pooled.decoy.sifted < honest.counts.pooled.decoy.sifted / 3
    assert run.result.secret_bits == run.result.disclosed_bits == 0
    assert 'do not prove a single photon' in run.result.reasons[0]


# ---- log


class Liar(KeyedTransmitter):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def beacon_log(self, first_utc_ns, last_utc_ns):
        log = super().beacon_log(first_utc_ns, last_utc_ns)
        return BeaconLog(log.first_index, PulseTimes.of(self.change(log.time_ps[:].copy())), log.epoch_utc_ns)


def test_a_log_that_is_no_train_of_pulses_is_refused(little):
    def doubled(times):
        times[5000:] += 100_000_000
        return times

    with pytest.raises(ProtocolError, match='not a train of pulses'):
        Run(*little, Liar(doubled), terms=EASY)


def test_a_log_that_lies_by_a_pulse_period_makes_no_key():
    # timing follows the log, so all pulse numbers are wrong by one, and no bit agrees with its neighbour's
    detections, locked = light(seconds=3)
    moved = Detections(detections.pulse[:-1] + 1, detections.basis[:-1], detections.bit[:-1])
    run = Run(moved, locked, Liar(lambda times: times + 10_000))
    assert run.result.secret_bits == run.result.disclosed_bits == 0
    assert run.result.qber == pytest.approx(0.5, abs=0.05)


def test_a_log_changed_on_its_way_fails_its_tag(little):
    def shifted(message):
        return [Message(message.kind, pack_train(unpack_train(message.payload) + 10_000))]

    assert meddled(little, Kind.LOG_BLOCK, shifted) == 'link.authentication'


# ---- messages


def test_another_pre_shared_key_is_noticed_before_anything_is_announced(little):
    with pytest.raises(ProtocolError, match=r'refused.*authentication') as fault:
        Run(*little, terms=EASY, ground_key=SimulatedPreSharedKey(2, SESSION))
    assert fault.value.code == 'link.refused'


@pytest.mark.parametrize(
    'kind',
    [
        Kind.HELLO, Kind.WELCOME, Kind.LOG_REQUEST, Kind.LOG_HEAD, Kind.LOG_BLOCK, Kind.SIFT_HEAD, Kind.DETECTIONS,
        Kind.SIFT_ANSWER, Kind.ERROR_COUNTS, Kind.PARITY_REQUEST, Kind.PARITY_ANSWER, Kind.VERIFY_REQUEST,
        Kind.VERIFY_ANSWER, Kind.VERIFY_OUTCOME, Kind.AMPLIFY, Kind.AMPLIFIED, Kind.TAG,
    ],
)  # fmt: skip
@pytest.mark.parametrize('where', [-1, -3])
def test_no_changed_message_leads_to_a_key(little, kind, where):
    meddled(little, kind, flip(where))


@pytest.mark.parametrize('kind', [Kind.STORED, Kind.CONFIRMED])
def test_a_changed_last_message_leaves_the_key_unconfirmed_where_it_arrives(little, kind):
    run = Run(*little, terms=EASY, wrap=lambda channel: Meddler(channel, kind, flip(-4)))
    assert run.result.secret_bits > 0
    assert not run.confirmed
    if kind is Kind.STORED:
        assert not run.satellite.confirmed
        assert SESSION not in run.satellite_record.finished
    else:
        assert run.satellite.confirmed


@pytest.mark.parametrize('kind', [Kind.LOG_REQUEST, Kind.LOG_BLOCK, Kind.DETECTIONS, Kind.PARITY_ANSWER, Kind.AMPLIFY])
def test_a_message_said_twice_is_noticed(little, kind):
    meddled(little, kind, lambda message: [message, message])


@pytest.mark.parametrize('kind', [Kind.LOG_BLOCK, Kind.SIFT_ANSWER, Kind.PARITY_REQUEST, Kind.TAG])
def test_a_message_kept_back_is_noticed(little, kind):
    assert meddled(little, kind, lambda message: [], timeout_s=0.5) in (
        'link.silent',
        'link.refused',
        'link.truncated',
        'link.unexpected',
    )


def test_a_message_of_an_earlier_run_is_noticed(little):
    kept = []
    Run(*little, terms=EASY, wrap=lambda channel: Meddler(channel, Kind.SIFT_ANSWER, lambda m: kept.append(m) or [m]))
    other = little_light(seed=4)
    assert meddled(other, Kind.SIFT_ANSWER, lambda message: [kept[0]])


def test_more_parities_than_bits_are_not_answered(little):
    def greedy(message):
        return [message] * 1000

    assert meddled(little, Kind.PARITY_REQUEST, greedy)


class Script:
    """A ground that says what hypothesis makes up."""

    def __init__(self, messages):
        self.messages = list(messages)

    def send(self, message):
        pass

    def receive(self):
        if not self.messages:
            raise ProtocolError('truncated', 'the script is over')
        return self.messages.pop(0)

    def close(self):
        pass


@given(
    said=st.lists(st.builds(Message, st.sampled_from(Kind), st.binary(max_size=60)), max_size=6),
    json=st.sampled_from([b'{}', b'[1e999]', b'{"session_id": 3}', b'{"a":' * 2000, b'\xff', b'NaN']),
)
@settings(max_examples=60, deadline=None)
def test_nonsense_ends_the_run_with_a_clear_error(said, json):
    for messages in (said, [Message(Kind.HELLO, json), *said]):
        with pytest.raises(ProtocolError):
            serve(Script(messages), KeyedTransmitter(), TERMS, SimulatedPreSharedKey(1, SESSION), None, lambda: NOW_NS)


@pytest.mark.parametrize('slots', [['7'], ['-8'], ['9' * 70], ['12', '3'], ['key-0'], ['0', 'x; y'], []])
def test_a_greeting_that_nobody_tagged_uses_up_no_pre_shared_bits(tmp_path, slots):
    PreSharedKey.create(tmp_path / 'pre-shared.key', os.urandom(20 * SLOT_BYTES))
    key = PreSharedKey(tmp_path / 'pre-shared.key')
    greeting = Hello.model_construct(session_id=SESSION, terms=TERMS, pre_shared_slots=slots, disclosed_before=0)
    with pytest.raises((ProtocolError, StationError)):
        serve(
            Script([Message(Kind.HELLO, greeting.model_dump_json().encode()), *GREETED]),
            KeyedTransmitter(), TERMS, key, RecordInMemory(), lambda: NOW_NS,
        )  # fmt: skip
    assert key.runs_left == 20


def test_runs_without_a_right_tag_are_limited_and_a_right_one_ends_the_count(little, tmp_path):
    """The satellite's key is enough for 20 runs, and nobody can use it up without a tag."""
    for name in ('ground', 'satellite'):
        PreSharedKey.create(tmp_path / f'{name}.key', MATERIAL)

    def forge(times):
        greeting = Hello(session_id=SESSION, terms=EASY, pre_shared_slots=['0'], disclosed_before=0)
        for _ in range(times):
            yield Script([Message(Kind.HELLO, greeting.model_dump_json().encode()), *GREETED])

    satellite = PreSharedKey(tmp_path / 'satellite.key')
    for script in forge(MAX_ATTEMPTS - 1):
        with pytest.raises(ProtocolError, match='authentication'):
            serve(script, KeyedTransmitter(), EASY, satellite, RecordInMemory(), lambda: NOW_NS)
    run = Run(*little, terms=EASY, ground_key=PreSharedKey(tmp_path / 'ground.key'), satellite_key=satellite)
    assert run.satellite.confirmed
    assert satellite.runs_left == PreSharedKey(tmp_path / 'ground.key').runs_left == 239
    greeting = Hello(session_id=SESSION, terms=EASY, pre_shared_slots=['1'], disclosed_before=0)
    for attempt in range(MAX_ATTEMPTS + 2):
        script = Script([Message(Kind.HELLO, greeting.model_dump_json().encode()), *GREETED])
        with pytest.raises((ProtocolError, StationError)) as fault:
            serve(script, KeyedTransmitter(), EASY, satellite, RecordInMemory(), lambda: NOW_NS)
        assert ('runs in a row' in str(fault.value)) is (attempt >= MAX_ATTEMPTS)
    assert satellite.runs_left == 239


def test_an_answer_that_nobody_tagged_uses_up_one_slot_and_skips_none(little, tmp_path):
    ground = PreSharedKey.create(tmp_path / 'ground.key', os.urandom(20 * SLOT_BYTES))

    def last_slot(message):
        return [Message(message.kind, Welcome(pre_shared_slot='15', disclosed_before=0).model_dump_json().encode())]

    meddled(little, Kind.WELCOME, last_slot, ground_key=ground)
    assert ground.runs_left == 19


def test_locked_time_beyond_all_numbers_is_refused(little):
    def endless(message):
        return [Message(message.kind, message.payload.replace(b'199999999', b'9' * 30))]

    assert meddled(little, Kind.SIFT_HEAD, endless) == 'link.refused'
