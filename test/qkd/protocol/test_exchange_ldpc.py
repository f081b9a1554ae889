"""The protocol with reconciliation in one message: the same key on both sides, and nothing asked."""

import numpy as np
import pytest
from protocol_twin import SESSION, TERMS, KeyedTransmitter, Run, receive

from qkd_gs.qkd.finite_key.key_length import key_length
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import LinkMeter
from qkd_gs.qkd.protocol import ground_reconciliation
from qkd_gs.qkd.protocol.exchange_ldpc import design_rate, planned_bits
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.qkd.reconciliation.key_blocks import key_blocks
from qkd_gs.qkd.sifting.error_rate import expected_qber, expected_qber_sigma

ONE_WAY = TERMS.model_copy(update={'reconciliation': 'ldpc'})


@pytest.fixture(scope='module')
def light():
    return receive(KeyedTransmitter(), np.random.default_rng(1), seconds=6)


@pytest.fixture(scope='module')
def run(light):
    return Run(*light, terms=ONE_WAY, wrap=LinkMeter)


@pytest.fixture(scope='module')
def asking(light):
    return Run(*light, wrap=LinkMeter)


def test_both_sides_have_the_same_key(run):
    assert run.result.secret_bits > 30_000
    assert run.result.failed_blocks == 0
    np.testing.assert_array_equal(run.result.key[:], run.satellite.key[:])
    assert run.satellite.confirmed
    assert run.result.disclosed_bits == run.satellite.disclosed_bits


def test_reconciliation_takes_no_round_trip_and_one_message(run, asking):
    assert run.result.reconciliation_round_trips == 0
    assert run.result.round_trips == 6
    assert 'PARITY_REQUEST' not in run.channel.bytes_by_kind
    assert run.channel.bytes_by_kind['SYNDROMES'] - 16 == -(-run.result.disclosed_bits // 8)
    slow = {'round_trip_s': 10.0, 'rate_bit_s': 1e6}  # a relay that stores and forwards
    assert run.channel.link_s(**slow) < asking.channel.link_s(**slow) / 5


def test_what_it_discloses_is_what_was_planned_and_is_charged(run, asking):
    counts = run.result.counts
    cuts = key_blocks(run.result.sifted_bits)
    assert run.result.disclosed_bits == planned_bits(cuts, design_rate(counts))
    again = key_length(counts, epsilon_total=TERMS.epsilon_total, disclosed_bits=run.result.disclosed_bits)
    assert run.result.secret_bits < again.secret_bits
    more = run.result.disclosed_bits - asking.result.disclosed_bits
    assert asking.result.secret_bits - run.result.secret_bits == pytest.approx(more, abs=10)


def test_the_design_rate_allows_for_the_chance_in_the_decoys_errors(light):
    """Runs of the same link scatter as much as predicted."""
    missed = []
    for seed in range(7):
        detections, locked = receive(KeyedTransmitter(), np.random.default_rng(seed), seconds=1.2)
        result = Run(detections, locked, terms=TERMS.model_copy(update={'epsilon_total': 9e-4})).result
        missed.append((expected_qber(result.counts) - result.qber) / expected_qber_sigma(result.counts))
        assert result.qber < design_rate(result.counts)
    assert 0.4 < np.std(missed) < 1.8


def test_it_is_booked_before_the_satellite_speaks(light):
    booked = []

    class Watch:
        def __init__(self, channel):
            self.channel = channel

        def send(self, message):
            if message.kind is Kind.ERROR_COUNTS:
                booked.append(ledger.disclosed_before(SESSION))
            self.channel.send(message)

        def receive(self):
            return self.channel.receive()

        def close(self):
            self.channel.close()

    ledger = RecordInMemory()
    run = Run(*light, terms=ONE_WAY, wrap=Watch, ground_record=ledger)
    assert booked[0] >= run.result.disclosed_bits


def test_what_a_broken_run_disclosed_is_charged_once(light, run):
    class Cut:
        """A link that breaks when the syndromes are through."""

        def __init__(self, channel):
            self.channel = channel

        def send(self, message):
            if message.kind is Kind.VERIFY_REQUEST:
                self.channel.close()
            self.channel.send(message)

        def receive(self):
            return self.channel.receive()

        def close(self):
            self.channel.close()

    ledger = RecordInMemory()
    with pytest.raises(ProtocolError):
        Run(*light, terms=ONE_WAY, wrap=Cut, ground_record=ledger)
    charged = ledger.disclosed_before(SESSION)
    assert charged >= run.result.disclosed_bits
    second = Run(*light, terms=ONE_WAY, ground_record=ledger)
    np.testing.assert_array_equal(second.result.key[:], second.satellite.key[:])
    hashes = 65 * run.result.blocks
    assert second.result.disclosed_before == hashes  # of the broken run; its syndromes are the same
    assert run.result.secret_bits - second.result.secret_bits == hashes


def test_a_frame_that_does_not_decode_is_dropped_and_paid_for(light, run, monkeypatch):
    right = ground_reconciliation.correct_by_syndromes

    def noisy(talk, bits, *arguments):
        bits[1000:9000] ^= 1
        return right(talk, bits, *arguments)

    monkeypatch.setattr(ground_reconciliation, 'correct_by_syndromes', noisy)
    second = Run(*light, terms=ONE_WAY)
    assert second.result.failed_blocks == 1
    np.testing.assert_array_equal(second.result.key[:], second.satellite.key[:])
    assert second.result.disclosed_bits == run.result.disclosed_bits
    assert run.result.secret_bits - second.result.secret_bits >= min(run.result.secret_bits, 90_000)


@pytest.mark.parametrize(
    ('change', 'code'),
    [
        (lambda payload: payload[:-1], 'malformed'),
        (lambda payload: payload + b'\0', 'malformed'),
        # bits that were turned over leave frames wrong, and the tag at the end tells
        (lambda payload: bytes(byte ^ 255 for byte in payload), 'authentication'),
    ],
)
def test_a_meddler_gets_no_key_out_of_it(light, change, code):
    class Meddler:
        def __init__(self, channel):
            self.channel = channel

        def send(self, message):
            self.channel.send(message)

        def receive(self):
            message = self.channel.receive()
            return Message(message.kind, change(message.payload)) if message.kind is Kind.SYNDROMES else message

        def close(self):
            self.channel.close()

    with pytest.raises(ProtocolError) as fault:
        Run(*light, terms=ONE_WAY, wrap=Meddler, timeout_s=120.0)
    assert fault.value.code in (f'link.{code}', 'link.refused')


def test_the_other_side_must_want_it_too(light):
    with pytest.raises(ProtocolError, match='different terms: reconciliation'):
        Run(*light, terms=ONE_WAY, satellite_terms=TERMS)
