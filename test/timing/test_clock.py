"""The satellite's clock from its beacon, against the truth that only the test knows."""

import tracemalloc
from dataclasses import fields

import numpy as np
import pytest

from qkd_gs.errors import StationError
from qkd_gs.timing.clocks import residuals
from qkd_gs.timing.clocks.clock import recover_clock
from qkd_gs.timing.pulse_times import PulseTimes
from qkd_gs.timing.tags import Channel


@pytest.fixture(scope='module')
def fitted(faded):
    return recover_clock(*arguments(faded))


def arguments(faded):
    scale = faded.scale()
    log = faded.transmitter.beacon_log(faded.start_ns - 10**9, faded.start_ns + 41 * 10**9)
    beacon_ps = faded.tags.of(Channel.BEACON) - faded.delay_ps[Channel.BEACON]
    return beacon_ps, scale, faded.emission_ps(scale), log.time_ps


def errors_ns(faded, fitted):
    """Error of the clock every 10 ms inside its spans, less the unknown constant of the beacon's own cable."""
    inside = [np.arange(start, end, 10**10) for start, end in fitted.spans_ps]
    at_ps = np.concatenate(inside)
    error = (fitted.to_satellite(at_ps) - faded.true_emission_ps(at_ps)) * 1e-3
    return error - np.median(error)


def test_the_clock_is_right_to_a_fraction_of_the_single_pulse_jitter(faded, fitted):
    error_ns = errors_ns(faded, fitted)
    assert np.sqrt(np.mean(error_ns**2)) < 0.05
    assert np.abs(error_ns).max() < 0.3  # the bridged fade included
    assert 0.38 < fitted.residual_single_ns < 0.48  # 0.9 ns pulse, 0.4 ns diode, TDC and log


def test_the_error_told_from_the_data_agrees_with_the_truth(faded, fitted):
    true_rms = np.sqrt(np.mean(errors_ns(faded, fitted) ** 2))
    assert fitted.sync_rms_ns < 0.15
    assert abs(fitted.sync_rms_ns - true_rms) < 0.02


def test_a_short_fade_is_bridged_and_a_long_one_ends_the_span(faded, fitted):
    ends_s = (fitted.spans_ps - fitted.spans_ps[0, 0]) * 1e-12
    assert ends_s.shape == (2, 2)
    assert ends_s[0, 1] == pytest.approx(25, abs=0.1)
    assert ends_s[1, 0] == pytest.approx(28, abs=0.1)


@pytest.mark.parametrize('wrong', [1, -3, 40])
def test_a_prediction_wrong_by_whole_pulses_is_put_right(faded, fitted, wrong):
    """A millisecond of error in UTC moves every number; the laser's own jitter gives the right one back."""
    scale = faded.scale()
    right = faded.emission_ps(scale)
    log = faded.transmitter.beacon_log(faded.start_ns - 10**9, faded.start_ns + 41 * 10**9)
    beacon_ps = faded.tags.of(Channel.BEACON) - faded.delay_ps[Channel.BEACON]
    moved = recover_clock(beacon_ps, scale, lambda utc_ps: right(utc_ps) + wrong * 10**8, log.time_ps)
    at_ps = np.arange(*fitted.spans_ps[0], 10**11)
    assert np.abs(moved.to_satellite(at_ps) - fitted.to_satellite(at_ps)).max() < 50


def test_the_log_of_another_pass_is_refused(faded):
    scale = faded.scale()
    log = faded.transmitter.beacon_log(faded.start_ns + 100 * 10**9, faded.start_ns + 141 * 10**9)
    shifted = PulseTimes.of(log.time_ps[:] - 101 * 10**12)  # the right times, the wrong pulses
    beacon_ps = faded.tags.of(Channel.BEACON) - faded.delay_ps[Channel.BEACON]
    with pytest.raises(StationError, match='no numbering'):
        recover_clock(beacon_ps, scale, faded.emission_ps(scale), shifted)


def test_noise_alone_is_refused(faded):
    scale = faded.scale()
    noise_ps = np.sort(np.random.default_rng(0).integers(0, 40 * 10**12, 20_000))
    log = faded.transmitter.beacon_log(faded.start_ns - 10**9, faded.start_ns + 41 * 10**9)
    with pytest.raises(StationError):
        recover_clock(noise_ps, scale, faded.emission_ps(scale), log.time_ps)


@pytest.mark.parametrize('piece', [1000, 7777])
def test_a_fit_piece_by_piece_is_the_fit_of_all(faded, fitted, piece, monkeypatch):
    monkeypatch.setattr(residuals, '_PIECE', piece)
    again = recover_clock(*arguments(faded))
    for field in fields(fitted):
        if field.name != 'to_satellite':
            np.testing.assert_array_equal(getattr(again, field.name), getattr(fitted, field.name))
    np.testing.assert_array_equal(again.to_satellite.cubic, fitted.to_satellite.cubic)


def test_a_beacon_tag_needs_three_numbers_at_once(faded, monkeypatch):
    """Time, expectation and residual, and what is chosen; each further array over all tags would be eight bytes."""
    monkeypatch.setattr(residuals, '_PIECE', 1000)
    beacon_ps, *others = arguments(faded)

    def peak_bytes(tags):
        tracemalloc.start()
        recover_clock(beacon_ps[:tags], *others)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak_bytes(80_000)
    few, many = peak_bytes(80_000), peak_bytes(200_000)
    assert (many - few) / 120_000 < 36
