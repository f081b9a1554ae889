"""From tags to numbered pulses: one gate for all four detectors, and the clicks inside it.

A gate that each detector chose by itself would be chosen by whoever delays the light: an eavesdropper who delays each
pulse by one of two amounts would have the detectors of a basis accept different ones, and know the bit from the delay
(Qi, Fung, Lo, Ma, Quantum Inf. Comput. 7, 73 (2007)).  So the relative delays come from a calibration before the pass,
and the light of the pass gives one offset that all share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import AnyFloatArray, BoolArray, ByteArray, IntArray
from qkd_gs.errors import StationError
from qkd_gs.timing.clicks import ClickFilter
from qkd_gs.timing.numbering import PULSE_SHIFT, number
from qkd_gs.timing.profile import SlotProfile
from qkd_gs.timing.slots import Slots
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

_MIN_PEAK_COUNTS = 50
_MIN_PEAK_SIGMA = 6.0


@dataclass(frozen=True)
class Gate:
    """Gate: the interval of the slot in which clicks count, alike for all four detectors.

    Attributes
    ----------
    offset_ps : int
        Middle of the photons of all detectors, after the calibrated delays are taken off.
    width_ps : int
        Full width, fixed before the pass.
    noise_fraction : float
        Expected fraction of noise in the gated events, from the clicks far from the gate.
    """

    offset_ps: int
    width_ps: int
    noise_fraction: float

    def inside(self, profile: SlotProfile) -> BoolArray:
        """Mask of the profile's bins that lie in the gate, (b,)."""
        return profile.within(self.offset_ps, self.width_ps / 2)


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


def find_gate(profile: SlotProfile, tolerance_ps: int, width_ps: int, offset_ps: int | None = None) -> Gate:
    """Find the offset that the four detectors share: the peak of the sum of their profiles.

    Parameters
    ----------
    tolerance_ps : int
        Largest offset.
    width_ps : int
        Width of the gate, fixed before the pass.
    offset_ps : int, optional
        The offset, if earlier light of the same run has told it.

    Raises
    ------
    StationError
        No peak, a peak beyond the tolerance, or a detector without photons in the peak of the others.
    """
    counts = profile.by_detector
    if offset_ps is None:
        offset_ps = _find_peak(profile, counts.sum(axis=0), width_ps)
    if abs(offset_ps) > tolerance_ps:
        raise StationError(
            f'the photons come {offset_ps * 1e-3:.2f} ns from where the beacon says,'
            f' {tolerance_ps * 1e-3:g} ns are allowed',
            where='detectors.delay_tolerance_ns',
            hint='calibrate the delays of detectors and beacon; light that somebody delays looks so, too',
        )
    gate = Gate(offset_ps, width_ps, 0.0)
    inside = gate.inside(profile)
    seen = counts[:, inside].sum(axis=1)
    noise = profile.noise_level(counts, offset_ps, width_ps) * np.count_nonzero(inside)
    for channel, clicks, background in zip(QUANTUM, seen.tolist(), noise.tolist(), strict=True):
        if not _has_photons(clicks, background):
            raise StationError(
                f'{channel.name}: no photons of the satellite at the calibrated delay',
                where='detectors',
                hint='check the delays in config/station.yaml and that the detector sees light',
            )
    return Gate(offset_ps, width_ps, min(float(noise.sum() / seen.sum()), 1.0))


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
    offset_ps = np.full(len(Channel) + 1, gate.offset_ps, np.int64)
    disorder = 2 + int(
        np.ptp(slots.delay_ps[list(QUANTUM)]) / slots.period.ps
    )  # slots by which a detector's clicks may be late
    words, left, reached = np.empty(0, np.int64), 0, np.zeros(2, np.int64)
    for block in blocks:
        if len(words) < left + len(block):  # one buffer for all blocks: fresh memory costs more than the work in it
            words = np.concatenate([words[:left], np.empty(2 * len(block), np.int64)])
        n = number(block.time_ps, block.channel, *slots.arguments, offset_ps, gate.width_ps, reached, words, left)
        if n < 0:
            raise StationError('are not in the order of time', where='tags', hint='check the TDC')
        # whole pulses, and none that a late detector may still click in
        until = max((int(words[n - 1]) >> PULSE_SHIFT) - disorder, 0) << PULSE_SHIFT if n else 0
        ready = int(np.searchsorted(words[:n], until))
        yield GatedEvents(*clicks.admit(words[:ready]))
        left = n - ready
        words[:left] = words[ready:n].copy()
    yield GatedEvents(*clicks.admit(words[:left]))


def _find_peak(profile: SlotProfile, counts: IntArray, width_ps: int) -> int:
    """Centre of the histogram peak, ps."""
    half = round(width_ps / 2 / profile.bin_ps)
    wrapped = np.concatenate([counts[-half:], counts, counts[:half]])
    total = np.convolve(wrapped, np.ones(2 * half + 1), mode='valid')
    place_ps = float(profile.position_ps[int(np.argmax(total))])
    distance_ps = profile.distance_ps(place_ps)
    near = profile.within(place_ps, width_ps / 2)
    level = float(profile.noise_level(counts, place_ps, width_ps))
    if not _has_photons(int(counts[near].sum()), level * np.count_nonzero(near)):
        raise StationError('no photons of the satellite', where='detectors', hint='check that they see light')
    return round(place_ps + centre_of_light(distance_ps[near], counts[near], level)[0])


def centre_of_light(distance_ps: AnyFloatArray, counts: IntArray, level: float) -> tuple[float, float]:
    """Mean position of the light in some bins with `level` counts of noise in each, and its standard error, ps."""
    light = max(float(counts.sum()) - level * len(counts), 1.0)
    centre_ps = float(np.sum(distance_ps * (counts - level))) / light
    return centre_ps, float(np.sqrt(np.sum(counts * (distance_ps - centre_ps) ** 2))) / light


def _has_photons(seen: int, noise: float) -> bool:
    """True if there are clearly more clicks than noise."""
    return seen >= _MIN_PEAK_COUNTS and seen - noise >= _MIN_PEAK_SIGMA * np.sqrt(seen)
