"""An eavesdropper in the light, in the detectors, and on the satellite's log: through the whole chain to the key."""

from dataclasses import replace

import numpy as np
import pytest

from qkd_gs.bench.security.measured_light import (
    BlindedSource,
    Interceptor,
    SomeIntercepted,
    SplittingSource,
    each_block,
    source_with,
)
from qkd_gs.bench.security.short_sessions import make
from qkd_gs.errors import StationError
from qkd_gs.processing.tag_runs import delays_of
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.timing.pulse_times import PulseTimes
from qkd_gs.timing.tags import Channel, TagBlock

DELAY_PS = delays_of(load_yaml(share_path('config', 'station.yaml'), StationSettings).detectors)


@pytest.fixture(scope='module')
def honest(tmp_path_factory):
    return make(tmp_path_factory.mktemp('honest'))


def kinds(processed):
    return {anomaly['kind'] for anomaly in processed.key['anomalies']}


def test_without_an_attack_both_sides_have_the_same_key_and_nothing_is_flagged(honest):
    assert honest.key['secret_bits'] > 20_000
    assert honest.satellite.confirmed
    length = len(honest.ground_key) * 8
    np.testing.assert_array_equal(
        np.unpackbits(np.frombuffer(honest.ground_key, np.uint8)), honest.satellite.key[:length]
    )
    assert honest.key['anomalies'] == []
    assert honest.key['double_clicks'] > 0
    assert honest.key['cross_clicks'] > honest.key['double_clicks']
    assert 0.002 < honest.key['afterpulse_share'] < 0.007  # 0.5 % in the twin


def test_intercepting_a_tenth_costs_the_key_what_it_must(honest, tmp_path):
    attacked = make(tmp_path, source=source_with(SomeIntercepted))
    # a quarter of the photons caught are wrong in the right basis
    assert attacked.key['qber'] - honest.key['qber'] == pytest.approx(0.1 / 4, abs=0.003)
    # at least the growth of h(error) twice, of all bits: for correction and for what may be known
    growth = binary_entropy(attacked.key['qber']) - binary_entropy(honest.key['qber'])
    lost = honest.key['secret_bits'] - attacked.key['secret_bits']
    assert lost > growth * attacked.key['sifted_bits']
    assert attacked.key['secret_bits'] < 0.5 * honest.key['secret_bits']


def test_intercepting_everything_leaves_no_key(tmp_path):
    attacked = make(tmp_path, source=source_with(Interceptor))
    assert attacked.key['secret_bits'] == 0
    assert attacked.key['disclosed_bits'] == 0
    assert any('error' in reason for reason in attacked.key['reasons'])
    assert attacked.key['qber'] == pytest.approx(0.25, abs=0.02)


def test_photon_number_splitting_is_seen_by_the_decoys(honest, tmp_path):
    attacked = make(tmp_path, source=SplittingSource)
    assert attacked.key['sifted_bits'] == pytest.approx(honest.key['sifted_bits'], rel=0.05)
    assert attacked.key['qber'] < 0.02
    assert attacked.key['secret_bits'] == 0
    assert attacked.key['reasons']


def test_blinded_diodes_are_betrayed_by_their_missing_dark_counts(tmp_path):
    with pytest.raises(StationError, match=r'no_noise: .*no dark count.*no key is made'):
        make(tmp_path, source=BlindedSource, seconds=12.0, before_s=6.0, gain=5.0)


def test_bright_pulses_that_reach_several_diodes_are_flagged(honest, tmp_path):
    rng = np.random.default_rng(5)

    def bright(_, block):
        hit = (block.channel <= Channel.A) & (rng.random(len(block)) < 0.02)
        other = ((block.channel[hit] + rng.integers(0, 3, hit.sum())) % 4 + 1).astype(np.uint8)
        also_ps = block.time_ps[hit] - DELAY_PS[block.channel[hit]] + DELAY_PS[other]
        return TagBlock(np.concatenate([block.time_ps, also_ps]), np.concatenate([block.channel, other]))

    attacked = make(tmp_path, change=each_block(bright))
    assert kinds(attacked) == {'coincidences'}
    assert attacked.key['cross_clicks'] + attacked.key['double_clicks'] > 0.01 * attacked.key['sifted_bits']
    assert attacked.key['secret_bits'] < honest.key['secret_bits']  # random bits cost key; none is thrown away


def test_a_diode_that_falls_silent_ends_it(tmp_path):
    def silent(number, block):
        keep = (block.channel != Channel.V) | (not 30 <= number < 50)
        return TagBlock(block.time_ps[keep], block.channel[keep])

    with pytest.raises(StationError, match=r'silent_detector: V'):
        make(tmp_path, change=each_block(silent))


def test_detectors_that_differ_too_much_end_it(tmp_path):
    rng = np.random.default_rng(6)

    def weak(_, block):
        keep = (block.channel != Channel.V) | (rng.random(len(block)) < 0.3)
        return TagBlock(block.time_ps[keep], block.channel[keep])

    with pytest.raises(StationError, match=r'unbalanced: the whole pass: H and V differ by 5.*5.0% is allowed'):
        make(tmp_path, change=each_block(weak))


def test_a_flash_of_photons_is_flagged(tmp_path):
    def dim(number, block):
        keep = (block.channel > Channel.A) | (35 <= number < 45) | (np.arange(len(block)) % 20 == 0)
        return TagBlock(block.time_ps[keep], block.channel[keep])

    assert 'rate_jump' in kinds(make(tmp_path, change=each_block(dim)))


class LyingLog:
    """A satellite whose beacon log is not what it sent."""

    def __init__(self, transmitter, change):
        self._transmitter, self._change = transmitter, change

    def beacon_log(self, first_utc_ns, last_utc_ns):
        log = self._transmitter.beacon_log(first_utc_ns, last_utc_ns)
        return replace(log, time_ps=PulseTimes.of(self._change(log.time_ps[:])))

    def __getattr__(self, name):
        return getattr(self._transmitter, name)


def made_up(time_ps):
    return np.round(time_ps, -8) + np.random.default_rng(3).normal(0, 50_000, len(time_ps)).astype(np.int64)


def test_a_made_up_log_is_refused(tmp_path):
    with pytest.raises(StationError, match='fit no numbering'):
        make(tmp_path, lie=lambda transmitter: LyingLog(transmitter, made_up))


def test_a_log_that_is_half_a_slot_off_is_refused(tmp_path):
    with pytest.raises(StationError, match=r'4.* ns from where the beacon says, 2 ns are allowed'):
        make(tmp_path, lie=lambda transmitter: LyingLog(transmitter, lambda time_ps: time_ps + 5_000))


def test_a_log_that_is_one_pulse_off_makes_errors_and_no_key(tmp_path):
    attacked = make(tmp_path, lie=lambda transmitter: LyingLog(transmitter, lambda time_ps: time_ps + 10_000))
    assert attacked.key['qber'] == pytest.approx(0.5, abs=0.05)
    assert attacked.key['secret_bits'] == 0
    assert attacked.key['disclosed_bits'] == 0


def binary_entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)
