"""The clock from the clicks of public pulses: right, or refused; the other clicks have no part in it."""

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.timing_model import TimingModel
from qkd_gs.timing.clocks.photon_clock import PublicTrain, recover_clock_without_beacon
from qkd_gs.timing.clocks.pps import fit_pps
from qkd_gs.timing.public_pulses import disclosed_in, is_public
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.tags import TagBlock

RATE_HZ, SECONDS = 1e8, 8
RULE = PublicPulses(block=100_000, every=4, disclosed=8)
LATE_PS = 3_141_592  # of the true clock against the predicted one: 314 periods
NO_DELAY = np.zeros(7, np.int64)
DRAWN = np.random.default_rng(7).choice(np.array([0, 0, 1, 2], np.uint8), 1 << 20)


def intensity(pulse):
    return DRAWN[pulse % len(DRAWN)]


def late_ps(time_ps):
    """True minus predicted time of arrival: an offset, a frequency 0.2 ppm off, and a swing."""
    t_s = time_ps * 1e-12
    return LATE_PS + 2e5 * t_s + 2e4 * np.sin(t_s / 3)


@pytest.fixture(scope='module')
def clicks():
    """Times of arrival of the clicks of eight seconds, and their pulses."""
    rng = np.random.default_rng(8)
    pulse = np.unique(rng.integers(0, int(RATE_HZ) * SECONDS, 200_000))
    pulse = pulse[rng.random(len(pulse)) * 0.8 < np.array([0.8, 0.1, 0.0])[intensity(pulse)]]
    time_ps = pulse * 10_000
    time_ps = time_ps + np.rint(late_ps(time_ps) + rng.standard_normal(len(pulse)) * 300).astype(np.int64)
    return time_ps, pulse


@pytest.fixture(scope='module')
def scale():
    return fit_pps(np.arange(1, SECONDS) * 10**12, 0, 1_538_582_000 * 10**9)


def fitted(time_ps, scale, predicted_late_ps=0, starts_from=0, known=intensity):
    period = PulsePeriod(RATE_HZ)
    starts = disclosed_in(RULE, starts_from, int(RATE_HZ) * SECONDS)
    shown = np.array([known(np.arange(start, start + RULE.block)) for start in starts.tolist()])
    train = PublicTrain(
        RULE, TimingModel(), period, np.array([0.8, 0.1, 0.0]) / 0.425, starts, shown.reshape(-1, RULE.block)
    )
    offset_ps = int(scale.first_pulse_ps) - predicted_late_ps
    tags = TagBlock(np.sort(time_ps), np.ones(len(time_ps), np.uint8))
    ends_ps = 0, SECONDS * 10**12
    return recover_clock_without_beacon([tags], NO_DELAY, ends_ps, scale, lambda utc_ps: utc_ps + offset_ps, train)


@pytest.mark.parametrize('predicted_late_ps', [0, 100_000_000, -100_000_000])
def test_the_clock_is_right(clicks, scale, predicted_late_ps):
    clock = fitted(clicks[0], scale, predicted_late_ps)
    at_ps = np.arange(1, 70) * 10**11
    error_ps = clock.to_satellite(at_ps + np.rint(late_ps(at_ps)).astype(np.int64)) - at_ps
    assert np.abs(error_ps).max() < 150
    assert 0 < clock.sync_rms_ns < 0.1
    assert clock.residual_single_ns == pytest.approx(0.3, abs=0.02)
    assert clock.spans_ps.tolist() == [[pytest.approx(0, abs=10**11), pytest.approx(8 * 10**12, abs=10**11)]]


def test_clicks_of_other_pulses_have_no_part(clicks, scale):
    """Whoever shifts the light of the key does not shift the clock."""
    time_ps, pulse = clicks
    shifted_ps = time_ps + np.where(is_public(RULE, pulse), 0, 3000)
    at_ps = np.arange(1, 80) * 10**11
    one, other = (fitted(t_ps, scale).to_satellite(at_ps) for t_ps in (time_ps, shifted_ps))
    assert one.tolist() == other.tolist()


def test_a_prediction_beyond_the_margin_is_refused(clicks, scale):
    with pytest.raises(StationError, match='fit no numbering'):
        fitted(clicks[0], scale, 200_000_000)


def test_intensities_of_another_source_are_refused(clicks, scale):
    with pytest.raises(StationError, match='fit no numbering'):
        fitted(clicks[0], scale, known=lambda pulse: intensity(pulse + 777_777_777))


def test_nothing_disclosed_is_refused(clicks, scale):
    with pytest.raises(StationError, match='fit no numbering'):
        fitted(clicks[0], scale, starts_from=int(RATE_HZ) * SECONDS)


def test_noise_shows_no_pulse_train(scale):
    with pytest.raises(StationError, match='show no pulse train'):
        fitted(np.random.default_rng(2).integers(0, SECONDS * 10**12, 50_000), scale)


def test_a_fade_ends_a_span_and_both_sides_are_numbered(clicks, scale):
    time_ps, _ = clicks
    time_ps = time_ps[(time_ps < 3 * 10**12) | (time_ps > 5 * 10**12)]
    clock = fitted(time_ps, scale)
    assert len(clock.spans_ps) == 2
    at_ps = np.concatenate([np.arange(2, 29), np.arange(52, 78)]) * 10**11
    error_ps = clock.to_satellite(at_ps + np.rint(late_ps(at_ps)).astype(np.int64)) - at_ps
    assert np.abs(error_ps).max() < 300
