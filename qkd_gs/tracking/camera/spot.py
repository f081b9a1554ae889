"""Find and measure the beacon's spot in a camera image."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite, pi, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qkd_gs.arrays import ImageArray
from qkd_gs.errors import StationError
from qkd_gs.tracking.camera import spot_fit
from qkd_gs.tracking.camera.background import find_peaks

WINDOW_PX = 64
_SMALLEST_PX = 8  # a smaller image has too little background


@dataclass(frozen=True)
class Spot:
    """One spot; pixel centre of (0, 0) is 0, 0.

    `flux`, `peak_e` in photo-electrons above the background; `snr` is peak electrons over the square root of
    background variance plus peak electrons.
    """

    x_px: float
    y_px: float
    snr: float
    flux: float
    sigma_px: float  # Gaussian width
    ellipticity: float  # 0 round, towards 1 a line; of Gaussian-weighted moments
    peak_e: float  # of the fitted Gaussian
    peak_counts: float  # highest good pixel as read, background included
    background_counts: float
    saturated_px: int


class SpotDetector:
    """Finds spots in full images and measures one in a window.

    A candidate counts as a spot if it is significant, round, and of the width of the optics: hot pixels, cosmic rays
    and star trails (the mount follows a satellite) fail that.  A star at rest in the image looks like a beacon;
    `spotter` separates those over time.

    Parameters
    ----------
    sigma_px : float, optional
        Gaussian width of a spot.  None: fitted for every spot, at no loss of position accuracy.
    electrons_per_count : float
        At gain 1; the weight of shot noise relative to the background noise, which is always measured in the image.
        Without a data sheet 1 is good enough.
    saturation_counts : float, optional
        Pixels from here on are left out of the fit.  None: the type's highest value; an ADC that
        saturates lower is recognized by its plateau.
    search_sigmas : float
        Threshold of `search` in standard deviations of the median-filtered noise; 6 leaves less than one false
        spot in 1000 empty images of 1280 x 1024.
    least_significance : float
        Smallest flux in units of its standard deviation; 6 is a peak SNR of about 6 / (1.8 sigma_px).
    sigma_range_px : (float, float)
        Widths that count as a spot.
    most_elliptic : float
        Largest ellipticity of a spot; three standard deviations of its noise (1 / significance) are allowed
        on top, in quadrature.  0.35 rejects trails longer than about 7 sigma.
    most_spots : int
        `search` returns at most this many.

    Examples
    --------
    >>> import numpy as np, qkd_gs
    >>> y, x = np.mgrid[:100, :120]
    >>> mean = 20 + 2000 * np.exp(-((x - 60.3) ** 2 + (y - 40.8) ** 2) / (2 * 1.5**2))
    >>> image = np.random.default_rng(1).poisson(mean).astype(np.uint16)
    >>> (spot,) = qkd_gs.SpotDetector().search(image)
    >>> round(spot.x_px, 1), round(spot.y_px, 1)
    (60.3, 40.8)
    """

    def __init__(
        self,
        sigma_px: float | None = None,
        electrons_per_count: float = 1.0,
        saturation_counts: float | None = None,
        search_sigmas: float = 6.0,
        least_significance: float = 6.0,
        sigma_range_px: tuple[float, float] = (0.6, 5.0),
        most_elliptic: float = 0.35,
        most_spots: int = 16,
    ):
        _positive('electrons_per_count', electrons_per_count)
        _positive('search_sigmas', search_sigmas)
        _positive('least_significance', least_significance)
        _positive('most_elliptic', most_elliptic)
        if sigma_px is not None:
            _positive('sigma_px', sigma_px)
        if saturation_counts is not None:
            _positive('saturation_counts', saturation_counts)
        if not 0 < sigma_range_px[0] < sigma_range_px[1]:
            raise StationError(f'{sigma_range_px} is not a range of widths', where='sigma_range_px')
        if most_spots < 1:
            raise StationError(f'{most_spots} is not at least 1', where='most_spots')
        self._sigma_px = sigma_px
        self._electrons_per_count = electrons_per_count
        self._saturation_counts = saturation_counts
        self._search_sigmas = search_sigmas
        self._least_significance = least_significance
        self._sigma_range_px = sigma_range_px
        self._most_elliptic = most_elliptic
        self._most_spots = most_spots
        self._out = np.empty(spot_fit.FIELDS)

    def search(self, frame: NDArray[Any], gain: float = 1.0) -> list[Spot]:
        """All spots of an image, brightest first; [] if there is none.

        Parameters
        ----------
        frame : (height, width) uint8 or uint16
        gain : float
            Of the camera for this image: a count then represents fewer electrons.

        Raises
        ------
        StationError
            Image of the wrong type or shape.
        """
        image = _checked(frame)
        _positive('gain', gain)
        spots: list[Spot] = []
        seen: list[tuple[float, float, float]] = []
        for x, y, _ in find_peaks(image, self._search_sigmas)[: 8 * self._most_spots]:
            if any((x - sx) ** 2 + (y - sy) ** 2 < radius**2 for sx, sy, radius in seen):
                continue
            spot = self._measure(frame, int(x), int(y), gain)
            seen.append((float(x), float(y), 4.0))
            if spot is None or abs(spot.x_px - x) + abs(spot.y_px - y) > 4 + 6 * spot.sigma_px:
                continue
            radius = max(4.0, 4 * spot.sigma_px)
            if any((spot.x_px - s.x_px) ** 2 + (spot.y_px - s.y_px) ** 2 < radius**2 for s in spots):
                continue
            seen.append((spot.x_px, spot.y_px, radius + sqrt(spot.saturated_px)))
            spots.append(spot)
            if len(spots) == self._most_spots:
                break
        return sorted(spots, key=lambda spot: -spot.flux)

    def track(
        self,
        frame: NDArray[Any],
        x_px: float,
        y_px: float,
        radius_px: float | None = None,
        gain: float = 1.0,
    ) -> Spot | None:
        """The brightest spot of a 64 x 64 px window about (x_px, y_px); None if there is none.

        Parameters
        ----------
        frame : (height, width) uint8 or uint16
            The window may reach beyond its edges.
        x_px, y_px : float
            Expected position of the spot, pixels of the image.
        radius_px : float, optional
            DirectionMeasurement no farther than this from there.  None: the whole window.
        gain : float
            As for `search`.

        Raises
        ------
        StationError
            Image of the wrong type or shape, or a position that is not a number.
        """
        _check_frame(frame)
        _positive('gain', gain)
        if not (isfinite(x_px) and isfinite(y_px)):
            raise StationError(f'({x_px}, {y_px}) is not a position in the image', where='x_px, y_px')
        x0, y0, window = _cut(frame, x_px, y_px)
        if min(window.shape) < _SMALLEST_PX:
            return None
        peak = cv2.blur(cv2.medianBlur(window, 3), (3, 3))
        if radius_px is not None:
            _positive('radius_px', radius_px)
            at = int(spot_fit.brightest_within(peak, x_px - x0, y_px - y0, radius_px))
        else:
            at = int(np.argmax(peak))
        spot = self._measure(frame, x0 + at % window.shape[1], y0 + at // window.shape[1], gain)
        if spot is None or radius_px is None:
            return spot
        return spot if (spot.x_px - x_px) ** 2 + (spot.y_px - y_px) ** 2 <= radius_px**2 else None

    def _measure(self, frame: NDArray[Any], x_px: int, y_px: int, gain: float) -> Spot | None:
        """Fit the spot that peaks near a pixel and check its shape."""
        x0, y0, window = _cut(frame, x_px, y_px)
        height, width = window.shape
        per_count = self._electrons_per_count / gain
        ceiling = self._saturation_counts or float(np.iinfo(frame.dtype).max)
        out, free = self._out, self._sigma_px is None
        sigma = 1.7 if self._sigma_px is None else self._sigma_px
        if not spot_fit.fit_spot(window, x_px - x0, y_px - y0, sigma, free, ceiling, per_count, out):
            return None
        x, y, amplitude, sigma, level, noise, significance, ellipticity, peak, saturated = out.tolist()
        if significance < self._least_significance or not amplitude > 0:
            return None
        if not self._sigma_range_px[0] <= sigma <= self._sigma_range_px[1] and saturated == 0:
            return None
        if ellipticity > hypot(self._most_elliptic, 3.0 / significance):
            return None
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            return None
        peak_e = amplitude * per_count
        return Spot(
            x_px=x0 + x,
            y_px=y0 + y,
            snr=peak_e / sqrt((noise * per_count) ** 2 + peak_e),
            flux=2 * pi * sigma**2 * peak_e,
            sigma_px=sigma,
            ellipticity=ellipticity,
            peak_e=peak_e,
            peak_counts=peak,
            background_counts=level,
            saturated_px=int(saturated),
        )


def _positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise StationError(f'{value} is not a positive number', where=name)


def _check_frame(frame: NDArray[Any]) -> None:
    if not isinstance(frame, np.ndarray) or frame.ndim != 2 or min(frame.shape) < _SMALLEST_PX:
        shape = getattr(frame, 'shape', type(frame).__name__)
        raise StationError(f'{shape} is not an image of (height, width) of at least 8 x 8', where='frame')
    if frame.dtype.kind != 'u' or frame.dtype.itemsize > 2:
        raise StationError(f'{frame.dtype} is not uint8 or uint16', where='frame')


def _checked(frame: NDArray[Any]) -> ImageArray:
    _check_frame(frame)
    return np.ascontiguousarray(frame, np.uint16)


def _cut(frame: NDArray[Any], x_px: float, y_px: float) -> tuple[int, int, ImageArray]:
    """Origin and copy of the 64 x 64 px window about a position, clipped to the image."""
    half = WINDOW_PX // 2
    height, width = frame.shape
    x0 = min(max(round(x_px) - half, 0), width)
    y0 = min(max(round(y_px) - half, 0), height)
    x1, y1 = max(round(x_px) + half, x0), max(round(y_px) + half, y0)
    window = np.array(frame[y0 : min(y1, height), x0 : min(x1, width)], np.uint16, order='C')
    return x0, y0, window
