"""Squashing, sifting and counting."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_twin import TERMS, KeyedTransmitter, receive

from qkd_gs.errors import StationError
from qkd_gs.qkd.protocol.exchange_cascade import segments
from qkd_gs.qkd.reconciliation.key_blocks import key_blocks
from qkd_gs.qkd.sifting.detections import Detections
from qkd_gs.qkd.sifting.error_rate import expected_qber
from qkd_gs.qkd.sifting.key_counts import key_counts, sifted_table
from qkd_gs.qkd.sifting.random_bits import seeded_bits
from qkd_gs.qkd.sifting.squashing import squash
from qkd_gs.qkd.sifting.states import Basis, Intensity
from qkd_gs.timing.spans import ascending, pulses_in, within
from qkd_gs.timing.tags import Channel

H, V, D, A = Channel.H, Channel.V, Channel.D, Channel.A


def clicks(*pairs):
    return np.array([p for p, _ in pairs], np.int64), np.array([c for _, c in pairs], np.uint8)


def test_single_clicks_are_taken_as_they_are():
    squashed = squash(*clicks((9, A), (1, H), (4, V), (6, D)), seeded_bits(np.random.default_rng(1)))
    np.testing.assert_array_equal(squashed.detections.pulse, [1, 4, 6, 9])
    np.testing.assert_array_equal(squashed.detections.basis, [Basis.HV, Basis.HV, Basis.DA, Basis.DA])
    np.testing.assert_array_equal(squashed.detections.bit, [0, 1, 0, 1])
    assert squashed.double_clicks == squashed.cross_clicks == 0


def many(*channels, n=20_000):
    pulse = np.repeat(np.arange(n), len(channels))
    return squash(pulse, np.tile(np.array(channels, np.uint8), n), seeded_bits(np.random.default_rng(2))), n


def test_two_clicks_in_a_basis_become_a_random_bit_of_it():
    squashed, n = many(D, A)
    assert squashed.double_clicks == n
    assert set(squashed.detections.basis) == {Basis.DA}
    assert abs(squashed.detections.bit.mean() - 0.5) < 5 / np.sqrt(4 * n)


@pytest.mark.parametrize('channels', [(H, D), (V, A), (H, V, D), (H, V, D, A)])
def test_clicks_in_both_bases_become_a_random_bit_of_a_random_basis(channels):
    squashed, n = many(*channels)
    assert (squashed.double_clicks, squashed.cross_clicks) == (0, n)
    assert len(squashed.detections) == n  # none is thrown away
    cells = np.bincount(2 * squashed.detections.basis + squashed.detections.bit, minlength=4)
    assert np.abs(cells - n / 4).max() < 5 * np.sqrt(n * 3 / 16)


def test_two_clicks_of_one_detector_are_one():
    squashed = squash(*clicks((3, V), (3, V)), seeded_bits(np.random.default_rng(1)))
    assert squashed.double_clicks == 0
    np.testing.assert_array_equal(squashed.detections.bit, [1])


def test_a_click_of_the_beacon_is_no_detection():
    with pytest.raises(ValueError, match='none of the channels'):
        squash(*clicks((3, Channel.BEACON)), seeded_bits(np.random.default_rng(1)))


def test_detections_must_ascend_and_show_nothing():
    with pytest.raises(ValueError, match='ascending'):
        Detections(np.array([3, 3]), np.zeros(2, np.uint8), np.zeros(2, np.uint8))
    assert repr(Detections(np.array([3]), np.zeros(1, np.uint8), np.ones(1, np.uint8))) == '<Detections of 1 pulses>'


@given(
    spans=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1, max_size=5),
    pulse=st.lists(st.integers(0, 220), max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_within_agrees_with_looking_at_each_span(spans, pulse):
    at, laid = 0, []
    for gap, length in spans:
        laid.append((at + gap, at + gap + length))
        at += gap + length
    assert ascending(laid)
    expected = [any(first <= p <= last for first, last in laid) for p in pulse]
    np.testing.assert_array_equal(within(np.array(pulse, np.int64), laid), expected)
    assert pulses_in(laid) == sum(length + 1 for _, length in spans)


@pytest.mark.parametrize('spans', [[], [(5, 4)], [(-1, 4)], [(0, 4), (4, 9)], [(5, 9), (0, 4)]])
def test_unsound_spans_are_noticed(spans):
    assert not ascending(spans)


def test_the_decoys_predict_the_error_rate_of_the_signal():
    transmitter = KeyedTransmitter()
    detections, _ = receive(transmitter, np.random.default_rng(5), seconds=3, error=0.02, noise_hz=5000)
    states = transmitter.states(detections.pulse)
    kept = states.basis == detections.basis
    basis, intensity = detections.basis[kept], states.intensity[kept]
    wrong = states.bit[kept] != detections.bit[kept]
    table = sifted_table(basis, intensity)
    counts = key_counts(TERMS, 300_000_000, table, sifted_table(basis[wrong], intensity[wrong]))
    real = wrong[intensity == Intensity.SIGNAL].mean()
    assert counts.qber == pytest.approx(real)
    assert expected_qber(counts) == pytest.approx(real, rel=4 / np.sqrt(counts.pooled.decoy.errors))
    # what the counts say was sent is what the transmitter really prepared, and the receiver could have kept
    share = np.bincount(transmitter.states(np.arange(1_000_000)).intensity) / 1_000_000
    for intensity_class in Intensity:
        sent = getattr(counts.hv, intensity_class.name.lower()).sent
        assert sent == pytest.approx(300_000_000 * share[intensity_class] / 4, rel=0.01)


@given(bits=st.integers(0, 40_000_000))
@settings(max_examples=60, deadline=None)
def test_frames_and_segments_cover_the_key_once(bits):
    for cuts in (key_blocks(bits), segments(bits)):
        assert cuts[0].start == 0
        assert cuts[-1].stop == bits
        assert all(a.stop == b.start for a, b in pairwise(cuts))
    assert all(cut.stop - cut.start <= 150_000 for cut in key_blocks(bits))
    assert max(cut.stop - cut.start for cut in segments(bits)) <= 1 << 23


def test_more_sifted_than_sent_is_refused():
    table = np.full((2, 3), 10)
    with pytest.raises(StationError, match='more than the 1 sent'):
        key_counts(TERMS, 10, table, np.zeros((2, 3), np.int64))
    with pytest.raises(StationError, match='errors are more'):
        key_counts(TERMS, 10_000, table, table + 1)
