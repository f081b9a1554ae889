"""Loss of the downlink, from the transmitter's aperture to a click."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfc

from qkd_gs.arrays import FloatArray
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.settings.downlink import LinkSettings, NoiseSettings
from qkd_gs.settings.site import Site

_LEAST_SINE = 0.03


def transmission(
    link: LinkSettings, site: Site, range_m: ArrayLike, el_rad: ArrayLike, offset_rad: ArrayLike
) -> FloatArray:
    """Probability that a photon that leaves the satellite makes a click.

    A Gaussian beam centred on the aperture, ``1 - exp(-2 a^2 / w^2)`` with ``w = R theta / 2``; extinction of the
    site's air times the air mass 1 / sin(el); efficiency and a stated residual; and the part of the image inside the
    field stop, whose edge is taken as straight (good to 1 % while the image is below a quarter of the field).

    Parameters
    ----------
    range_m, el_rad : array_like
        Distance and elevation.
    offset_rad : array_like
        Angle between the 850 nm image and the middle of the field.
    """
    width_m = np.asarray(range_m) * link.divergence_urad * 1e-6 / 2
    geometric = -np.expm1(-2 * (link.aperture_m / 2 / width_m) ** 2)
    air_db = zenith_loss_db(site) * air_mass(el_rad)
    rest = link.system_efficiency * 10 ** (-(air_db + link.residual_db) / 10)
    edge = (np.abs(offset_rad) * 1e6 - link.field_urad / 2) / link.image_sigma_urad
    inside: FloatArray = geometric * rest * 0.5 * erfc(edge / np.sqrt(2))
    return inside


def air_mass(el_rad: ArrayLike) -> FloatArray:
    """Air mass 1 / sin(el), constant below 1.7 deg, where no light is transmitted."""
    mass: FloatArray = 1 / np.maximum(np.sin(el_rad), _LEAST_SINE)
    return mass


def noise_rate(noise: NoiseSettings, glow_cps: float, el_rad: ArrayLike) -> FloatArray:
    """Noise counts a second over the four detectors: dark, night sky, and city glow that falls with elevation."""
    above_deg = np.maximum(np.degrees(el_rad) - noise.glow_floor_deg, 0.0)
    rate: FloatArray = noise.dark_cps + noise.sky_cps + glow_cps * np.exp(-above_deg / noise.glow_scale_deg)
    return rate
