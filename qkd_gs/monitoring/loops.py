"""Periods that the loops of the station's nodes miss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_COUNTED = 5  # missed periods of a loop that say anything


@dataclass(frozen=True)
class Loop:
    """Steps begun and periods missed of one loop since its node started."""

    steps: int
    missed: int


def worst_loop(before: Mapping[str, Loop], loops: Mapping[str, Loop]) -> tuple[str, float]:
    """Loop with the largest missed share since `before`, and the share; a node that has started since is left out.

    Returns
    -------
    (str, float)
        Empty and 0 if no loop has missed more than a few periods.
    """
    name, worst = '', 0.0
    for candidate, loop in loops.items():
        old = before.get(candidate)
        if old is None or loop.steps < old.steps or loop.missed - old.missed < _COUNTED:
            continue
        steps, missed = loop.steps - old.steps, loop.missed - old.missed
        if missed / (steps + missed) > worst:
            name, worst = candidate, missed / (steps + missed)
    return name, worst
