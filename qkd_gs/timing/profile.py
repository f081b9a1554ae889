"""Folded profiles: where in the slot the clicks of each detector lie, by interval of the pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import AnyFloatArray, BoolArray, IntArray
from qkd_gs.jit import njit
from qkd_gs.timing.numbering import FIRST, LAST
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.spline import target_time
from qkd_gs.timing.tags import QUANTUM, TagBlock

_BINS_PER_GATE = 40
_MAX_BINS = 200_000
_MAX_CELLS = 8_000_000
_INTERVAL_PS = 10 * 10**12  # a block of tags, half a second, counts for the interval in which it begins


@dataclass(frozen=True)
class SlotProfile:
    """Histograms of the clicks' positions in the slot, the calibrated delays taken off.

    Attributes
    ----------
    counts : (n, 4, b) int64
        By interval of 10 s (longer if there are very many bins), detector H, V, D, A, and position.
    period_ps : float
        Length of the slot.
    """

    counts: IntArray
    period_ps: float

    @property
    def bin_ps(self) -> float:
        """Width of a bin."""
        return float(self.period_ps / self.counts.shape[2])

    @property
    def position_ps(self) -> AnyFloatArray:
        """Middle of each bin from the middle of the slot, (b,)."""
        position: AnyFloatArray = (np.arange(self.counts.shape[2]) + 0.5) * self.bin_ps - self.period_ps / 2
        return position

    @property
    def by_detector(self) -> IntArray:
        """Sum over the intervals, (4, b)."""
        total: IntArray = self.counts.sum(axis=0)
        return total

    def distance_ps(self, offset_ps: float) -> AnyFloatArray:
        """Distance of each bin from a position, the shorter way round the slot, (b,)."""
        half = self.period_ps / 2
        distance: AnyFloatArray = (self.position_ps - offset_ps + half) % self.period_ps - half
        return distance

    def within(self, offset_ps: float, reach_ps: float) -> BoolArray:
        """Mask of the bins no further than `reach_ps` from a position, (b,)."""
        near: BoolArray = np.abs(self.distance_ps(offset_ps)) <= reach_ps
        return near

    def noise_level(self, counts: IntArray, offset_ps: float, width_ps: float) -> AnyFloatArray:
        """Mean of histograms (..., b) in the bins far from a gate, (...,); 0 if the gate fills the slot."""
        far = ~self.within(offset_ps, min(width_ps, (width_ps + self.period_ps) / 4))
        level: AnyFloatArray = counts[..., far].sum(axis=-1) / max(np.count_nonzero(far), 1)
        return level


def fold_clicks(blocks: Iterable[TagBlock], slots: Slots, width_ps: int) -> SlotProfile:
    """Profile of the quantum tags inside the spans, with 40 bins in a gate of `width_ps`."""
    first_ps, last_ps = int(slots.spans_ps[0, 0]), int(slots.spans_ps[-1, 1])
    bins = min(int(_BINS_PER_GATE * slots.period.ps / width_ps), _MAX_BINS)
    intervals = min(1 + (last_ps - first_ps) // _INTERVAL_PS, max(_MAX_CELLS // (bins * len(QUANTUM)), 1))
    interval_ps = (last_ps - first_ps) // intervals + 1
    counts = np.zeros((intervals, len(QUANTUM), bins), np.int64)
    for block in blocks:
        if len(block):
            interval = (int(block.time_ps[0]) - first_ps) // interval_ps
            _fold(block.time_ps, block.channel, *slots.arguments, counts[min(max(interval, 0), intervals - 1)])
    return SlotProfile(counts, slots.period.ps)


@njit(cache=True)
def _fold(time_ps, channel, delay_ps, edges_ps, whole_ps, rest_ps, start_ps, step_ps, base_ps, cubic, histogram):  # type: ignore[no-untyped-def]
    """Add the positions in the slot, by detector, of the quantum tags inside the spans."""
    bins, edge = histogram.shape[1], 0
    period_ps = whole_ps + rest_ps
    per_ps, a_bin = 1.0 / period_ps, histogram.shape[1] / period_ps  # products: divisions of integers cost most
    half_ps = np.int64(0.5 * period_ps)
    for k in range(len(time_ps)):
        if channel[k] < FIRST or channel[k] > LAST:
            continue
        while edge < len(edges_ps) and edges_ps[edge] <= time_ps[k]:
            edge += 1
        if edge % 2 == 1:
            satellite_ps = target_time(time_ps[k] - delay_ps[channel[k]], start_ps, step_ps, base_ps, cubic)
            shifted_ps = satellite_ps + half_ps
            slot = np.int64(np.floor(shifted_ps * per_ps))
            into_ps = (shifted_ps - slot * whole_ps) - slot * rest_ps  # the large part in integers
            histogram[channel[k] - FIRST, min(max(np.int64(into_ps * a_bin), 0), bins - 1)] += 1
