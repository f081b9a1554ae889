"""Bars and sparklines of plain characters."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

_STEPS = '▁▂▃▄▅▆▇█'
_NONE = '·'
_CEILINGS = (1, 2, 5)


def sparkline(values: Sequence[float], ceiling: float) -> str:
    """One character per value: from 0 (lowest) to `ceiling` and more (full); a dot for NaN."""
    return ''.join(
        _STEPS[min(int(value / ceiling * len(_STEPS)), len(_STEPS) - 1)] if isfinite(value) else _NONE
        for value in values
    )


def ceiling_of(values: Sequence[float]) -> float:
    """Smallest of 1, 2, 5, 10, 20, 50 ... that is not below any value; 1 without values."""
    most = max((value for value in values if isfinite(value)), default=0.0)
    decade = 1.0
    while True:
        for factor in _CEILINGS:
            if most <= factor * decade:
                return factor * decade
        decade *= 10


def bar(share: float, width: int) -> str:
    """A bar of `width` characters, filled to `share` (0 to 1)."""
    filled = round(min(max(share, 0.0), 1.0) * width) if isfinite(share) else 0
    return '█' * filled + '░' * (width - filled)
