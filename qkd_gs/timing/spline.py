"""A smooth map between two integer time scales, fast enough for every tag of a pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.jit import njit


@dataclass(frozen=True)
class TimeMap:
    """Piecewise cubic on an even grid: target = time + base + c0 + c1 x + c2 x^2 + c3 x^3, x in cells from 0 to 1.

    The big integers stay integers; only the small smooth difference is floating point, so a picosecond
    stays a picosecond over a day.

    Attributes
    ----------
    start_ps, step_ps : int
        Grid of the source scale.
    base_ps : (n,) int64
        Whole part of the difference at each cell's start.
    cubic : (n, 4) float64
        Remaining difference in the cell, ps.
    """

    start_ps: int
    step_ps: int
    base_ps: IntArray
    cubic: AnyFloatArray

    @classmethod
    def through(cls, start_ps: int, step_ps: int, difference_ps: IntArray, extra_ps: AnyFloatArray) -> TimeMap:
        """Map through differences (integer and fractional part) at grid points, with slopes by central differences."""
        base = difference_ps[:-1]
        value = np.stack([extra_ps[:-1], (difference_ps[1:] - base) + extra_ps[1:]])
        rise = np.diff(difference_ps) + np.diff(extra_ps)
        slope = _slopes(rise)
        a, b = slope[:-1], slope[1:]
        step = value[1] - value[0]
        cubic = np.stack([value[0], a, 3 * step - 2 * a - b, a + b - 2 * step], axis=1)
        return cls(start_ps, step_ps, np.ascontiguousarray(base), np.ascontiguousarray(cubic))

    @property
    def end_ps(self) -> int:
        """End of the grid."""
        return self.start_ps + self.step_ps * len(self.base_ps)

    def __call__(self, time_ps: IntArray) -> IntArray:
        """Target times; outside the grid its first and last cells are continued."""
        target: IntArray = _evaluate(time_ps, self.start_ps, self.step_ps, self.base_ps, self.cubic)
        return target


def _slopes(rise: AnyFloatArray) -> AnyFloatArray:
    """Slopes a cell at the grid points from the rises between them, of fourth order inside."""
    slope = np.empty(len(rise) + 1)
    slope[0], slope[-1] = rise[0], rise[-1]
    if len(rise) >= 2:
        slope[0], slope[-1] = 1.5 * rise[0] - 0.5 * rise[1], 1.5 * rise[-1] - 0.5 * rise[-2]
        slope[1:-1] = (rise[1:] + rise[:-1]) / 2
    if len(rise) >= 4:
        slope[2:-2] = (7 * (rise[1:-2] + rise[2:-1]) - (rise[:-3] + rise[3:])) / 12
    return slope


@njit(cache=True, inline='always')
def target_time(time_ps, start_ps, step_ps, base_ps, cubic):  # type: ignore[no-untyped-def]
    """One time through the map; for the compiled loops that go over every tag."""
    since = time_ps - start_ps
    # a product instead of a division of integers, which costs more than all the rest; near a border
    # either neighbour's cubic will do
    cell = min(max(np.int64(since * (1.0 / step_ps)), 0), len(base_ps) - 1)
    x = (since - cell * step_ps) * (1.0 / step_ps)
    fine = cubic[cell, 0] + x * (cubic[cell, 1] + x * (cubic[cell, 2] + x * cubic[cell, 3]))
    return time_ps + base_ps[cell] + np.int64(np.floor(fine + 0.5))


@njit(cache=True)
def _evaluate(time_ps, start_ps, step_ps, base_ps, cubic):  # type: ignore[no-untyped-def]
    out = np.empty(len(time_ps), np.int64)
    for k in range(len(time_ps)):
        out[k] = target_time(time_ps[k], start_ps, step_ps, base_ps, cubic)
    return out
