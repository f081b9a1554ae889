"""Refractivity of air after Ciddor (1996), split into dry air and water vapour."""

from __future__ import annotations

from math import exp
from typing import NamedTuple

_GAS_CONSTANT = 8.314510  # J/(mol K), the value Ciddor's constants were fitted with
_MOLAR_WATER = 0.018015  # kg/mol
_CO2_PPM = 450.0


class Refractivity(NamedTuple):
    """n - 1 of moist air as a sum; each part is proportional to its gas's density."""

    dry: float
    vapour: float


def refractivity(wavelength_nm: float, pressure_pa: float, temperature_k: float, humidity: float) -> Refractivity:
    """Phase refractivity n - 1 of moist air with 450 ppm of CO2.

    Parameters
    ----------
    wavelength_nm : float
        Vacuum wavelength, 300 to 1690 nm.
    pressure_pa : float
        Total pressure.
    temperature_k : float
        Air temperature.
    humidity : float
        Relative humidity, 0 to 1.

    Notes
    -----
    P. E. Ciddor, Appl. Opt. 35, 1566 (1996), equations 1 to 5 and appendices A and B; stated to be good to
    5e-8 between -40 and 100 degrees C.
    """
    s = (1e3 / wavelength_nm) ** 2  # 1/um^2
    standard_dry = 1e-8 * (5792105 / (238.0185 - s) + 167917 / (57.362 - s))
    standard_dry *= 1 + 0.534e-6 * (_CO2_PPM - 450)
    standard_vapour = 1.022e-8 * (295.235 + s * (2.6422 + s * (-0.032380 + s * 0.004028)))
    molar_dry = 1e-3 * (28.9635 + 12.011e-6 * (_CO2_PPM - 400))

    x = vapour_pressure_pa(pressure_pa, temperature_k, humidity) / pressure_pa
    moles = pressure_pa / (_compressibility(pressure_pa, temperature_k, x) * _GAS_CONSTANT * temperature_k)
    reference_dry = 101325 * molar_dry / (_compressibility(101325, 288.15, 0) * _GAS_CONSTANT * 288.15)
    reference_vapour = 1333 * _MOLAR_WATER / (_compressibility(1333, 293.15, 1) * _GAS_CONSTANT * 293.15)
    return Refractivity(
        dry=standard_dry * moles * (1 - x) * molar_dry / reference_dry,
        vapour=standard_vapour * moles * x * _MOLAR_WATER / reference_vapour,
    )


def vapour_pressure_pa(pressure_pa: float, temperature_k: float, humidity: float) -> float:
    """Partial pressure of water vapour (with the enhancement factor), over water, or over ice below 0 C."""
    t = temperature_k - 273.15
    if t >= 0:
        saturation = exp(1.2378847e-5 * temperature_k**2 - 1.9121316e-2 * temperature_k + 33.93711047
                         - 6343.1645 / temperature_k)  # fmt: skip
    else:
        saturation = 10 ** (-2663.5 / temperature_k + 12.537)
    enhancement = 1.00062 + 3.14e-8 * pressure_pa + 5.6e-7 * t * t
    return humidity * enhancement * saturation


def _compressibility(pressure_pa: float, temperature_k: float, x: float) -> float:
    """Z of moist air with a molar fraction x of water (Ciddor 1996, appendix A, equation 12)."""
    t = temperature_k - 273.15
    ratio = pressure_pa / temperature_k
    first = 1.58123e-6 - 2.9331e-8 * t + 1.1043e-10 * t * t
    first += (5.707e-6 - 2.051e-8 * t) * x + (1.9898e-4 - 2.376e-6 * t) * x * x
    return 1 - ratio * first + ratio * ratio * (1.83e-11 - 0.765e-8 * x * x)
