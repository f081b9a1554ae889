"""Photometry of laser beams, stars and sky, in SI units and photo-electrons."""

from __future__ import annotations

from math import asin, degrees, exp, log10, pi, sin

from qkd_gs.arrays import FloatOrArray
from qkd_gs.settings.twin_plant import CameraPlantSettings, SkySettings

_PLANCK_LIGHT = 1.98644586e-25  # h c, J m
_ARCSEC_URAD = 4.84813681


def beam_irradiance(power_w: float, divergence_rad: float, range_m: float, off_axis_rad: float) -> float:
    """Irradiance of a Gaussian beam in its far field, W/m^2, without air.

    Parameters
    ----------
    divergence_rad : float
        Full angle between the 1/e^2 points: the waist grows as half of it times the range.
    off_axis_rad : float
        Angle from the beam's axis.
    """
    half = divergence_rad / 2
    waist = half * range_m
    return 2 * power_w / (pi * waist**2) * exp(-2 * (off_axis_rad / half) ** 2)


def electrons_a_watt(camera: CameraPlantSettings, wavelength_m: float) -> float:
    """Photo-electrons a second for each W/m^2 in front of a camera's aperture."""
    return pi / 4 * camera.aperture_m**2 * camera.throughput * wavelength_m / _PLANCK_LIGHT


def star_electrons(camera: CameraPlantSettings, sky: SkySettings, magnitude: FloatOrArray) -> FloatOrArray:
    """Photo-electrons a second of stars above the air."""
    area = pi / 4 * camera.aperture_m**2
    zero = sky.star_photons_m2_s_nm * camera.filter_nm * area * camera.throughput
    electrons: FloatOrArray = zero * 10 ** (-0.4 * magnitude)
    return electrons


def faintest(camera: CameraPlantSettings, sky: SkySettings, electrons_s: float) -> float:
    """Magnitude of a star above the air that gives so many photo-electrons a second: inverse of `star_electrons`."""
    return -2.5 * log10(electrons_s / star_electrons(camera, sky, 0.0))


def sky_electrons(camera: CameraPlantSettings, sky: SkySettings, scale_urad_px: float, el_rad: float) -> float:
    """Photo-electrons a second and pixel of the sky behind the stars: night sky, and city glow near the horizon."""
    square_arcsec = (scale_urad_px / _ARCSEC_URAD) ** 2
    zenith = star_electrons(camera, sky, sky.zenith_mag_arcsec2) * square_arcsec
    return zenith * (1 + sky.glow_ratio * glow(sky, el_rad))


def sky_gradient(sky: SkySettings, el_rad: float) -> float:
    """Relative change of the sky's brightness with elevation, 1/rad."""
    part = sky.glow_ratio * glow(sky, el_rad)
    return -part / (1 + part) * 180 / pi / sky.glow_scale_deg


def glow(sky: SkySettings, el_rad: float) -> float:
    """City glow relative to the horizon's."""
    return exp(-max(degrees(asin(sin(el_rad))), 0.0) / sky.glow_scale_deg)
