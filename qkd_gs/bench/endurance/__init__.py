"""Whether a station that runs for hours grows: memory, open files, threads, logs."""

from __future__ import annotations

from typing import Any

from qkd_gs.bench.endurance import lockstep as in_lockstep
from qkd_gs.bench.endurance import program
from qkd_gs.bench.endurance.figure import draw


def run(hours: float | None = None, lockstep: bool = False, figure: str = '') -> dict[str, Any]:
    """Run a station for hours of wall time (2), or its passes of so many hours (24) in lockstep; see there.

    ``figure`` names a file for the figure of a run of wall time.
    """
    if lockstep:
        return in_lockstep.run(24.0 if hours is None else hours)
    if figure:
        draw({'nodes': {}, 'done': []}, figure)  # a file that cannot be written is told before the hours, not after
    figures = program.run(2.0 if hours is None else hours)
    if figure:
        draw(figures, figure)
    return figures
