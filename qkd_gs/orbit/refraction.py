"""Refraction of a satellite's light: a ray trace through a layered atmosphere, tabulated once for a site."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, radians

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from qkd_gs.arrays import FloatArray
from qkd_gs.orbit.refractivity import refractivity, vapour_pressure_pa
from qkd_gs.settings.site import Site, standard_pressure_pa

BEACON_NM = 532.0
QUANTUM_NM = 850.0

_LAPSE = 0.0065  # K/m
_TROPOPAUSE_M = 11_000.0
_TOP_M = 80_000.0
_GAS_OVER_MOLAR = 8314.32 / 28.9644  # J/(kg K)
_VAPOUR_EXPONENT = 18.0  # water vapour falls as (T/T0)^18 (Hohenkerk and Sinclair 1985)
_NODES = 48
_NEWTON_STEPS = 8
_STEP_RAD = radians(0.1)
_LOWEST_RAD = radians(-90.0)
_BELOW_HORIZON_SCALE_RAD = radians(1.0)


@dataclass(frozen=True)
class Refraction:
    """Refraction of one wavelength at a site as a function of the unrefracted elevation.

    Light of a satellite bends below it, so the satellite appears higher.  Two terms: the bending of light from
    infinitely far, and a correction because the satellite is near (at 20 deg and 1200 km: 15 urad): the
    ray's asymptote passes above the station by `offset_m`.  Source: the integral of Auer and Standish
    (Astron. J. 119, 2472, 2000) in the atmosphere of Hohenkerk and Sinclair (NAO Technical Note 63, 1985:
    6.5 K/km up to 11 km, isothermal above) with refractivities of Ciddor (1996).  Errors: the integral
    1e-9 rad; the real atmosphere differs by about 1 urad at 45 deg, 5 urad at 20 deg and 100 urad at 5 deg.  Below
    the sea horizon the curves are continued smoothly, so that a simulation can run through the horizon.
    """

    bending: FloatArray  # (4, n) cubic pieces over the elevation grid, rad: PPoly order, highest power first
    offset: FloatArray  # (4, n) cubic pieces, m
    first_rad: float  # unrefracted elevation of the first piece
    step_rad: float

    def apparent(self, el_rad: ArrayLike, range_m: ArrayLike = np.inf) -> FloatArray:
        """Apparent elevation of unrefracted `el_rad` (any shape); `range_m` infinite for a star."""
        el = np.asarray(el_rad, dtype=np.float64)
        far = el - self._curve(self.offset, el)[0] / np.asarray(range_m, dtype=np.float64)
        return np.asarray(far + self._curve(self.bending, far)[0])

    def unrefract(self, apparent_rad: ArrayLike, range_m: ArrayLike = np.inf) -> FloatArray:
        """Unrefracted elevation of an apparent one: the inverse of `apparent`, to rounding (Newton)."""
        apparent = np.asarray(apparent_rad, dtype=np.float64)
        ranges = np.asarray(range_m, dtype=np.float64)
        el = apparent
        for _ in range(_NEWTON_STEPS):
            offset, offset_slope = self._curve(self.offset, el)
            far = el - offset / ranges
            bending, bending_slope = self._curve(self.bending, far)
            slope = (1 + bending_slope) * (1 - offset_slope / ranges)
            el = el - (far + bending - apparent) / slope
        return el

    def _curve(self, pieces: FloatArray, el: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Value and slope."""
        x = np.clip((el - self.first_rad) / self.step_rad, 0, pieces.shape[1] - 1e-9)
        k = x.astype(np.int64)
        u = (x - k) * self.step_rad
        c = pieces[:, k]
        return ((c[0] * u + c[1]) * u + c[2]) * u + c[3], (3 * c[0] * u + 2 * c[1]) * u + c[2]


def site_refraction(site: Site, wavelength_nm: float = BEACON_NM) -> Refraction:
    """Refraction at a site in its stated air (pressure not given: standard atmosphere at its altitude)."""
    pressure_pa = 100 * site.pressure_mbar if site.pressure_mbar is not None else standard_pressure_pa(site.altitude_m)
    return _refraction(
        wavelength_nm,
        pressure_pa,
        site.temperature_c + 273.15,
        site.humidity,
        site.altitude_m,
        radians(site.latitude_deg),
    )


def dispersion_rad(el_rad: ArrayLike, site: Site, range_m: ArrayLike = np.inf) -> FloatArray:
    """Elevation of the 532 nm beacon above the 850 nm photons from the same position; 9.3 urad at 20 deg.

    Parameters
    ----------
    el_rad : array_like
        Apparent elevation of the beacon.
    site : Site
        Its air refracts.
    range_m : array_like
        Distance; that a satellite is near takes 2 % off.
    """
    el = site_refraction(site, BEACON_NM).unrefract(el_rad, range_m)
    lower = site_refraction(site, QUANTUM_NM).apparent(el, range_m)
    return np.asarray(np.asarray(el_rad, dtype=np.float64) - lower)


@lru_cache(maxsize=16)
def _refraction(
    wavelength_nm: float,
    pressure_pa: float,
    temperature_k: float,
    humidity: float,
    altitude_m: float,
    latitude_rad: float,
) -> Refraction:
    air = _Air.at_ground(wavelength_nm, pressure_pa, temperature_k, humidity, altitude_m, latitude_rad)
    # the grid is denser at the horizon, where both curves bend most
    zenith = pi / 2 * (1 - np.linspace(1, 0, 1500) ** 2)
    bending, offset = _trace(air, zenith)
    true = pi / 2 - zenith - bending  # unrefracted elevation, falling
    grid = np.arange(_LOWEST_RAD, pi / 2 + 2 * _STEP_RAD, _STEP_RAD)
    return Refraction(
        bending=_pieces(true[::-1], bending[::-1], grid, zenith_parity=-1),
        offset=_pieces(true[::-1], offset[::-1], grid, zenith_parity=-1),
        first_rad=float(grid[0]),
        step_rad=_STEP_RAD,
    )


def _pieces(x: FloatArray, y: FloatArray, grid: FloatArray, zenith_parity: int) -> FloatArray:
    """Cubic pieces on a uniform grid: odd about the zenith, and levelling off smoothly below the first point."""
    mirrored_x = np.concatenate((x, pi - x[-2:-40:-1]))
    mirrored_y = np.concatenate((y, zenith_parity * y[-2:-40:-1]))
    curve = CubicSpline(mirrored_x, mirrored_y)
    slope = float(curve(x[0], 1))
    below = np.minimum(grid - x[0], 0.0) / _BELOW_HORIZON_SCALE_RAD
    values = curve(np.maximum(grid, x[0])) + slope * _BELOW_HORIZON_SCALE_RAD * np.expm1(below)
    return np.ascontiguousarray(CubicSpline(grid, values).c)


@dataclass(frozen=True)
class _Air:
    """Refractive index over height above the station (m): two layers, gravity constant."""

    radius_m: float  # of curvature of the Earth below the station, plus its altitude
    tropopause_m: float  # above the station
    temperature_k: float
    dry: float  # n - 1 at the ground
    vapour: float
    pressure_exponent: float  # P ~ (T/T0)^exponent in the troposphere
    vapour_share: float  # of the pressure at the ground
    scale_m: float  # scale height of the isothermal layer

    @classmethod
    def at_ground(
        cls,
        wavelength_nm: float,
        pressure_pa: float,
        temperature_k: float,
        humidity: float,
        altitude_m: float,
        latitude_rad: float,
    ) -> _Air:
        parts = refractivity(wavelength_nm, pressure_pa, temperature_k, humidity)
        gravity = 9.784 * (1 - 0.0026 * cos(2 * latitude_rad) - 0.28e-6 * altitude_m)
        tropopause_m = max(_TROPOPAUSE_M - altitude_m, 100.0)
        return cls(
            radius_m=6_371_000.0 + altitude_m,
            tropopause_m=tropopause_m,
            temperature_k=temperature_k,
            dry=parts.dry,
            vapour=parts.vapour,
            pressure_exponent=gravity / (_GAS_OVER_MOLAR * _LAPSE),
            vapour_share=vapour_pressure_pa(pressure_pa, temperature_k, humidity) / pressure_pa,
            scale_m=_GAS_OVER_MOLAR * (temperature_k - _LAPSE * tropopause_m) / gravity,
        )

    def troposphere(self, h: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Refractivity n - 1, and its slope (1/m)."""
        t = 1 - _LAPSE * np.minimum(h, 1.5 * self.tropopause_m) / self.temperature_k  # T / T0
        slope_t = -_LAPSE / self.temperature_k
        share, e, w = self.vapour_share, self.pressure_exponent, _VAPOUR_EXPONENT
        # pressure of dry air is what the vapour leaves of the whole
        dry = self.dry / (1 - share) * (t ** (e - 1) - share * t ** (w - 1))
        dry_slope = self.dry / (1 - share) * ((e - 1) * t ** (e - 2) - share * (w - 1) * t ** (w - 2)) * slope_t
        wet = self.vapour * t ** (w - 1)
        return dry + wet, dry_slope + self.vapour * (w - 1) * t ** (w - 2) * slope_t

    def stratosphere(self, h: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Refractivity n - 1, and its slope (1/m)."""
        foot, _ = self.troposphere(np.array(self.tropopause_m))
        n = foot * np.exp(-(h - self.tropopause_m) / self.scale_m)
        return n, -n / self.scale_m


def _trace(air: _Air, zenith: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bending (rad) and offset (m) of rays that arrive at apparent zenith angles (n,)."""
    n0 = 1 + float(air.troposphere(np.array(0.0))[0])
    invariant = n0 * air.radius_m * np.sin(zenith)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    edges = [zenith]
    for layer, height in ((air.troposphere, air.tropopause_m), (air.stratosphere, _TOP_M)):
        n, _ = layer(np.array(height))
        edges.append(np.arcsin(invariant / ((1 + n) * (air.radius_m + height))))
    bending = np.zeros_like(zenith)
    for low, high, layer, guess in (
        (edges[1], edges[0], air.troposphere, air.tropopause_m / 2),
        (edges[2], edges[1], air.stratosphere, air.tropopause_m + 10_000),
    ):
        half = (high - low)[:, None] / 2
        psi = (high + low)[:, None] / 2 + half * nodes
        nr = np.divide(invariant[:, None], np.sin(psi), out=np.full_like(psi, air.radius_m), where=psi > 0)
        h = np.full_like(psi, guess)
        for _ in range(12):
            n, slope = layer(h)
            r = air.radius_m + h
            h = h - ((1 + n) * r - nr) / (1 + n + r * slope)
        n, slope = layer(h)
        r = air.radius_m + h
        bending += ((-r * slope / (1 + n + r * slope)) @ weights) * half[:, 0]
    offset = invariant - air.radius_m * np.sin(zenith + bending)
    return bending, offset
