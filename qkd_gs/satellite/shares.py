"""Shares of the states in a transmitter log, against those that the bounds of the key take for granted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.qkd.sifting.states import Intensity
from qkd_gs.settings.station import SourceSettings

STATES = 4 * len(Intensity)  # basis | bit << 1 | intensity << 2
_TOLERANCE, _SIGMA = 0.01, 6.0


def by_intensity(counts: IntArray) -> dict[str, int]:
    """Pulses of each intensity, from counts by state (12,)."""
    return {kind.name.lower(): int(number) for kind, number in zip(Intensity, _intensities(counts), strict=True)}


def check_shares(counts: IntArray, source: SourceSettings, where: Path) -> None:
    """Check that the states were drawn as the source says, bases and bits evenly and independently of the intensity.

    Parameters
    ----------
    counts : (12,) int64
        Pulses by state.

    Raises
    ------
    StationError
        A share is off by more than 1 % and by more than 6 standard deviations.
    """
    total = int(counts.sum())
    intensities = _intensities(counts)
    for kind, share in zip(Intensity, (source.p_signal, source.p_decoy, source.p_vacuum), strict=True):
        if _differs(int(intensities[kind]), total, share):
            raise StationError(
                f'{intensities[kind] / total:.1%} of the pulses are {kind.name.lower()}, the source says {share:.1%}',
                where=where,
                hint='is it the right source, and are the intensities 0 signal, 1 decoy, 2 vacuum?',
            )
    state = np.arange(STATES)
    for kind, pulses in zip(Intensity, intensities.tolist(), strict=True):
        for name, of in (('in basis DA', state & 1), ('of bit 1', state >> 1 & 1)):
            seen = int(counts[(state >> 2 == kind) & (of == 1)].sum())
            if _differs(seen, pulses, 0.5):
                raise StationError(
                    f'{seen / pulses:.1%} of the {kind.name.lower()} pulses are {name}: the bounds hold for even bases'
                    ' and bits, whatever the intensity',
                    where=where,
                    hint='draw basis and bit of every pulse evenly, also of decoy and vacuum pulses',
                )


def _intensities(counts: IntArray) -> IntArray:
    total: IntArray = counts.reshape(len(Intensity), -1).sum(axis=1)
    return total


def _differs(seen: int, total: int, share: float) -> bool:
    chance: AnyFloatArray = np.sqrt(share * (1 - share) / max(total, 1))
    return bool(abs(seen / max(total, 1) - share) > _TOLERANCE + _SIGMA * chance)
