"""Tilt of a wavefront by turbulent air: its variance and its spectrum along a frozen flow.

Zernike tilt (what a centroid follows) over a round aperture of diameter D behind a layer with the von Karman
spectrum of phase, Phi(k) = 0.4897 r0^(-5/3) (k^2 + k0^2)^(-11/6), k0 = 2 pi / L0, k in rad/m.

Sources: R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), for the filter 16 (J2(kR) / kR)^2 cos^2 and the Kolmogorov
variance; R. J. Sasiela, Electromagnetic Wave Propagation in Turbulence (2nd ed. 2007), ch. 4, for the outer
scale; frozen flow (Taylor): Greenwood and Fried, J. Opt. Soc. Am. 66, 193 (1976).
"""

from __future__ import annotations

from math import pi

import numpy as np
from scipy.integrate import trapezoid
from scipy.special import j0, j1

from qkd_gs.arrays import FloatArray

R0_WAVELENGTH_M = 500e-9  # at which the Fried parameter is quoted
_NOLL_TILT = 0.182  # (lambda / D)^2 (D / r0)^(5/3): one axis, Kolmogorov


def kolmogorov_tilt_variance(r0_m: float, aperture_m: float) -> float:
    """Variance of the tilt along one axis without outer scale, rad^2 (Noll 1976); grows with airmass."""
    return float(_NOLL_TILT * (R0_WAVELENGTH_M / aperture_m) ** 2 * (aperture_m / r0_m) ** (5 / 3))


def tilt_spectrum(frequency_m: FloatArray, r0_m: float, aperture_m: float, outer_scale_m: float) -> FloatArray:
    """One-sided spectrum of the tilt along a line through the flow, rad^2 m.

    Parameters
    ----------
    frequency_m : (n,) array
        Cycles per metre along the flow.  At wind speed v the temporal spectrum is S(f) = S(f / v) / v.

    Returns
    -------
    (n,) array
        Mean of the tilts along and across the flow.
    """
    across = np.concatenate([[0.0], np.geomspace(1e-5, 300, 500) / aperture_m])
    result = np.empty(len(frequency_m))
    for i, along in enumerate(2 * pi * frequency_m):
        k = np.maximum(np.hypot(along, across), 1e-12)
        density = _phase_spectrum(k, r0_m, outer_scale_m) * _tilt_filter(k, aperture_m)
        result[i] = trapezoid(density, across)
    # both signs of both wave numbers: 2 x 2; 2 pi from rad/m to cycles/m; half of cos^2 + sin^2 for the mean
    return result * 4 * 2 * pi / 2


def tilt_series(
    count: int, step_m: float, spectrum: FloatArray, frequency_m: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Gaussian series with the spectrum of `tilt_spectrum`, periodic, sampled every `step_m` along the flow, rad."""
    along = np.fft.rfftfreq(count, step_m)[1:]
    power = np.exp(np.interp(np.log(along), np.log(frequency_m), np.log(spectrum)))
    amplitude = np.sqrt(power / (step_m * count)) * count / 2
    phase = rng.standard_normal((2, len(along)))
    wave = np.concatenate([[0.0], amplitude * (phase[0] + 1j * phase[1])])
    series: FloatArray = np.fft.irfft(wave, count)
    return series


def _phase_spectrum(k: FloatArray, r0_m: float, outer_scale_m: float) -> FloatArray:
    spectrum: FloatArray = 0.4897 * r0_m ** (-5 / 3) * (k * k + (2 * pi / outer_scale_m) ** 2) ** (-11 / 6)
    return spectrum


def _tilt_filter(k: FloatArray, aperture_m: float) -> FloatArray:
    """Square of tilt over phase at wave number k, rad^2, both axes together."""
    radius = aperture_m / 2
    coefficient = 16 * (_bessel_2(k * radius) / (k * radius)) ** 2  # of Noll's Z2 and Z3, unit RMS over the aperture
    squared: FloatArray = coefficient * (2 / radius * R0_WAVELENGTH_M / (2 * pi)) ** 2
    return squared


def _bessel_2(x: FloatArray) -> FloatArray:
    """J2 by recurrence from J0 and J1, some ten times as fast as the general function; by its series near zero."""
    small = x < 0.1
    safe = np.where(small, 1.0, x)
    series = x**2 / 8 * (1 - x**2 / 12 * (1 - x**2 / 32))
    result: FloatArray = np.where(small, series, 2 / safe * j1(safe) - j0(safe))
    return result
