"""Simulated atmosphere along the line of sight: tilt, scintillation, extinction and clouds."""

from __future__ import annotations

from math import exp, log1p, pi

import numpy as np
from scipy.integrate import trapezoid

from qkd_gs.arrays import FloatArray
from qkd_gs.jit import njit
from qkd_gs.settings.twin_plant import AtmosphereSettings
from qkd_gs.sim.physics.turbulence import R0_WAVELENGTH_M, kolmogorov_tilt_variance, tilt_series, tilt_spectrum

_SAMPLES_AN_APERTURE = 4  # of a layer's series; tilt has next to nothing at finer scales (k^-17/3)
_LOWEST_RAD = 0.01  # lowest elevation of the airmass model


def airmass(el_rad: float) -> float:
    """Relative airmass at an apparent elevation (Kasten and Young, Appl. Opt. 28, 4735, 1989); 38 at the horizon."""
    el_deg = max(np.degrees(el_rad), 0.0)
    return float(1 / (np.sin(np.radians(el_deg)) + 0.50572 * (el_deg + 6.07995) ** -1.6364))


class Tilt:
    """Zernike tilt over the telescope's aperture along both axes, as a function of time.

    Every layer is a frozen screen that wind and slew carry past the aperture (Taylor), so its spectrum moves
    with the slew rate while it keeps its shape.  The shape is von Karman's.  The variance is Noll's for
    Kolmogorov turbulence (3.3 urad an axis at 72 deg, 5.5 at 20 deg), which the reference conditions quote: the
    outer scale's reduction of it (to 0.81 in RMS at 20 m and 280 mm) is neglected, which is conservative.

    Parameters
    ----------
    aperture_m : float
        Diameter of the telescope.
    """

    def __init__(self, settings: AtmosphereSettings, aperture_m: float, rng: np.random.Generator) -> None:
        self._wind_m_s = settings.wind_m_s
        self._step_m = aperture_m / _SAMPLES_AN_APERTURE
        self._heights_m = [layer.height_m for layer in settings.layers]
        frequency = np.geomspace(0.5 / (settings.series * self._step_m), 1 / self._step_m, 200)
        spectrum = tilt_spectrum(frequency, settings.r0_m, aperture_m, settings.outer_scale_m)
        variance = kolmogorov_tilt_variance(settings.r0_m, aperture_m)
        spectrum *= variance / trapezoid(spectrum, frequency)
        self._series = [
            np.stack(
                [tilt_series(settings.series, self._step_m, layer.weight * spectrum, frequency, rng) for _ in range(2)]
            )
            for layer in settings.layers
        ]
        self._place_m = rng.uniform(0, settings.series * self._step_m, len(settings.layers))

    def advance(self, samples: int, dt_s: float, el_rad: float, slew_rad_s: float) -> FloatArray:
        """Tilt of the next samples.

        Parameters
        ----------
        el_rad, slew_rad_s : float
            Elevation of the line of sight and rate at which it sweeps over the sky.

        Returns
        -------
        (2, samples) array
            x (cross-elevation) and y (elevation), rad: apparent minus undisturbed direction of a source.
        """
        mass = airmass(el_rad)
        total = np.zeros((2, samples))
        for i, (height_m, series) in enumerate(zip(self._heights_m, self._series, strict=True)):
            speed = self._wind_m_s + slew_rad_s * height_m * mass
            self._place_m[i] = _carry(series, self._step_m, self._place_m[i], speed * dt_s, total)
        tilt: FloatArray = total * np.sqrt(mass)
        return tilt


class Scintillation:
    """Irradiance of a point source through an aperture relative to its mean: log-normal, coloured.

    Variance after Roddier (Progress in Optics 19, 1981, eq. 8.19): 17.34 D^(-7/3) sec(z)^3 times the integral of
    Cn^2 h^2 dh, saturating at a set value; correlation time D / (2 v) with the wind of the layers that cause it.
    """

    def __init__(self, settings: AtmosphereSettings, aperture_m: float, rng: np.random.Generator) -> None:
        wave_number = 2 * pi / R0_WAVELENGTH_M
        integral = settings.r0_m ** (-5 / 3) / (0.423 * wave_number**2)  # of Cn^2 dh, m^(1/3)
        weights = np.array([layer.weight for layer in settings.layers])
        heights = np.array([layer.height_m for layer in settings.layers])
        second = float(weights @ heights**2)
        self._zenith_variance = 17.34 * aperture_m ** (-7 / 3) * integral * second
        self._height_m = float(weights @ heights**3) / second if second > 0 else 0.0
        self._limit = settings.scintillation_limit
        self._wind_m_s, self._aperture_m, self._rng = settings.wind_m_s, aperture_m, rng
        self._last = float(rng.standard_normal())

    def advance(self, samples: int, dt_s: float, el_rad: float, slew_rad_s: float) -> FloatArray:
        """Relative irradiance of the next samples, (samples,), mean 1."""
        variance = log_variance(self._zenith_variance, el_rad, self._limit)
        speed = self._wind_m_s + slew_rad_s * self._height_m * airmass(el_rad)
        keep = exp(-dt_s * 2 * speed / self._aperture_m)
        noise = self._rng.standard_normal(samples) * np.sqrt(1 - keep * keep)
        _colour(noise, keep, self._last)
        self._last = float(noise[-1])
        irradiance: FloatArray = np.exp(np.sqrt(variance) * noise - variance / 2)
        return irradiance


@njit(cache=True)
def _carry(series, step_m, place_m, way_m, total):  # type: ignore[no-untyped-def]
    """Add a periodic series (2, m) that moves by `way_m` a sample to `total` (2, n); returns the last place."""
    count = series.shape[1]
    place = place_m / step_m
    for i in range(total.shape[1]):
        place = (place_m + way_m * (i + 1)) / step_m
        index = int(place)
        part = place - index
        for axis in range(2):
            total[axis, i] += series[axis, index % count] * (1 - part) + series[axis, (index + 1) % count] * part
    return (place * step_m) % (count * step_m)


@njit(cache=True)
def _colour(values, keep, last):  # type: ignore[no-untyped-def]
    """First-order low pass in place: each value plus `keep` times the one before."""
    for i in range(len(values)):
        last = values[i] + keep * last
        values[i] = last


def log_variance(zenith_variance: float, el_rad: float, limit: float) -> float:
    """Variance of the logarithm of irradiance at an elevation, saturating at `limit`."""
    variance = log1p(zenith_variance * airmass(max(el_rad, _LOWEST_RAD)) ** 3)
    return variance / (1 + variance / limit)


def transmission(el_rad: float, zenith_db: float) -> float:
    """Clear air's transmission along the line of sight."""
    return float(10 ** (-zenith_db * airmass(el_rad) / 10))


def clouds(settings: AtmosphereSettings, since_rise_s: FloatArray) -> FloatArray:
    """Transmission of the scenario's clouds, 1 = clear, at times after the satellite's rise (n,)."""
    loss_db = np.zeros_like(since_rise_s)
    for fade in settings.fades:
        inside = np.minimum(since_rise_s - fade.start_s, fade.start_s + fade.duration_s - since_rise_s)
        loss_db += fade.depth_db * np.clip(inside / fade.edge_s, 0.0, 1.0)
    result: FloatArray = 10 ** (-loss_db / 10)
    return result
