"""Balance of the four detectors in the light of stars, against their calibration.

Starlight is steady and hardly polarized, so the detectors share it as their efficiencies say.  What `qkd-gs
calibrate-detectors` has measured when the station was set up is looked at again whenever stars are counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.calibration.light.readings import BESIDE, HIP, LightReading
from qkd_gs.settings.station import StationSettings
from qkd_gs.timing.balance import PAIRS, imbalances
from qkd_gs.timing.tags import QUANTUM

_SIGMA = 6.0
_POLARIZED = 0.01  # degree of polarization that the light of a white star may have behind the telescope


def balance_of_stars(readings: Sequence[LightReading], station: StationSettings) -> str:
    """Whether the detectors share the light of stars as they were calibrated to, in words.

    Parameters
    ----------
    readings : sequence of LightReading
        On stars and beside them.
    """
    detectors, limit = station.detectors, station.key.max_efficiency_mismatch
    light, variance = _light(readings, detectors.dead_time_ns)
    seen, allowed = imbalances(light), _SIGMA * _errors(light, variance) + _POLARIZED
    for pair, balance, error in zip(PAIRS, seen, allowed, strict=True):
        if abs(balance) > limit + error:
            return f'detectors {pair[0]} and {pair[1]} differ by {balance:+.1%}, {limit:.1%} is allowed: no key is made'
    told = ', '.join(f'{pair[0]}-{pair[1]} {balance:+.1%}' for pair, balance in zip(PAIRS, seen, strict=True))
    if detectors.relative_efficiency is None:
        return f'the detectors are not calibrated, and share the light unevenly by {told}'
    known = imbalances([detectors.relative_efficiency[channel.name] for channel in QUANTUM])
    allowed = allowed + detectors.efficiency_uncertainty
    for pair, balance, stated, error in zip(PAIRS, seen, known, allowed, strict=True):
        if abs(balance - stated) > error:
            said = f'detectors {pair[0]} and {pair[1]} differ by {balance:+.1%}, as calibrated by {stated:+.1%}'
            return f'{said}: run `qkd-gs calibrate-detectors`'
    return f'the detectors share the light as calibrated, within {allowed.max():.1%}'


def _light(readings: Sequence[LightReading], dead_time_ns: float) -> tuple[FloatArray, FloatArray]:
    """Clicks of starlight of the four detectors, without dead time and sky, and their variance; each (4,)."""
    light, variance = np.zeros(4), np.zeros(4)
    for one in readings:
        sign = -1 if one.target.startswith(BESIDE) else 1 if one.target.startswith(HIP) else 0
        light += sign * one.true_rates(dead_time_ns) * one.seconds
        variance += abs(sign) * np.array(one.counts)
    return np.maximum(light, 0.0), variance


def _errors(light: FloatArray, variance: FloatArray) -> FloatArray:
    """Standard error of each imbalance by chance, (3,)."""
    of_pairs = np.array([variance[:2].sum(), variance[2:].sum(), variance.sum()])
    sums = np.array([light[:2].sum(), light[2:].sum(), light.sum()])
    return np.asarray(np.sqrt(of_pairs) / np.maximum(sums, 1.0))
