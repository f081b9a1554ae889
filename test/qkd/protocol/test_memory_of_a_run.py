"""What a further pulse, detection or bit needs in memory, by the allocations of short runs: no session fills it."""

import tempfile
import tracemalloc

import numpy as np
import pytest
from protocol_twin import EPOCH_NS, TERMS, KeyedTransmitter

from qkd_gs.qkd.amplification import amplify
from qkd_gs.qkd.amplification.amplify import toeplitz_packed
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.reconciliation.cascade_alice import ParityServer
from qkd_gs.qkd.reconciliation.key_blocks import even_slices
from qkd_gs.qkd.reconciliation.parity_query import PASS_SHIFT
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.packed_bits import PackedBits
from qkd_gs.qkd.sifting.sifted import Sifter, found_errors
from qkd_gs.qkd.sifting.states import BeaconLog, Intensity
from qkd_gs.timing.pulse_times import PulseTimes

FEW, MANY = 200_000, 1_000_000
BLOCK = 4096


def peak_bytes(work, size):
    tracemalloc.start()
    work(size)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def bytes_each(work):
    """Growth of the largest amount held, for each further item."""
    peak_bytes(work, FEW)  # tables that are made once
    few, many = peak_bytes(work, FEW), peak_bytes(work, MANY)
    return (many - few) / (MANY - FEW)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(messages, 'DETECTION_BLOCK', BLOCK)
    monkeypatch.setattr(messages, 'LOG_BLOCK', BLOCK)
    monkeypatch.setattr(amplify, '_BLOCK_BITS', BLOCK)


def sift(detections):
    """All that the ground does with detections up to the sifted key."""
    transmitter, rng = KeyedTransmitter(), np.random.default_rng(1)
    with tempfile.TemporaryFile() as file:
        log = DetectionLog([(0, 100 * detections)], Spool(file))
        for first in range(0, detections, 1000):
            pulse = 100 * np.arange(first, first + 1000)
            basis, bit = rng.integers(0, 2, (2, 1000)).astype(np.uint8)
            log.add(Detections(pulse, basis, bit))
        for _ in log.announcements():
            pass
        sifter = Sifter(TERMS, 10**8)
        for block in log.taken():
            states = transmitter.states(block.pulse)
            match = states.basis == block.basis
            intensity = states.intensity[match]
            sifter.add(block, match, intensity, states.bit[match][intensity != Intensity.SIGNAL])
        return sifter.finish(sifter.counts(10**9))


def test_a_detection_needs_less_than_half_a_byte():
    assert bytes_each(sift) < 0.5  # its bit, and three bits for each one that is sifted; ten bytes in plain arrays


def beacon_log(pulses):
    """Both sides of the satellite's log: made, sent and looked up."""
    index = np.arange(BLOCK)
    starts = [100_000_000 * first for first in range(0, pulses, BLOCK)]
    log = BeaconLog(0, PulseTimes(BLOCK, starts, pulses, lambda k: 100_000_000 * (BLOCK * k + index)), EPOCH_NS)
    head = messages.LogHead(first_index=0, pulses=pulses, epoch_utc_ns=EPOCH_NS)
    with tempfile.TemporaryFile() as file:
        back = messages.read_log(head, messages.log_blocks(log), 1e8, Spool(file))
        for _ in back.time_ps.segments(10):
            pass


def test_a_pulse_of_the_log_needs_next_to_nothing():
    blocks = BLOCK * (FEW // BLOCK), BLOCK * (MANY // BLOCK)
    few, many = (peak_bytes(beacon_log, pulses) for pulses in blocks)
    assert (many - few) / (blocks[1] - blocks[0]) < 0.1  # some numbers a block; eight bytes in an array


def test_verified_frames_are_compared_one_by_one():
    keys = {size: sift(size) for size in (FEW, MANY)}

    def compare(size):
        key = keys[size]
        found_errors(key, key.bits, even_slices(len(key.bits), len(key.bits) // 1000), 10**8)

    assert bytes_each(compare) < 0.05


def test_a_key_bit_needs_little_more_than_its_eighth_in_privacy_amplification():
    def compress(bits):
        rng = np.random.default_rng(3)
        key = PackedBits(np.frombuffer(rng.bytes(bits // 8), np.uint8).copy(), bits)
        toeplitz_packed(key, np.frombuffer(rng.bytes(bits // 8 + 1000), np.uint8), 8000)

    assert bytes_each(compress) < 0.5  # key and matrix as drawn here, and their copies


def test_the_satellites_trees_are_those_that_are_asked_into():
    def answer(bits):
        server = ParityServer(np.zeros(bits, np.uint8), 1)
        server.answer(np.array([1, (2 << PASS_SHIFT) + 1, (5 << PASS_SHIFT) + 1]))

    peak_bytes(answer, FEW)
    tree = 2 << (MANY - 1).bit_length()
    assert peak_bytes(answer, MANY) < 8 * tree + 4 * MANY  # seven trees, and nothing as large as them beside
