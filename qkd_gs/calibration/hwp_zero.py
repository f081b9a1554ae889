"""Zero of the half-wave plate from trusted light of known linear polarization.

A polarizer in front of the telescope, level with it, makes light of a known polarization angle.  Turning the HWP by
an angle a turns the polarization at the analyser by 2 a, so each detector's count varies as 1 + V cos 4 (a - a0):
Malus' law.  The phase of this curve is the zero; neither the efficiencies nor the brightness of the light matter, as
long as they stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, pi, remainder

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.timing.tags import QUANTUM

_LEAST_ANGLES = 6
_LEAST_VISIBILITY = 0.5
_MAX_SIGMA_RAD = 2e-3  # 0.1 deg
_MAX_DISAGREEMENT_RAD = 9e-3  # between the detectors: 0.5 deg
_ANALYSER_RAD = np.array([0.0, pi / 2, pi / 4, -pi / 4])  # of H, V, D, A


@dataclass(frozen=True)
class HwpZero:
    """Angle of the HWP that turns the telescope's horizontal onto the receiver's H axis.

    Attributes
    ----------
    zero_rad : float
        Angle on the rotator's scale; of the angles a quarter turn apart that the counts allow, the one nearest to the
        approximate zero.
    sigma_rad : float
        Standard error.
    visibility : (4,) float64
        Of the curves of H, V, D, A.
    """

    zero_rad: float
    sigma_rad: float
    visibility: FloatArray


def fit_hwp_zero(
    hwp_rad: FloatArray, counts: IntArray, polarization_rad: float, near_rad: float, parity: int = 1
) -> HwpZero:
    """Fit the zero to counts of the four detectors at several angles of the HWP.

    Parameters
    ----------
    hwp_rad : ndarray, (n,)
        Angles on the rotator's own scale, spread over at least a quarter turn.
    counts : ndarray, (n, 4)
        Clicks of H, V, D, A at each, all of the same duration.
    polarization_rad : float
        Polarization angle of the light in the tube, counter-clockwise seen against the light.
    near_rad : float
        Approximate zero, right within 45 deg.
    parity : int
        See `pointing.polarization`.

    Raises
    ------
    StationError
        Too few angles, too little light or polarization, or detectors that contradict each other.
    """
    if len(np.unique(np.round(np.mod(hwp_rad, pi / 2), 3))) < _LEAST_ANGLES:
        raise StationError(
            f'fewer than {_LEAST_ANGLES} different angles of the half-wave plate', hint='turn it through 90 deg'
        )
    design = np.stack([np.ones(len(hwp_rad)), np.cos(4 * hwp_rad), np.sin(4 * hwp_rad)], axis=1)
    zeros, variances, visibility = np.empty(4), np.empty(4), np.empty(4)
    for k, channel in enumerate(QUANTUM):
        mean, in_phase, in_quadrature = np.linalg.lstsq(design, counts[:, k].astype(float), rcond=None)[0]
        swing = float(np.hypot(in_phase, in_quadrature))
        visibility[k] = swing / mean if mean > 0 else 0.0
        if visibility[k] < _LEAST_VISIBILITY:
            raise StationError(
                f'{channel.name}: the counts hardly follow the half-wave plate (visibility {visibility[k]:.2f})',
                hint='is the polarizer in place, and the room dark?',
            )
        # the count is highest where 2 parity (a - zero) is the polarization minus the analyser's axis, mod pi
        at = np.arctan2(in_quadrature, in_phase) / 4
        zero = at - parity * (polarization_rad - _ANALYSER_RAD[k]) / 2
        zeros[k] = near_rad + remainder(float(zero - near_rad), pi / 2)
        noise = float(np.mean(counts[:, k])) * 2 / len(hwp_rad)
        variances[k] = noise / (4 * swing) ** 2
    weights = 1 / variances
    zero_rad = float(np.sum(weights * zeros) / np.sum(weights))
    off = zeros - zero_rad
    counted = float(np.sqrt(1 / np.sum(weights)))
    if counted > _MAX_SIGMA_RAD:
        raise StationError(f'the zero is only known to {degrees(counted):.2f} deg', hint='measure longer')
    worst = int(np.argmax(np.abs(off)))
    if abs(off[worst]) > _MAX_DISAGREEMENT_RAD:
        raise StationError(
            f'{QUANTUM[worst].name} gives another zero than the mean, by {degrees(off[worst]):.2f} deg',
            hint='the axes of the two bases are not 45 deg apart, or hwp.parity is wrong',
        )
    sigma = float(np.hypot(counted, np.std(off) / 2))
    return HwpZero(zero_rad, sigma, visibility)
