"""Balance of the detectors: between the two of a basis, and between the bases.

The proof takes detectors of equal efficiency and an even splitter.  Whoever can make one detector click more often than
another, by the wavelength or the time of the light, knows something of the bit or of the basis.  So the clicks must be
balanced within a few per cent; and where the efficiencies were measured before the pass with trusted light, the clicks
of the pass must show the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.processing.anomalies import Anomaly
from qkd_gs.timing.balance import PAIRS, imbalances
from qkd_gs.timing.tags import QUANTUM

_SIGMA = 6.0  # of chance: 1e-9 a look
_PART = 10  # seconds over which the balance is judged, beside the whole
_NAMES = tuple(channel.name for channel in QUANTUM)


def find_imbalances(
    counts: IntArray, limit: float, efficiency: Mapping[str, float] | None, uncertainty: float
) -> list[Anomaly]:
    """Find imbalances; all are fatal.

    Parameters
    ----------
    counts : (n, 4) int64
        Clicks inside the gate by second and detector H, V, D, A.
    limit : float
        Largest imbalance that the proof is told: difference over sum.
    efficiency : mapping, optional
        Relative efficiencies of the detectors as calibrated.
    uncertainty : float
        Their largest error.
    """
    parts = np.add.reduceat(counts, np.arange(0, len(counts), _PART), axis=0) if len(counts) else counts
    looks = [('the whole pass', counts.sum(axis=0))]
    looks += [(f'second {_PART * number} on', part) for number, part in enumerate(parts)]
    found = [_unbalanced(name, clicks, limit) for name, clicks in looks]
    if efficiency is not None:
        calibrated = np.array([efficiency[name] for name in _NAMES])
        found += [_uncalibrated(name, clicks, calibrated, uncertainty) for name, clicks in looks]
    return [anomaly for anomaly in found if anomaly is not None][:1]


def _chance(clicks: IntArray) -> AnyFloatArray:
    """Six standard deviations of each imbalance by chance."""
    h, v, d, a = (float(count) for count in clicks)
    chance: AnyFloatArray = _SIGMA / np.sqrt(np.maximum([h + v, d + a, h + v + d + a], 1.0))
    return chance


def _unbalanced(name: str, clicks: IntArray, limit: float) -> Anomaly | None:
    """Detectors, or bases, that differ by more than the proof is told."""
    seen = imbalances(clicks)
    for pair, balance, chance in zip(PAIRS, seen, _chance(clicks), strict=True):
        if abs(balance) > limit + chance:
            return Anomaly(
                'unbalanced',
                f'{name}: {pair[0]} and {pair[1]} differ by {abs(balance):.1%}, {limit:.1%} is allowed',
                True,
            )
    return None


def _uncalibrated(name: str, clicks: IntArray, calibrated: AnyFloatArray, uncertainty: float) -> Anomaly | None:
    """An imbalance that is not the calibrated one: somebody steers which detector, or which basis, clicks."""
    seen, expected = imbalances(clicks), imbalances(calibrated)
    for pair, balance, known, chance in zip(PAIRS, seen, expected, _chance(clicks), strict=True):
        if abs(balance - known) > uncertainty + chance:
            return Anomaly(
                'not_as_calibrated',
                f'{name}: {pair[0]} and {pair[1]} differ by {balance:+.1%}, as calibrated by {known:+.1%},'
                f' {uncertainty:.1%} of error is allowed',
                True,
            )
    return None
