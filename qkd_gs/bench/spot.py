"""`qkd-gs bench spot`: search of full frames and centroids in a window, against the Cramer-Rao bound.

Conditions: 1280 x 1024 px of 16 bit, background 100 to 400 electrons from left to right, read noise 3 electrons,
30 hot pixels, spot sigma 1.5 px, one electron a count; SNR = peak electrons over the square root of background
variance plus peak electrons.  Frames are drawn from pixel-integrated Gaussians, which the fit does not assume.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr

from qkd_gs.arrays import FloatArray, ImageArray
from qkd_gs.tracking.camera.spot import SpotDetector

WIDTH_PX, HEIGHT_PX = 1280, 1024
READ_NOISE_E = 3.0
HOT_PIXELS = 30


def peak_for_snr(snr: float, background_variance: float) -> float:
    """Peak electrons A with snr = A / sqrt(variance + A)."""
    return float((snr**2 + np.sqrt(snr**4 + 4 * snr**2 * background_variance)) / 2)


def spot_image(shape: tuple[int, int], x_px: float, y_px: float, sigma_px: float, peak: float) -> FloatArray:
    """Gaussian of flux 2 pi sigma^2 peak, integrated over each pixel."""

    def profile(n: int, centre: float) -> FloatArray:
        edges = (np.arange(n + 1) - 0.5 - centre) / sigma_px
        return np.asarray(np.diff(ndtr(edges)))

    flux = 2 * np.pi * sigma_px**2 * peak
    return flux * profile(shape[0], y_px)[:, None] * profile(shape[1], x_px)


def cramer_rao_px(x_px: float, y_px: float, sigma_px: float, peak: float, background_variance: float) -> float:
    """Least RMS error of x for position and flux unknown, background and width known (Poisson as Gaussian)."""
    size, step = (64, 64), 1e-4
    model = spot_image(size, x_px, y_px, sigma_px, peak)
    slope_x = (
        spot_image(size, x_px + step, y_px, sigma_px, peak) - spot_image(size, x_px - step, y_px, sigma_px, peak)
    ) / (2 * step)
    slope_y = (
        spot_image(size, x_px, y_px + step, sigma_px, peak) - spot_image(size, x_px, y_px - step, sigma_px, peak)
    ) / (2 * step)
    slopes = np.stack([slope_x, slope_y, model / peak]).reshape(3, -1)
    fisher = (slopes / (background_variance + model).reshape(-1)) @ slopes.T
    return float(np.sqrt(np.linalg.inv(fisher)[0, 0]))


def read_out(expected: FloatArray, random: Generator) -> ImageArray:
    """Counts of a frame with these expected electrons: shot noise, read noise, rounding."""
    counts = random.poisson(expected) + random.normal(0, READ_NOISE_E, expected.shape)
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


def add_hot_pixels(frame: ImageArray, random: Generator) -> None:
    """Thirty single pixels far above everything."""
    y, x = random.integers(0, HEIGHT_PX, HOT_PIXELS), random.integers(0, WIDTH_PX, HOT_PIXELS)
    frame[y, x] = random.integers(2000, 65535, HOT_PIXELS)


def search_figures(detector: SpotDetector, frames: int, empty: int, random: Generator) -> dict[str, float]:
    """Time, share of spots found and false spots of full-frame search at SNR 10."""
    ramp = np.broadcast_to(100 + 300 * np.arange(WIDTH_PX) / WIDTH_PX, (HEIGHT_PX, WIDTH_PX))
    backgrounds = [read_out(ramp, random) for _ in range(8)]
    times, found, false_beside, sigma_px = [], 0, 0, 1.5
    for k in range(frames + 1):
        frame = backgrounds[k % 8].copy()
        x0, y0 = int(random.integers(0, WIDTH_PX - 64)), int(random.integers(0, HEIGHT_PX - 64))
        x_px, y_px = x0 + 31 + random.uniform(), y0 + 31 + random.uniform()
        peak = peak_for_snr(10, ramp[0, int(x_px)] + READ_NOISE_E**2)
        spot = spot_image((64, 64), x_px - x0, y_px - y0, sigma_px, peak)
        frame[y0 : y0 + 64, x0 : x0 + 64] += random.poisson(spot).astype(np.uint16)
        add_hot_pixels(frame, random)
        start = perf_counter()
        spots = detector.search(frame)
        if k == 0:  # compilation
            continue
        times.append(perf_counter() - start)
        hits = sum(np.hypot(s.x_px - x_px, s.y_px - y_px) < 1 for s in spots)
        found += hits > 0
        false_beside += len(spots) - hits
    false_empty = 0
    for k in range(empty):
        # one noise image is reused: shifted against another one, all medians differ
        mixed = (backgrounds[k % 8].astype(np.int32) + np.roll(backgrounds[(k + 3) % 8], 17 * k, axis=0)) // 2
        image = mixed.astype(np.uint16)
        add_hot_pixels(image, random)
        false_empty += len(detector.search(image))
    return {
        'search_ms_median': round(float(np.median(times)) * 1e3, 3),
        'search_ms_p99': round(float(np.percentile(times, 99)) * 1e3, 3),
        'search_found_fraction': round(found / frames, 4),
        'search_false_per_frame': round(false_beside / frames, 4),
        'search_false_per_empty_frame': round(false_empty / empty, 5),
        'search_frames': frames,
        'search_empty_frames': empty,
    }


def track_figures(detector: SpotDetector, snr: float, frames: int, random: Generator) -> dict[str, float]:
    """Time and RMS error of the centroid in 64 x 64 px windows, with the bound for the same draws."""
    background, sigma_px = 100.0, 1.5
    variance = background + READ_NOISE_E**2
    peak = peak_for_snr(snr, variance)
    errors, bounds, times, lost = [], [], [], 0
    for k in range(frames + 1):
        x_px, y_px = random.uniform(28, 36, 2)
        window = read_out(background + spot_image((64, 64), x_px, y_px, sigma_px, peak), random)
        start = perf_counter()
        spot = detector.track(window, 32, 32)
        if k == 0:  # compilation
            continue
        times.append(perf_counter() - start)
        if spot is None:
            lost += 1
            continue
        errors += [spot.x_px - x_px, spot.y_px - y_px]
        bounds.append(cramer_rao_px(x_px, y_px, sigma_px, peak, variance) if k % 20 == 1 else np.nan)
    return {
        f'track_ms_median_snr{snr:g}': round(float(np.median(times)) * 1e3, 4),
        f'track_rms_px_snr{snr:g}': round(float(np.sqrt(np.mean(np.square(errors)))), 5),
        f'track_bound_px_snr{snr:g}': round(float(np.sqrt(np.nanmean(np.square(bounds)))), 5),
        f'track_bias_px_snr{snr:g}': round(float(abs(np.mean(errors))), 5),
        f'track_lost_snr{snr:g}': lost,
    }


def run() -> dict[str, float]:
    """All figures; about 15 s."""
    random = np.random.default_rng(20250921)
    detector = SpotDetector()
    figures = search_figures(detector, frames=300, empty=200, random=random)
    for snr in (10.0, 30.0):
        figures |= track_figures(detector, snr, frames=3000, random=random)
    return figures
