"""Efficiencies of the four detectors relative to each other, from a star or a lamp and a measurement in the dark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.timing.tags import QUANTUM

_LEAST_CLICKS = 10_000
_MAX_DEAD = 0.1
_SIGMA = 6.0


@dataclass(frozen=True)
class EfficiencyCalibration:
    """Relative efficiencies of H, V, D, A and their dark counts; arrays (4,).

    Attributes
    ----------
    efficiency : (4,) float64
        Splitters, fibres and diodes together; their mean is 1.
    dark_cps : (4,) float64
    uncertainty : float
        Largest error of an efficiency: 6 standard errors, and the polarization that the light may have.
    """

    efficiency: AnyFloatArray
    dark_cps: AnyFloatArray
    uncertainty: float


def calibrate_efficiencies(
    lit: IntArray, lit_s: float, dark: IntArray, dark_s: float, dead_s: float, polarization: float
) -> EfficiencyCalibration:
    """Measure the relative efficiencies with light that is steady and unpolarized.

    Parameters
    ----------
    lit, dark : (4,) int64
        Clicks with the light, and without.
    lit_s, dark_s : float
        Length of each measurement.
    dead_s : float
        Dead time of a detector.
    polarization : float
        Largest degree of polarization that the light may have: a polarized star looks like unequal detectors.

    Raises
    ------
    StationError
        Too little light, or too much.
    """
    rate, dark_cps = lit / lit_s, dark / dark_s
    if np.any(rate * dead_s > _MAX_DEAD):
        raise StationError('the light is so bright that the dead time hides its rate', hint='dim it')
    true_cps = rate / (1 - rate * dead_s) - dark_cps / (1 - dark_cps * dead_s)
    faint = [channel.name for channel, cps in zip(QUANTUM, true_cps, strict=True) if cps * lit_s < _LEAST_CLICKS]
    if faint:
        raise StationError(f'{faint[0]}: fewer than {_LEAST_CLICKS} clicks of light', hint='measure longer')
    efficiency = true_cps / true_cps.mean()
    error = np.sqrt(rate / lit_s + dark_cps / dark_s) / true_cps
    return EfficiencyCalibration(efficiency, dark_cps, float(_SIGMA * error.max() + polarization))
