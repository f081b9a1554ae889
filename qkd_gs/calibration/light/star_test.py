"""Channel efficiency from stars of known brightness: which part of their light makes clicks.

The light of a star crosses the air, the telescope, the module and its fibres, and the detectors, as the satellite's
does; neither the satellite's pointing nor the beam's spread is in it.  What the sky beside the star gives is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, log10, sqrt
from typing import Any

import numpy as np

from qkd_gs.calibration.light.readings import BESIDE, HIP, LightReading
from qkd_gs.calibration.stars import Star
from qkd_gs.downlink.budget import air_mass
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.downlink.starlight import star_rate
from qkd_gs.errors import StationError
from qkd_gs.settings.downlink import LinkSettings
from qkd_gs.settings.site import Site

LEAST_STARS = 3
_I_MAG = (0.3, 4.0)  # brighter: the dead time; fainter: the sky
_V_I = (-0.5, 0.7)  # colours for which I stands for 850 nm
_MAGNITUDE = 0.05  # standard error of a star's I magnitude
_OUTLIER = 0.3  # of a star from the median, magnitudes: a thin cloud, or not in the field
_SCATTER = 0.15  # RMS of the stars, magnitudes: the sky is not the same everywhere
_WEAK, _BROKEN = 0.7, 0.4  # of the stated efficiency


class LightVerdict(StrEnum):
    """Verdict for tonight's passes."""

    GO = 'go'
    WEAK = 'weak'  # a key takes longer, or is not made of a low pass
    NO_GO = 'no go'


@dataclass(frozen=True)
class StarEfficiency:
    """Result for one star."""

    star: Star
    air_mass: float
    expected_cps: float  # in front of the receiver: after the air, before telescope and detectors
    counted_cps: float  # four detectors, dead time and sky taken off
    rejected: str  # why it does not count; ''

    @property
    def efficiency(self) -> float:
        """Clicks per photon in front of the telescope."""
        return self.counted_cps / self.expected_cps


@dataclass(frozen=True)
class StarTest:
    """Result of a test."""

    efficiency: float
    sigma: float  # standard error
    stated: float  # of the settings
    stars: tuple[StarEfficiency, ...]
    shares: tuple[float, float, float, float]  # of H, V, D, A in the light of all stars
    verdict: LightVerdict
    summary: str  # one sentence

    @property
    def gain(self) -> float:
        """Efficiency over the stated one."""
        return self.efficiency / self.stated

    def to_dict(self) -> dict[str, Any]:
        """The result for JSON."""
        return {
            'efficiency': round(self.efficiency, 4),
            'sigma': round(self.sigma, 4),
            'stated': self.stated,
            'shares': dict(zip('HVDA', (round(share, 4) for share in self.shares), strict=True)),
            'verdict': str(self.verdict),
            'summary': self.summary,
            'stars': [
                {
                    'hip': one.star.hip,
                    'name': one.star.name,
                    'i_mag': one.star.i_mag,
                    'air_mass': round(one.air_mass, 3),
                    'efficiency': round(one.efficiency, 4),
                    'rejected': one.rejected,
                }
                for one in self.stars
            ],
        }


def suitable_stars(stars: Sequence[Star]) -> list[Star]:
    """Stars of a catalogue that serve for this test: of known brightness, white, neither too bright nor too faint."""
    return [
        star for star in stars if _I_MAG[0] <= star.i_mag <= _I_MAG[1] and _V_I[0] <= star.v_i <= _V_I[1]
    ]  # not if NaN


def efficiency_of_stars(
    readings: Sequence[LightReading], stars: Sequence[Star], link: LinkSettings, site: Site, dead_time_ns: float
) -> StarTest:
    """Efficiency from readings on stars and beside them.

    Parameters
    ----------
    stars : sequence of Star
        The catalogue.
    link : LinkSettings
        Aperture, and the stated efficiency.
    dead_time_ns : float
        Of a detector.

    Raises
    ------
    StationError
        Fewer than three stars agree, a star that is not in the catalogue, or none of the sky beside one.
    """
    catalogue = {star.hip: star for star in suitable_stars(stars)}
    beside = {one.target.removeprefix(BESIDE): one for one in readings if one.target.startswith(BESIDE)}
    results, light = [], np.zeros(4)
    for one in readings:
        if not one.target.startswith(HIP):
            continue
        star = catalogue.get(int(one.target.removeprefix(HIP)))
        if star is None or not isfinite(star.i_mag):
            raise StationError(f'{one.target} is no star for this test', hint='one of config/stars.csv, V - I < 0.7')
        sky = beside.get(one.target)
        if sky is None:
            raise StationError(f'the sky beside {one.target} was not measured', hint=f"a row '{BESIDE}{one.target}'")
        rates = one.true_rates(dead_time_ns) - sky.true_rates(dead_time_ns)
        mass = float(air_mass(one.el_rad))
        expected = float(star_rate(link, star.i_mag)) * 10 ** (-0.1 * zenith_loss_db(site) * mass)
        results.append(StarEfficiency(star, mass, expected, float(rates.sum()), ''))
        light += np.maximum(rates, 0.0)
    return _together(results, link.system_efficiency, light / max(float(light.sum()), 1e-9))


def _together(results: list[StarEfficiency], stated: float, shares: np.ndarray[Any, Any]) -> StarTest:
    positive = [one.efficiency for one in results if one.counted_cps > 0]
    if len(positive) < LEAST_STARS:
        raise StationError(
            f'{len(positive)} of {len(results)} stars were counted, {LEAST_STARS} are needed',
            hint='is the receiver open, and the sky clear?',
        )
    brightest = float(np.median(positive))
    kept = []
    for k, one in enumerate(results):
        off_mag = -2.5 * log10(max(one.efficiency, 1e-9) / brightest)
        if abs(off_mag) > _OUTLIER:
            way = 'fainter' if off_mag > 0 else 'brighter'
            reason = f'{min(abs(off_mag), 9.9):.1f} mag {way} than the others: a cloud, or not in the field'
            results[k] = StarEfficiency(one.star, one.air_mass, one.expected_cps, one.counted_cps, reason)
        else:
            kept.append(one.efficiency)
    if len(kept) < LEAST_STARS:
        raise StationError(
            f'only {len(kept)} of {len(results)} stars agree within {_OUTLIER} mag', hint='wait for a clear sky'
        )
    mean = float(np.mean(kept))
    scatter = float(np.std(kept, ddof=1)) / mean
    sigma = mean * max(scatter, _MAGNITUDE * 0.921) / sqrt(len(kept))
    verdict = LightVerdict.GO
    if mean < _BROKEN * stated:
        verdict = LightVerdict.NO_GO
    elif mean < _WEAK * stated or scatter > _SCATTER:
        verdict = LightVerdict.WEAK
    said = f'{len(kept)} of {len(results)} stars: {100 * mean:.1f} +- {100 * sigma:.1f} % of the light is counted, '
    said += f'{100 * stated:.0f} % is stated: {verdict}'
    parts = tuple(float(share) for share in shares)
    return StarTest(mean, sigma, stated, tuple(results), parts, verdict, said)  # type: ignore[arg-type]
