"""A spot in a window: at the Cramer-Rao bound, without bias, whatever the pixels do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkd_gs.bench.spot import cramer_rao_px, peak_for_snr, read_out, spot_image
from qkd_gs.errors import StationError
from qkd_gs.tracking.camera.spot import SpotDetector

BACKGROUND, VARIANCE = 100.0, 109.0  # electrons; read noise 3


@pytest.fixture(scope='module')
def detector():
    return SpotDetector()


def window(random, x_px, y_px, sigma_px, peak, shape=(64, 64)):
    return read_out(BACKGROUND + spot_image(shape, x_px, y_px, sigma_px, peak), random)


def errors_of(detector, random, sigma_px, peak, spoil=None, n=250, near=(32, 32), low=30, high=34):
    errors = []
    for _ in range(n):
        x_px, y_px = random.uniform(low, high, 2)
        frame = window(random, x_px, y_px, sigma_px, peak)
        if spoil:
            frame = spoil(frame, x_px, y_px)
        spot = detector.track(frame, *near)
        assert spot is not None
        errors += [spot.x_px - x_px, spot.y_px - y_px]
    return np.array(errors)


@pytest.mark.parametrize(('snr', 'sigma_px'), [(10, 1.0), (10, 1.5), (10, 3.0), (30, 1.0), (30, 1.5), (30, 3.0)])
def test_the_centroid_reaches_the_cramer_rao_bound(detector, snr, sigma_px):
    random = np.random.default_rng(int(10 * snr + sigma_px))
    peak = peak_for_snr(snr, VARIANCE)
    errors = errors_of(detector, random, sigma_px, peak)
    bound = cramer_rao_px(32.2, 31.9, sigma_px, peak, VARIANCE)
    rms = np.sqrt(np.mean(errors**2))
    assert bound * 0.9 < rms < bound * 1.1  # 500 draws: 3 % of statistics
    assert abs(errors.mean()) < 4 * bound / np.sqrt(len(errors))
    assert rms < {10: 0.078, 30: 0.033}[snr]


def test_the_bound_agrees_with_its_closed_form_for_background_alone():
    # faint spot on uniform noise n: sigma_x = sqrt(2 / pi) n / A, whatever the width; pixels lower A by sigma^2 + 1/12
    lowered = 1e-3 * 4 / (4 + 1 / 12)
    assert cramer_rao_px(32.0, 32.0, 2.0, 1e-3, 100.0) == pytest.approx(np.sqrt(2 / np.pi) * 10 / lowered, rel=0.002)


@settings(max_examples=40, deadline=None)
@given(
    phase_x=st.floats(-0.5, 0.5), phase_y=st.floats(-0.5, 0.5), sigma_px=st.floats(0.9, 3.0), slope=st.floats(-0.5, 0.5)
)
def test_neither_pixel_phase_nor_gradient_moves_the_centroid(phase_x, phase_y, sigma_px, slope):
    clean = 200 + slope * np.arange(64) + spot_image((64, 64), 32 + phase_x, 32 + phase_y, sigma_px, 500)
    frame = np.rint(clean * 20).astype(np.uint16)  # fine steps: rounding is not what is tested
    spot = SpotDetector().track(frame, 32, 32)
    assert spot.x_px == pytest.approx(32 + phase_x, abs=2e-3)
    assert spot.y_px == pytest.approx(32 + phase_y, abs=2e-3)


def test_snr_flux_and_width_are_what_was_put_in(detector):
    random = np.random.default_rng(4)
    spots = [detector.track(window(random, 32.3, 31.6, 2.0, 1000.0), 32, 32) for _ in range(50)]
    assert np.mean([s.flux for s in spots]) == pytest.approx(2 * np.pi * 4 * 1000, rel=0.01)
    assert np.mean([s.sigma_px for s in spots]) == pytest.approx(np.hypot(2.0, 12**-0.5), rel=0.01)
    assert np.mean([s.snr for s in spots]) == pytest.approx(1000 / np.sqrt(VARIANCE + 1000), rel=0.03)


def test_gain_and_electrons_per_count_give_the_same_electrons():
    random = np.random.default_rng(5)
    electrons = BACKGROUND + random.poisson(spot_image((64, 64), 32.0, 32.0, 2.0, 2000.0))
    at_gain_4 = np.rint(electrons / 0.5 * 4).astype(np.uint16)
    spot = SpotDetector(electrons_per_count=0.5).track(at_gain_4, 32, 32, gain=4.0)
    assert spot.flux == pytest.approx(2 * np.pi * 4 * 2000, rel=0.02)


@pytest.mark.parametrize(
    ('level', 'sigma_px', 'peak'), [(4095, 1.5, 2e4), (4095, 3.0, 4e5), (65535, 1.0, 1e5), (65535, 2.0, 1e6)]
)
def test_saturation_does_not_spoil_the_position(detector, level, sigma_px, peak):
    random = np.random.default_rng(6)
    errors = errors_of(detector, random, sigma_px, peak, lambda f, x, y: np.minimum(f, level), n=60)
    assert np.sqrt(np.mean(errors**2)) < 0.02
    assert abs(errors.mean()) < 0.01


@pytest.mark.parametrize('excess', [200, 3000, 60000])
def test_a_hot_pixel_inside_the_spot_is_left_out(detector, excess):
    random = np.random.default_rng(7)

    def spoil(frame, x_px, y_px):
        y, x = round(y_px) + random.integers(-2, 3), round(x_px) + random.integers(-2, 3)
        frame[y, x] = min(int(frame[y, x]) + excess, 65535)
        return frame

    peak = peak_for_snr(10, VARIANCE)
    errors = errors_of(detector, random, 1.5, peak, spoil)
    assert np.sqrt(np.mean(errors**2)) < 1.35 * cramer_rao_px(32.0, 32.0, 1.5, peak, VARIANCE)


def test_an_empty_window_has_no_spot(detector):
    random = np.random.default_rng(8)
    found = [detector.track(window(random, 32, 32, 1.5, 1e-9), 32, 32) for _ in range(1000)]
    assert sum(spot is not None for spot in found) <= 1


def test_a_spot_at_the_edge_is_measured_from_the_pixels_there_are(detector):
    random = np.random.default_rng(9)
    errors = errors_of(detector, random, 1.5, 400.0, near=(1, 1), low=0.5, high=3.0)
    assert np.sqrt(np.mean(errors**2)) < 0.1
    assert abs(errors.mean()) < 0.015


def test_a_window_outside_the_frame_has_no_spot(detector):
    frame = window(np.random.default_rng(10), 32, 32, 1.5, 400.0)
    assert detector.track(frame, -500, 20) is None
    assert detector.track(frame, 20, 1e6) is None


def test_nothing_beyond_the_radius_is_taken(detector):
    frame = window(np.random.default_rng(11), 45.0, 32.0, 1.5, 400.0)
    assert detector.track(frame, 32, 32).x_px == pytest.approx(45, abs=0.2)
    assert detector.track(frame, 32, 32, radius_px=10) is None


def test_the_type_of_the_array_does_not_matter(detector):
    frame = window(np.random.default_rng(12), 32.4, 31.7, 1.5, 120.0)
    wanted = detector.track(frame, 32, 32)
    frozen = frame.copy()
    frozen.setflags(write=False)
    for same in (frozen, np.asfortranarray(frame), frame.astype('>u2'), frame.clip(0, 255).astype(np.uint8)):
        assert detector.track(same, 32, 32).x_px == pytest.approx(wanted.x_px, abs=1e-6)
    assert detector.track(frame[::-1], 32, 31).y_px == pytest.approx(63 - wanted.y_px, abs=0.02)


@pytest.mark.parametrize(
    'frame',
    [np.zeros((64, 64)), np.zeros((64, 64), np.int16), np.zeros((2, 64, 64), np.uint16), np.zeros((3, 3), np.uint8)],
)
def test_a_frame_of_the_wrong_kind_is_refused(detector, frame):
    for call in (lambda: detector.track(frame, 32, 32), lambda: detector.search(frame)):
        with pytest.raises(StationError, match='frame'):
            call()


def test_a_place_that_is_no_number_is_refused(detector):
    with pytest.raises(ValueError, match='nan'):
        detector.track(np.zeros((64, 64), np.uint16), float('nan'), 3.0)


@pytest.mark.parametrize('name', ['sigma_px', 'electrons_per_count', 'search_sigmas', 'saturation_counts'])
def test_a_parameter_out_of_range_is_refused(name):
    with pytest.raises(StationError, match=name):
        SpotDetector(**{name: -1.0})
