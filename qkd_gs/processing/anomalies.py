"""Anomalies in the clicks of a pass: signs of a faulty receiver or of detector control with bright light.

The proof takes four detectors that answer alike, each pulse by itself.  Where the clicks show that they did not, no
key is made (`Anomaly.fatal`).  What is odd but covered (multiple clicks cost key by their random bits) is flagged.
Detector control by bright light (Lydersen et al., Nature Photonics 4, 686 (2010)) is not covered by the proof; its
known traces are looked for here, and an attack without them would not be seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.timing.clicks import ClickStatistics
from qkd_gs.timing.tags import QUANTUM

_SIGMA = 6.0  # of chance: 1e-9 a look
_MULTIPLE_FACTOR = 4.0  # turbulence gathers photons: the mean square of a scintillating signal is up to twice as large
_JUMP_FACTOR = 5.0
_JUMP_REACH = 10  # seconds either side that a second is compared with
_INTERVAL = 10  # seconds without a dark count that say something
_SILENT_MEAN = 40.0  # counts of the other three: chance alone leaves a detector out with e^-40
_MAX_TOO_SOON = 1e-3  # of all clicks
_MAX_TAIL = 1e-3  # afterpulses behind the hold-off, of all clicks


@dataclass(frozen=True)
class Anomaly:
    """One anomaly.

    Attributes
    ----------
    kind : str
        ``coincidences``, ``rate_jump``, ``silent_detector``, ``no_noise``, ``too_soon``, or
        ``afterpulse_tail``.
    detail : str
        One sentence with figures.
    fatal : bool
        The proof does not hold for such clicks: no key is made.
    """

    kind: str
    detail: str
    fatal: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def find_anomalies(clicks: ClickStatistics, pulses_a_bin: int, bunching: float) -> list[Anomaly]:
    """Find anomalies in the clicks of a pass.

    Parameters
    ----------
    clicks : ClickStatistics
        Of the locked time.
    pulses_a_bin : int
        Pulses of a second.
    bunching : float
        Mean square of the source's intensity over the square of its mean (see `bunching_of`).
    """
    found = (
        _coincidences(clicks, pulses_a_bin, bunching),
        _rate_jump(clicks.counts),
        _silent(clicks.counts),
        _no_noise(clicks),
        _too_soon(clicks),
        _tail(clicks),
    )
    return [anomaly for anomaly in found if anomaly is not None]


def bunching_of(mu: tuple[float, ...], probability: tuple[float, ...]) -> float:
    """Ratio of photon pairs to those of a source of one intensity with the same mean."""
    mean = float(np.dot(mu, probability))
    return float(np.dot(np.square(mu), probability)) / mean**2


def _coincidences(clicks: ClickStatistics, pulses_a_bin: int, bunching: float) -> Anomaly | None:
    """Far more slots with several clicks than independent photons make: bright pulses."""
    total = clicks.counts.sum(axis=1)
    expected = float(np.sum(total.astype(float) ** 2)) / (2 * pulses_a_bin) * 0.75 * bunching  # 3 of 4 pairs differ
    seen = int(clicks.multiple.sum())
    limit = _MULTIPLE_FACTOR * expected
    if seen <= limit + _SIGMA * np.sqrt(limit + 1) + 10:
        return None
    return Anomaly('coincidences', f'{seen} pulses with several clicks, {expected:.0f} were to be expected', False)


def _rate_jump(counts: IntArray) -> Anomaly | None:
    """A second in which a detector clicks far more than in the seconds around it.  Less is a cloud."""
    for column, channel in zip(counts.T, QUANTUM, strict=True):
        for second, here in enumerate(column):
            first = max(second - _JUMP_REACH, 0)
            around = np.delete(column[first : second + _JUMP_REACH + 1], second - first)
            around = around[around > 0]  # seconds out of lock say nothing
            if len(around) < 3:
                continue
            usual = float(np.median(around))
            limit = _JUMP_FACTOR * usual
            if here > limit + _SIGMA * np.sqrt(limit + 1):
                return Anomaly(
                    'rate_jump', f'{channel.name}: {here} clicks in second {second}, {usual:.0f} usual', False
                )
    return None


def _silent(counts: IntArray) -> Anomaly | None:
    """A detector without a click in a second in which the others have many: blinded, or dead."""
    mean_of_others = (counts.sum(axis=1, keepdims=True) - counts) / 3
    second, detector = np.nonzero((counts == 0) & (mean_of_others > _SILENT_MEAN))
    if not len(second):
        return None
    names = sorted({QUANTUM[d].name for d in detector})
    return Anomaly('silent_detector', f'{", ".join(names)}: no click in {len(set(second.tolist()))} s of light', True)


def _no_noise(clicks: ClickStatistics) -> Anomaly | None:
    """A detector with light and yet no dark counts: blinded diodes have none, they only click when they are told to.

    A diode that counts single photons has tens of dark counts a second, and most fall outside the gate.
    """
    starts = np.arange(0, len(clicks.counts) - _INTERVAL + 1, _INTERVAL)
    if not len(starts):
        return None
    end = starts[-1] + _INTERVAL
    light = np.add.reduceat(clicks.counts[:end], starts, axis=0)
    interval, detector = np.nonzero(
        (np.add.reduceat(clicks.outside[:end], starts, axis=0) == 0) & (light > _INTERVAL * _SILENT_MEAN)
    )
    if not len(interval):
        return None
    names = sorted({QUANTUM[d].name for d in detector})
    return Anomaly('no_noise', f'{", ".join(names)}: photons, but no dark count in {_INTERVAL} s', True)


def _too_soon(clicks: ClickStatistics) -> Anomaly | None:
    """Clicks within the dead time: a diode under bright light no longer counts single photons."""
    total = int(clicks.counts.sum())
    if clicks.too_soon <= _MAX_TOO_SOON * total + _SIGMA * np.sqrt(_MAX_TOO_SOON * total + 1):
        return None
    return Anomaly(
        'too_soon', f'{clicks.too_soon} of {total} clicks came within half the dead time of their diode', True
    )


def _tail(clicks: ClickStatistics) -> Anomaly | None:
    """Afterpulses that outlast the hold-off: it is too short for these diodes."""
    total, chance = int(clicks.counts.sum()), clicks.other[1] / 3
    excess = float(clicks.same[1] - chance)
    if excess <= _MAX_TAIL * total + _SIGMA * np.sqrt(clicks.same[1] + clicks.other[1] / 9 + 1):
        return None
    return Anomaly('afterpulse_tail', f'{excess / total:.2%} of the clicks are afterpulses behind the hold-off', True)


def afterpulse_share(clicks: ClickStatistics) -> float:
    """Part of the clicks that are afterpulses within the hold-off, measured against clicks of other detectors."""
    return max(0.0, float(clicks.same[0] - clicks.other[0] / 3)) / max(int(clicks.counts.sum()), 1)
