"""Full-frame search: finds the beacon, and nothing else."""

import numpy as np
import pytest

from qkd_gs.bench import spot as bench
from qkd_gs.tracking.camera.spot import SpotDetector

SHAPE = (480, 640)


def frame_with(random, spots, background=100.0, shape=SHAPE):
    """Counts with spots (x, y, sigma, peak) on a background (number or picture)."""
    expected = np.full(shape, background) if np.isscalar(background) else background.copy()
    for x_px, y_px, sigma_px, peak in spots:
        x0, y0 = max(int(x_px) - 32, 0), max(int(y_px) - 32, 0)
        part = expected[y0 : y0 + 64, x0 : x0 + 64]
        part += bench.spot_image(part.shape, x_px - x0, y_px - y0, sigma_px, peak)
    return bench.read_out(expected, random)


@pytest.fixture(scope='module')
def detector():
    return SpotDetector()


def test_search_under_the_reference_conditions(detector):
    figures = bench.search_figures(detector, frames=60, empty=60, random=np.random.default_rng(1))
    assert figures['search_found_fraction'] >= 0.99
    assert figures['search_false_per_frame'] == 0
    assert figures['search_false_per_empty_frame'] == 0


@pytest.mark.parametrize('sigma_px', [1.0, 1.5, 2.0, 3.0])
def test_any_width_is_found_by_the_defaults(detector, sigma_px):
    random = np.random.default_rng(int(10 * sigma_px))
    for _ in range(25):
        x_px, y_px = random.uniform(3, 636), random.uniform(3, 476)
        spots = detector.search(frame_with(random, [(x_px, y_px, sigma_px, bench.peak_for_snr(6, 109.0))]))
        assert len(spots) == 1
        assert np.hypot(spots[0].x_px - x_px, spots[0].y_px - y_px) < 0.6


def test_a_steep_gradient_neither_hides_nor_makes_a_spot(detector):
    random = np.random.default_rng(3)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    twilight = 200 + 3.0 * x + 1.5 * y + 0.004 * (x - 200) ** 2
    assert detector.search(frame_with(random, [], twilight)) == []
    for x_px, y_px in [(3.0, 3.0), (636.0, 476.0), (320.0, 240.0)]:
        level = twilight[int(y_px), int(x_px)]
        spots = detector.search(frame_with(random, [(x_px, y_px, 1.5, bench.peak_for_snr(10, level))], twilight))
        assert [round(s.x_px / 2) for s in spots] == [round(x_px / 2)]


def test_spots_at_the_very_edge_are_found(detector):
    random = np.random.default_rng(4)
    for x_px, y_px in [(0.0, 100.3), (639.0, 50.0), (300.2, 0.1), (411.7, 479.0), (0.2, 0.3)]:
        spots = detector.search(frame_with(random, [(x_px, y_px, 1.5, 400.0)]))
        assert len(spots) == 1
        assert np.hypot(spots[0].x_px - x_px, spots[0].y_px - y_px) < 0.3


def test_the_brightest_comes_first(detector):
    random = np.random.default_rng(5)
    spots = detector.search(frame_with(random, [(100, 100, 1.5, 200), (300, 200, 1.5, 900), (500, 400, 1.5, 450)]))
    assert [round(s.x_px) for s in spots] == [300, 500, 100]
    assert spots[0].flux > spots[1].flux > spots[2].flux


def test_two_close_spots_are_told_apart(detector):
    spots = detector.search(frame_with(np.random.default_rng(6), [(100, 100, 1.5, 900), (112, 100, 1.5, 500)]))
    assert [round(s.x_px) for s in spots] == [100, 112]


@pytest.mark.parametrize('length_px', [12, 25, 60])
def test_trails_of_stars_are_no_spots(detector, length_px):
    random = np.random.default_rng(length_px)
    found = 0
    for turn in np.linspace(0, np.pi, 12, endpoint=False):
        expected = np.full(SHAPE, 100.0)
        for along in np.linspace(-length_px / 2, length_px / 2, 4 * length_px):
            expected[200:300, 200:300] += bench.spot_image(
                (100, 100), 50 + along * np.cos(turn), 50 + along * np.sin(turn), 1.2, 60.0
            )
        found += bool(detector.search(bench.read_out(expected, random)))
    assert found == 0


def test_cosmics_and_clusters_of_hot_pixels_are_no_spots(detector):
    random = np.random.default_rng(8)
    frame = frame_with(random, [])
    for k in range(30):  # tracks one pixel wide at any angle
        x0, y0, turn = random.integers(20, 600), random.integers(20, 440), random.uniform(0, np.pi)
        for along in range(4 + k % 12):
            frame[int(y0 + along * np.sin(turn)), int(x0 + along * np.cos(turn))] = 5000
    for _ in range(20):  # pairs and corners of three
        x, y = random.integers(5, 630), random.integers(5, 470)
        frame[y, x] = frame[y + 1, x] = frame[y, x + 1] = 8000
    assert detector.search(frame) == []


def test_a_heavily_saturated_beacon_is_one_spot(detector):
    frame = np.minimum(frame_with(np.random.default_rng(9), [(330.2, 233.1, 2.0, 1e6)]), 4095)
    spots = detector.search(frame)
    assert len(spots) == 1
    assert np.hypot(spots[0].x_px - 330.2, spots[0].y_px - 233.1) < 0.02
    assert spots[0].saturated_px > 50


@pytest.mark.parametrize(
    'frame',
    [
        np.zeros((64, 64), np.uint16),
        np.full((480, 640), 65535, np.uint16),
        np.full((9, 200), 7, np.uint8),
        np.random.default_rng(0).integers(0, 2, (480, 640)).astype(np.uint8),
        np.random.default_rng(0).integers(0, 65536, (480, 640)).astype(np.uint16),
        np.add.outer(np.arange(480), np.arange(640)).astype(np.uint16),
    ],
    ids=['black', 'white', 'strip', 'one bit', 'white noise', 'ramp'],
)
def test_images_without_a_spot_have_none(detector, frame):
    assert detector.search(frame) == []


def test_a_small_region_and_a_byte_camera_will_do(detector):
    random = np.random.default_rng(12)
    frame = frame_with(random, [(20.3, 11.8, 1.2, 90.0)], shape=(30, 40)).clip(0, 255).astype(np.uint8)
    (spot,) = detector.search(frame)
    assert np.hypot(spot.x_px - 20.3, spot.y_px - 11.8) < 0.4


@pytest.mark.parametrize('level', [99.6, 103.9, 104.0, 110.3])
def test_an_adc_with_coarse_steps_makes_no_spots(detector, level):
    """12 bits in the upper part of 16: steps of 16 counts over a noise of 4, so that whole regions flip at once."""
    random = np.random.default_rng(14)
    x = np.arange(SHAPE[1])
    coarse = (np.rint(level + 4 * np.sin(x / 90) + random.normal(0, 4, SHAPE)).astype(np.uint16) // 16) * 16
    assert detector.search(coarse) == []
    y_px, x_px = 200.3, 311.8
    light = random.poisson(bench.spot_image(SHAPE, x_px, y_px, 2.0, 300.0))
    spots = detector.search(((coarse + light) // 16 * 16).astype(np.uint16))
    assert len(spots) == 1
    assert np.hypot(spots[0].x_px - x_px, spots[0].y_px - y_px) < 0.2
