"""Counts of a time tagger to picoseconds, without loss for whole picoseconds a count."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qkd_gs.arrays import IntArray
from qkd_gs.errors import StationError
from qkd_gs.tag_formats.raw import MAX_TIME_PS

_MIN_RESOLUTION_PS, _MAX_RESOLUTION_PS = 1e-3, 1e6


def to_ps(ticks: IntArray, resolution_ps: float, where: Path) -> IntArray:
    """Times in ps; rounded to the nearest where a count is no whole number of them.

    Raises
    ------
    StationError
        A time is negative, or beyond what a sealed file can hold.
    """
    if len(ticks) and (ticks.min() < 0 or ticks.max() * resolution_ps >= MAX_TIME_PS):
        raise StationError('has a time below 0 or beyond 13 days', where=where)
    whole = round(resolution_ps)
    rest = resolution_ps - whole
    if abs(rest) < 1e-6:  # the header's floating point
        return ticks * whole if whole != 1 else ticks
    rounded: IntArray = np.rint(ticks * rest).astype(np.int64)
    return ticks * whole + rounded  # the large part is exact


def check_resolution(resolution_ps: float, where: Path) -> float:
    """The resolution, if a time tagger can have it.

    Raises
    ------
    StationError
        It cannot.
    """
    if not _MIN_RESOLUTION_PS <= resolution_ps <= _MAX_RESOLUTION_PS:
        raise StationError(f'its resolution of {resolution_ps:g} ps is impossible', where=where)
    return resolution_ps
