"""The whole protocol between both sides: equal keys, honest figures, nothing disclosed twice."""

import os

import numpy as np
import pytest
from protocol_twin import EPOCH_NS, LOG_NS, NOW_NS, SESSION, TERMS, KeyedTransmitter, Run, receive

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.amplification import key_request
from qkd_gs.qkd.finite_key.counts import Receiver
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.finite_key.key_length import key_length
from qkd_gs.qkd.link.authenticated_channel import SECRET_BITS, TAGS
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import LinkMeter
from qkd_gs.qkd.link.tls import Listener, connect
from qkd_gs.qkd.protocol import exchange_cascade, ground_reconciliation, ground_side, satellite_side
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.qkd.reconciliation.key_blocks import even_slices
from qkd_gs.qkd.sifting.states import Intensity


@pytest.fixture(scope='module')
def light():
    return receive(KeyedTransmitter(), np.random.default_rng(1), seconds=6)


@pytest.fixture(scope='module')
def run(light):
    return Run(*light, wrap=LinkMeter)


def truth(detections, locked):
    """Sifted signal of detections, as only a test that knows both sides can tell."""
    states = KeyedTransmitter().states(detections.pulse)
    inside = (detections.pulse >= locked[0][0]) & (detections.pulse <= locked[0][1])
    kept = (states.basis == detections.basis) & (states.intensity == Intensity.SIGNAL) & inside
    return states.bit[kept], detections.bit[kept]


def test_both_sides_have_the_same_key(run):
    assert run.result.secret_bits > 30_000
    assert run.result.verified
    np.testing.assert_array_equal(run.result.key[:], run.satellite.key[:])
    assert run.result.key_id == run.satellite.key_id
    assert run.satellite.confirmed
    assert run.satellite.epsilon == run.result.epsilon <= TERMS.epsilon_total * (1 + 1e-9)
    assert abs(float(run.result.key[:].mean()) - 0.5) < 5 / np.sqrt(4 * run.result.secret_bits)


def test_the_figures_are_those_of_the_raw_keys(run, light):
    alice, bob = truth(*light)
    result = run.result
    assert result.sifted_bits == len(alice)
    assert result.failed_blocks == 0
    assert result.qber == pytest.approx(float((alice != bob).mean()))
    assert result.counts.pooled.signal.errors == int((alice != bob).sum())
    assert sum(errors for _, _, errors in result.error_bins) == int((alice != bob).sum())
    assert sum(bits for _, bits, _ in result.error_bins) == len(alice)
    assert result.disclosed_bits >= len(alice) * binary_entropy(result.qber)  # Slepian, Wolf
    assert 1.0 <= result.f_ec < 1.2


def test_both_sides_pay_for_the_flaws_of_the_receiver(light, run):
    receiver = Receiver(within_basis=0.02, between_bases=0.01, cross_clicks=5, edge_bits=1000)
    flawed = Run(*light, receiver=receiver)
    assert 0 < flawed.result.secret_bits < run.result.secret_bits - 1000
    np.testing.assert_array_equal(flawed.result.key[:], flawed.satellite.key[:])
    assert flawed.result.counts.receiver == receiver
    assert flawed.result.cost['detector_mismatch'] < 0
    assert flawed.result.epsilon == flawed.satellite.epsilon <= TERMS.epsilon_total * (1 + 1e-9)


def test_the_key_is_as_long_as_its_counts_allow(run):
    again = key_length(
        run.result.counts, epsilon_total=TERMS.epsilon_total, disclosed_bits=run.result.disclosed_bits
    ).secret_bits  # without hashes and tags
    hashes = run.result.blocks * (TERMS.verification_bits + 1) + SECRET_BITS
    assert again - hashes - 20 <= run.result.secret_bits <= again - hashes
    assert sum(run.result.epsilon_ledger.values()) == pytest.approx(run.result.epsilon)
    assert run.result.cost['secret_bits'] == run.result.secret_bits
    limit = run.result.cost['error_correction_shannon_limit']
    assert limit + run.result.cost['error_correction_above_limit'] == pytest.approx(-run.result.disclosed_bits)
    assert 1 <= run.result.disclosed_bits / -limit < 1.2


def test_authentication_is_paid_and_small(run):
    assert TAGS <= 8
    assert run.result.pre_shared_bits == SECRET_BITS <= 2048
    assert run.ground_key.used == run.satellite_key.used == ['0']
    assert len(run.result.refill) == SECRET_BITS


def test_no_raw_bit_shows_in_figures_or_reprs(run):
    text = repr(run.result) + repr(run.satellite) + str(run.result.figures())
    assert 'array' not in text
    assert 'key=' not in text


def test_progress_runs_through_the_steps(run):
    names = list(dict.fromkeys(step for step, _ in run.steps))
    assert names == ['open', 'beacon log', 'sifting', 'reconciliation', 'verification', 'amplification']
    assert all(0 <= done <= 1 for _, done in run.steps)


def test_detections_outside_locked_time_are_not_announced(light):
    detections, _ = light
    locked = [(0, 199_999_999), (400_000_000, 499_999_999)]
    run = Run(detections, locked, windows=[(100_000_000, 449_999_999), (0, 10**10)])
    result = run.result
    inside = np.isin(detections.pulse // 100_000_000, [0, 1, 4])
    states = KeyedTransmitter().states(detections.pulse[inside])
    matching = states.basis == detections.basis[inside]
    assert result.sifted_bits == int((matching & (states.intensity == Intensity.SIGNAL)).sum())
    assert result.counts.hv.signal.sent == 300_000_000 // 8
    signal = detections.pulse[inside][matching & (states.intensity == Intensity.SIGNAL)]
    assert result.window_bits == [int(((signal >= 100_000_000) & (signal <= 449_999_999)).sum()), len(signal)]
    assert [start for start, _, _ in result.error_bins] == [0]


def test_too_few_counts_make_no_key_and_disclose_nothing():
    run = Run(*receive(KeyedTransmitter(), np.random.default_rng(2), seconds=0.1))
    assert run.result.secret_bits == run.result.disclosed_bits == 0
    assert run.result.reasons
    assert run.satellite.reason == run.result.reasons[0]
    assert run.satellite.key_id == run.result.key_id
    assert len(run.satellite.key) == 0
    assert not run.result.verified


def test_an_error_rate_over_the_limit_gives_up_a_key_that_the_counts_would_allow(light):
    run = Run(*light, terms=TERMS.model_copy(update={'max_qber': 0.005}))
    assert 'above the limit of 0.5%' in run.result.reasons[0]
    assert run.result.secret_bits == run.result.cost['secret_bits'] == run.result.disclosed_bits == 0
    assert sum(value for name, value in run.result.cost.items() if name != 'secret_bits') == pytest.approx(0, abs=1e-6)


def test_no_detections_at_all():
    detections, locked = receive(KeyedTransmitter(), np.random.default_rng(2), seconds=1e-6)
    run = Run(detections, locked)
    assert run.result.reasons == ['no sifted bits']


def test_what_a_broken_run_disclosed_is_charged_once(light, run, tmp_path):
    class Breaks:
        """A link that breaks after so many messages of ours."""

        def __init__(self, channel):
            self.channel, self.left = channel, 20

        def send(self, message):
            self.left -= 1
            if not self.left:
                self.channel.close()
            self.channel.send(message)

        def receive(self):
            return self.channel.receive()

        def close(self):
            self.channel.close()

    with KeyStore(tmp_path / 'keys.db', bytes(32), simulated=True) as store:
        with pytest.raises(ProtocolError):
            Run(*light, wrap=Breaks, ground_record=store)
        charged = store.disclosed_before(SESSION)
        assert charged > 1000
        second = Run(*light, ground_record=store)
        np.testing.assert_array_equal(second.result.key[:], second.satellite.key[:])
        assert second.result.disclosed_before == 0  # the second run says the same, and more
        assert second.result.secret_bits == run.result.secret_bits
        assert store.disclosed_before(SESSION) == run.result.disclosed_bits + 65 * run.result.blocks > charged


def test_a_finished_session_is_not_run_again(light, run, tmp_path):
    with KeyStore(tmp_path / 'keys.db', bytes(32), simulated=True) as store:
        store.put(SESSION, run.result.key_id, run.result.key, run.result.epsilon, run.result.figures())
        with pytest.raises(StationError, match='made into a key already'):
            Run(*light, ground_record=store)
        assert store.entry(SESSION).result['secret_bits'] == run.result.secret_bits


def test_the_satellite_refuses_a_finished_session_too(light):
    ledger = RecordInMemory()
    ledger.finished.add(SESSION)
    with pytest.raises(ProtocolError, match='made into a key already'):
        Run(*light, satellite_record=ledger)


def test_a_key_that_the_ground_did_not_store_is_not_confirmed(light):
    run = Run(*light, confirm=False)
    assert run.result.secret_bits > 0
    assert not run.satellite.confirmed


def test_a_slot_that_one_side_has_used_is_skipped_by_both(light):
    ahead = SimulatedPreSharedKey(1, SESSION)
    ahead.accept('2')
    run = Run(*light, satellite_key=ahead)
    assert run.ground_key.used == ['3']
    assert run.satellite.confirmed


def test_other_terms_are_refused_by_name(light):
    with pytest.raises(ProtocolError, match='different terms: epsilon_total'):
        Run(*light, satellite_terms=TERMS.model_copy(update={'epsilon_total': 1e-5}))


def test_apart_from_reconciliation_five_round_trips_make_the_key(run):
    assert run.result.round_trips == run.result.reconciliation_round_trips + 5
    assert abs(run.channel.turns / 2 - run.result.round_trips) <= 1
    assert run.channel.link_s() < 100


def test_a_long_key_is_corrected_in_segments(light, monkeypatch):
    monkeypatch.setattr(exchange_cascade, '_SEGMENT_BITS', 120_000)
    run = Run(*light)
    assert run.result.sifted_bits > 200_000
    np.testing.assert_array_equal(run.result.key[:], run.satellite.key[:])
    assert run.result.failed_blocks == 0


def test_a_long_matrix_comes_in_parts_and_makes_the_same_key(light, run, monkeypatch):
    monkeypatch.setattr(key_request, '_PART', 1000)
    again = Run(*light, wrap=LinkMeter)
    assert again.channel.bytes_by_kind['MATRIX'] > 10_000
    np.testing.assert_array_equal(again.result.key[:], again.satellite.key[:])
    np.testing.assert_array_equal(again.result.key[:], run.result.key[:])


def test_a_block_that_stays_wrong_is_dropped_and_subtracted(light, run, monkeypatch):
    right = ground_reconciliation.correct

    def careless(link, bits, *arguments):
        disclosed = right(link, bits, *arguments)
        bits[5:6] ^= 1
        return disclosed

    monkeypatch.setattr(ground_reconciliation, 'correct', careless)
    for side in (ground_side, satellite_side):
        monkeypatch.setattr(side, 'key_blocks', lambda bits: even_slices(bits, 15))
    second = Run(*light)
    np.testing.assert_array_equal(second.result.key[:], second.satellite.key[:])
    assert second.result.blocks == 15
    assert second.result.failed_blocks == 1
    assert second.result.verified
    assert run.result.secret_bits - second.result.secret_bits >= run.result.sifted_bits // 15


def test_nothing_verified_makes_no_key(light, monkeypatch):
    monkeypatch.setattr(ground_reconciliation, 'correct', lambda link, bits, *arguments: 0)
    run = Run(*light)
    assert run.result.secret_bits == len(run.satellite.key) == 0
    assert run.result.failed_blocks == run.result.blocks
    assert not run.result.verified
    assert run.result.reasons


def test_two_processes_over_tls(light, tmp_path):
    folder = KeyFolder.create(tmp_path / 'keys')
    with Listener(folder.tls_simulated_satellite()) as listener:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                key = SimulatedPreSharedKey(1, SESSION)
                made = serve(listener.accept(), KeyedTransmitter(), TERMS, key, RecordInMemory(), lambda: NOW_NS)
                (tmp_path / 'satellite.npy').write_bytes(made.key.tobytes())
                status = 0 if made.confirmed else 2
            finally:
                os._exit(status)
        channel = connect(folder.tls_ground(simulated=True), listener.port)
        session = GroundSession(channel, TERMS, SESSION, SimulatedPreSharedKey(1, SESSION), RecordInMemory())
        session.open()
        session.request_beacon_log(EPOCH_NS, EPOCH_NS + LOG_NS)
        detections, locked = light
        result = session.make_key(DetectionLog.of(detections, locked), locked)
        session.confirm()
    assert os.waitpid(child, 0)[1] == 0
    assert result.key.tobytes() == (tmp_path / 'satellite.npy').read_bytes()
