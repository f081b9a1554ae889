"""Photons of a star at 850 nm: the receiver's light source of known brightness.

A star of magnitude I = 0 sends 400 photons per s, cm^2 and Angstrom at 850 nm (Bessell, Publ. Astron. Soc. Pac. 91, 589
(1979)).  That holds for a white star; at 850 nm, 45 nm beyond the middle of the I band, a star of V - I = 0.7 is about
3 % brighter than its I magnitude says.
"""

from __future__ import annotations

from math import pi

from qkd_gs.arrays import FloatOrArray
from qkd_gs.settings.downlink import LinkSettings

_PHOTONS_M2_NM = 400 * 1e4 * 10  # of a star of magnitude 0
_FILTER_NM = 1.0


def star_rate(link: LinkSettings, i_mag: FloatOrArray) -> FloatOrArray:
    """Photons a second that a star sends through the telescope's aperture and the filter, above the air."""
    rate: FloatOrArray = _PHOTONS_M2_NM * _FILTER_NM * pi / 4 * link.aperture_m**2 * 10 ** (-0.4 * i_mag)
    return rate
