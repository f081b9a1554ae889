"""From tags to numbered pulses: find each detector's photons in the 10 ns slot, and keep the clicks in the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import AnyFloatArray, ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.jit import njit
from qkd_gs.timing.clicks import ClickFilter
from qkd_gs.timing.numbering import FIRST, LAST, PULSE_SHIFT, number
from qkd_gs.timing.spline import TimeMap, target_time
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

_BINS_PER_SLOT = 200
_MIN_PEAK_COUNTS = 50
_MIN_PEAK_SIGMA = 6.0


@dataclass(frozen=True)
class Gate:
    """Gate: the interval of the slot in which clicks count.

    Attributes
    ----------
    offset_ps : (7,) int64
        Middle of each channel's photons after the known delays are taken off; indexed by `Channel`.
    width_ps : int
        Full width, fixed before the pass.
    noise_fraction : float
        Expected fraction of noise in the gated events, from the clicks outside the peak.
    """

    offset_ps: IntArray
    width_ps: int
    noise_fraction: float


@dataclass(frozen=True)
class GatedEvents:
    """Clicks with a pulse number; `channel` is the raw key bit.

    Attributes
    ----------
    pulse : (n,) int64
    channel : (n,) uint8
    """

    pulse: IntArray
    channel: ByteArray

    def __len__(self) -> int:
        return len(self.pulse)

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<GatedEvents: {len(self)}>'


@dataclass(frozen=True)
class Slots:
    """Mapping of tags to slots: known delays, clock, spans in which tags are used, and length of a slot.

    Attributes
    ----------
    to_satellite : TimeMap
    delay_ps : (7,) int64
        Known delay by channel.
    spans_ps : (m, 2) int64
        Spans of TDC time, ascending and disjoint, in which tags are used.
    period_ps : int
        10,000 at 100 MHz.
    """

    to_satellite: TimeMap
    delay_ps: IntArray
    spans_ps: IntArray
    period_ps: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of the compiled loops: delays, edges of the spans, period, and the clock's grid."""
        clock = self.to_satellite
        edges = self.spans_ps.ravel()
        return self.delay_ps, edges, self.period_ps, clock.start_ps, clock.step_ps, clock.base_ps, clock.cubic


def find_gate(blocks: Iterable[TagBlock], slots: Slots, tolerance_ps: int, width_ps: int) -> Gate:
    """Find each detector's offset: the peak of its histogram of positions in the slot.

    Parameters
    ----------
    tolerance_ps : int
        Tolerance of the known delays; the peak is searched within it, so the pulse number is unambiguous.
    width_ps : int
        Width of the gate, fixed before the pass.

    Raises
    ------
    StationError
        The histogram of a detector has no peak.
    """
    histogram = np.zeros((len(Channel) + 1, _BINS_PER_SLOT), np.int64)
    for block in blocks:
        _fold(block.time_ps, block.channel, *slots.arguments, histogram)
    bin_ps = slots.period_ps / _BINS_PER_SLOT
    centre_ps = (np.arange(_BINS_PER_SLOT) + 0.5) * bin_ps - slots.period_ps / 2
    offset = np.zeros(len(Channel) + 1, np.int64)
    background = 0.0
    for channel in QUANTUM:
        offset[channel], level = _find_peak(histogram[channel], centre_ps, tolerance_ps, width_ps, channel)
        background += level * width_ps / bin_ps
    inside = sum(
        int(histogram[channel][np.abs(centre_ps - offset[channel]) <= width_ps / 2].sum()) for channel in QUANTUM
    )
    return Gate(offset, width_ps, min(background / max(inside, 1), 1.0))


def gate_events(blocks: Iterable[TagBlock], slots: Slots, gate: Gate, clicks: ClickFilter) -> Iterator[GatedEvents]:
    """Numbered events inside the gate and outside the hold-off, ordered by pulse; a pulse's events are in one block.

    Memory use is that of a block, independent of the length of the stream.

    Parameters
    ----------
    clicks : ClickFilter
        Gets every click of the spans, including those outside the gate; a new one for each stream.

    Raises
    ------
    StationError
        Tags far out of order.
    """
    delays_ps = (slots.delay_ps + gate.offset_ps)[list(QUANTUM)]
    disorder = 2 + int(np.ptp(delays_ps)) // slots.period_ps  # slots by which a detector's clicks may be late
    words, left, reached = np.empty(0, np.int64), 0, np.zeros(2, np.int64)
    for block in blocks:
        if len(words) < left + len(block):  # one buffer for all blocks: fresh memory costs more than the work in it
            words = np.concatenate([words[:left], np.empty(2 * len(block), np.int64)])
        n = number(block.time_ps, block.channel, *slots.arguments, gate.offset_ps, gate.width_ps, reached, words, left)
        if n < 0:
            raise StationError('are not in the order of time', where='tags', hint='check the TDC')
        # whole pulses, and none that a late detector may still click in
        until = max((int(words[n - 1]) >> PULSE_SHIFT) - disorder, 0) << PULSE_SHIFT if n else 0
        ready = int(np.searchsorted(words[:n], until))
        yield GatedEvents(*clicks.admit(words[:ready]))
        left = n - ready
        words[:left] = words[ready:n].copy()
    yield GatedEvents(*clicks.admit(words[:left]))


def _find_peak(
    counts: IntArray, centre_ps: AnyFloatArray, tolerance_ps: int, width_ps: int, channel: Channel
) -> tuple[int, float]:
    """Centre of the histogram peak (ps) and the noise per bin below it."""
    half = round(width_ps / 2 / (centre_ps[1] - centre_ps[0]))
    wrapped = np.concatenate([counts[-half:], counts, counts[:half]])
    total = np.convolve(wrapped, np.ones(2 * half + 1), mode='valid')
    k = int(np.argmax(np.where(np.abs(centre_ps) <= tolerance_ps, total, -1)))
    near = np.abs(centre_ps - centre_ps[k]) <= width_ps / 2
    far = np.abs(centre_ps - centre_ps[k]) > width_ps
    level = float(counts[far].mean())
    excess = counts[near] - level
    if counts[near].sum() < _MIN_PEAK_COUNTS or excess.sum() < _MIN_PEAK_SIGMA * np.sqrt(counts[near].sum()):
        raise StationError(
            f'{channel.name}: no photons of the satellite within {tolerance_ps} ps of the known delay',
            where='detectors',
            hint='check the delays in config/station.yaml and that the detector sees light',
        )
    return round(float(np.average(centre_ps[near], weights=np.maximum(excess, 0.0)))), level


@njit(cache=True)
def _fold(time_ps, channel, delay_ps, edges_ps, period_ps, start_ps, step_ps, base_ps, cubic, histogram):  # type: ignore[no-untyped-def]
    """Histogram of the position in the slot, by channel, of the quantum tags inside the spans."""
    bins, edge = histogram.shape[1], 0
    per_ps, a_bin = 1.0 / period_ps, histogram.shape[1] / period_ps  # products: divisions of integers cost most
    for k in range(len(time_ps)):
        if channel[k] < FIRST or channel[k] > LAST:
            continue
        while edge < len(edges_ps) and edges_ps[edge] <= time_ps[k]:
            edge += 1
        if edge % 2 == 1:
            satellite_ps = target_time(time_ps[k] - delay_ps[channel[k]], start_ps, step_ps, base_ps, cubic)
            shifted_ps = satellite_ps + period_ps // 2
            into_ps = shifted_ps - np.int64(np.floor(shifted_ps * per_ps)) * period_ps
            histogram[channel[k], min(max(np.int64(into_ps * a_bin), 0), bins - 1)] += 1
