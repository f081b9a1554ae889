"""Extinction of the air at 850 nm from what is stated of a site: altitude, aerosol, visibility, humidity.

Sources
-------
Rayleigh scattering: Hansen and Travis, Space Sci. Rev. 16, 527 (1974), eq. 2.30; it falls with the pressure.
Aerosol: visibility as the meteorological optical range at 550 nm (WMO-No. 8: 5 % of the light is left), and the
wavelength exponent of Kruse, McGlauchlin and McQuistan, Elements of Infrared Technology (1962), in the form of Kim,
McArthur and Korevaar, Proc. SPIE 4214, 26 (2001).
Scale heights: 1.2 km over land (Elterman, AFCRL-68-0153), 1.0 km at the coast (OPAC: Hess, Koepke and Schult,
Bull. Am. Meteorol. Soc. 79, 831 (1998)).
Humidity: growth of extinction by ((1 - 0.7) / (1 - RH))^0.5 above 70 %, after Haenel, Adv. Geophys. 19, 73 (1976).
A visibility of 23 km is "clear" in the international visibility code; over land it makes an optical depth of 0.156 at
550 nm, as OPAC's "continental average" (0.151).
"""

from __future__ import annotations

from math import exp, log, log10

from qkd_gs.settings.site import Site, standard_pressure_pa

WAVELENGTH_UM = 0.85
_LEFT = -log(0.05)  # optical depth of the visibility
_VISIBLE_UM = 0.55
_RAYLEIGH_SEA_LEVEL = 0.008569 * WAVELENGTH_UM**-4 * (1 + 0.0113 * WAVELENGTH_UM**-2 + 0.00013 * WAVELENGTH_UM**-4)
_SCALE_HEIGHT_KM = {'continental': 1.2, 'maritime': 1.0}
_DRY = 0.7
_GROWTH = 0.5
_DB = 10 * log10(exp(1))  # of an optical depth of 1


def zenith_loss_db(site: Site) -> float:
    """Loss from the top of the atmosphere to the site at the zenith, 850 nm, dB.

    The visibility is that of a station at sea level with the site's class of air; the aerosol thins out with the
    altitude of the site.
    """
    pressure = site.pressure_mbar * 100 if site.pressure_mbar is not None else standard_pressure_pa(site.altitude_m)
    rayleigh = _RAYLEIGH_SEA_LEVEL * pressure / standard_pressure_pa(0)
    height_km = _SCALE_HEIGHT_KM[site.aerosol]
    surface: float = _LEFT / site.visibility_km * (WAVELENGTH_UM / _VISIBLE_UM) ** -_exponent(site.visibility_km)
    growth = ((1 - _DRY) / (1 - min(site.humidity, 0.99))) ** _GROWTH if site.humidity > _DRY else 1.0
    aerosol = surface * growth * height_km * exp(-max(site.altitude_m, 0.0) / 1e3 / height_km)
    return float(_DB * (rayleigh + aerosol))


def _exponent(visibility_km: float) -> float:
    """Kim's exponent of the wavelength: 1.6 in very clear air, 0 in fog."""
    if visibility_km > 50:
        return 1.6
    if visibility_km > 6:
        return 1.3
    if visibility_km > 1:
        return 0.16 * visibility_km + 0.34
    return max(visibility_km - 0.5, 0.0)
