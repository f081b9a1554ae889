"""Noise counts of the receiver: detectors, night sky, city light, Moon, and a satellite in sunlight.

Moonlight follows Krisciunas and Schaefer, Publ. Astron. Soc. Pac. 103, 1033 (1991), in the V band; the colour of
moonlight (V - I = 0.7) turns it into photons at 850 nm (`starlight`).
"""

from __future__ import annotations

from math import pi

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.downlink.budget import noise_rate
from qkd_gs.downlink.starlight import star_rate
from qkd_gs.orbit.sky import sun_and_moon_itrs_m
from qkd_gs.orbit.vectors import enu_from_azel, enu_rotation, site_itrs_m
from qkd_gs.settings.downlink import LinkSettings, NoiseSettings
from qkd_gs.settings.site import Site

_MOON_COLOUR = 0.7  # V - I
_ARCSEC_URAD = 4.84813681
_EXTINCTION_V = 0.172  # magnitudes per air mass, as in the source
_EARTH_RADIUS_M = 6.378e6
_STANDARD_M = 1e6


def background_rate(
    noise: NoiseSettings,
    link: LinkSettings,
    site: Site,
    t_ns: IntArray,
    az_rad: FloatArray,
    el_rad: FloatArray,
    range_m: FloatArray,
) -> FloatArray:
    """Noise counts a second over the four detectors towards a satellite; arrays (n,), times UTC.

    A sunlit satellite shines as a diffuse sphere: `sunlit_mag` at 1000 km and a phase angle of 90 deg.
    """
    sun_m, moon_m = sun_and_moon_itrs_m(t_ns)
    here_m, rotation = site_itrs_m(site), enu_rotation(site)
    towards = enu_from_azel(az_rad, el_rad)
    to_moon = (moon_m - here_m) @ rotation.T
    moon = to_moon / np.linalg.norm(to_moon, axis=1)[:, None]
    moon_off = np.arccos(np.clip(np.sum(moon * towards, axis=1), -1, 1))
    phase = np.arccos(np.clip(-np.sum(_unit(sun_m - moon_m) * _unit(moon_m), axis=1), -1, 1))
    receiver = star_rate(link, 0.0) * link.system_efficiency
    field_arcsec2 = pi / 4 * (link.field_urad / _ARCSEC_URAD) ** 2
    magnitudes = moonlight_mag(phase, moon_off, np.arcsin(np.clip(moon[:, 2], -1, 1)), el_rad)
    moonlit = receiver * field_arcsec2 * 10 ** (-0.4 * (magnitudes - _MOON_COLOUR))
    satellite_m = here_m + range_m[:, None] * (towards @ rotation)
    towards_sun, towards_site = _unit(sun_m - satellite_m), _unit(here_m - satellite_m)
    reflected = diffuse_sphere(np.arccos(np.clip(np.sum(towards_sun * towards_site, axis=1), -1, 1)))
    glare = receiver * 10 ** (-0.4 * noise.sunlit_mag) * (_STANDARD_M / range_m) ** 2 * reflected
    rate: FloatArray = noise_rate(noise, site.glow_cps, el_rad) + moonlit + glare * in_sunlight(satellite_m, sun_m)
    return rate


def diffuse_sphere(phase_rad: FloatArray) -> FloatArray:
    """Brightness of a diffusely reflecting sphere at a phase angle (0: full), relative to 90 deg."""
    brightness: FloatArray = np.sin(phase_rad) + (np.pi - phase_rad) * np.cos(phase_rad)
    return brightness


def moonlight_mag(
    phase_rad: FloatArray, off_rad: FloatArray, moon_el_rad: FloatArray, el_rad: FloatArray
) -> FloatArray:
    """Brightness of the sky by scattered moonlight, V magnitudes per square arcsecond; inf with the Moon down.

    Parameters
    ----------
    phase_rad : ndarray, (n,)
        Sun - Moon - Earth: 0 for a full Moon.
    off_rad : ndarray, (n,)
        Angle between the line of sight and the Moon.
    """
    phase_deg, off_deg = np.degrees(phase_rad), np.degrees(off_rad)
    lit = 10 ** (-0.4 * (3.84 + 0.026 * phase_deg + 4e-9 * phase_deg**4))
    scattering = 10**5.36 * (1.06 + np.cos(off_rad) ** 2) + 10 ** (6.15 - off_deg / 40)
    through = 10 ** (-0.4 * _EXTINCTION_V * _air_mass(moon_el_rad))
    filled = 1 - 10 ** (-0.4 * _EXTINCTION_V * _air_mass(el_rad))
    nanolamberts = np.where(moon_el_rad > 0, scattering * lit * through * filled, 0.0)
    with np.errstate(divide='ignore'):
        mag: FloatArray = (20.7233 - np.log(nanolamberts / 34.08)) / 0.92104
    return mag


def in_sunlight(satellite_itrs_m: FloatArray, sun_itrs_m: FloatArray) -> FloatArray:
    """1 where a satellite sees the Sun past the Earth's sphere, else 0; arrays (n, 3) to (n,)."""
    along = np.sum(satellite_itrs_m * _unit(sun_itrs_m), axis=1)
    aside = np.sqrt(np.maximum(np.sum(satellite_itrs_m**2, axis=1) - along**2, 0.0))
    lit: FloatArray = ((along > 0) | (aside > _EARTH_RADIUS_M)).astype(np.float64)
    return lit


def _air_mass(el_rad: FloatArray) -> FloatArray:
    """Air mass of the source: finite at the horizon."""
    mass: FloatArray = 1 / np.sqrt(1 - 0.96 * np.cos(np.maximum(el_rad, 0.0)) ** 2)
    return mass


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return unit
