"""Clicks of the four detectors by slot: hold-off filter and statistics.

A click is one 64-bit word, ``pulse << 5 | side << 3 | channel``, so that ascending words are ordered by pulse, then
by side: before the gate, inside it, behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.jit import njit
from qkd_gs.timing.numbering import BEFORE, CHANNEL_MASK, GATE_SHIFT, INSIDE, PULSE_SHIFT, SIDE_MASK

_NEVER = -(1 << 60)
DETECTORS = 4


@dataclass(frozen=True)
class ClickStatistics:
    """Statistics of all clicks of a session, without information about single clicks.

    Attributes
    ----------
    counts : (n, 4) int64
        Clicks by second of the satellite's clock and detector H, V, D, A.
    outside : (n, 4) int64
        Those of them that lie outside the gate.
    multiple : (n,) int64
        Slots with clicks of more than one detector inside the gate, by second.
    too_soon : int
        Clicks of the same detector within half its dead time: a real diode cannot.  0 where a slot is longer than the
        dead time: a diode may click twice in it.
    same, other : (2,) int64
        Clicks whose last one before was of the same detector, and of another one; it lay further back than the dead
        time and within one hold-off [0], or within one to two hold-offs [1].
    """

    counts: IntArray
    outside: IntArray
    multiple: IntArray
    too_soon: int
    same: IntArray
    other: IntArray

    @classmethod
    def of_all(cls, parts: list[ClickStatistics]) -> ClickStatistics:
        """Sum of the statistics of several runs over the same range of pulses."""
        return cls._together(parts, lambda arrays: np.sum(arrays, axis=0))

    @classmethod
    def one_behind_the_other(cls, parts: list[ClickStatistics]) -> ClickStatistics:
        """Statistics of ranges of pulses that follow each other."""
        return cls._together(parts, np.concatenate)

    @classmethod
    def _together(cls, parts: list[ClickStatistics], seconds: Callable[[list[IntArray]], IntArray]) -> ClickStatistics:
        return cls(
            counts=seconds([part.counts for part in parts]),
            outside=seconds([part.outside for part in parts]),
            multiple=seconds([part.multiple for part in parts]),
            too_soon=sum(part.too_soon for part in parts),
            same=np.sum([part.same for part in parts], axis=0),
            other=np.sum([part.other for part in parts], axis=0),
        )


class ClickFilter:
    """Applies the hold-off to the clicks and collects their statistics.

    After any click of any detector, all four are ignored for a fixed time, the hold-off.  A diode is blind after a
    click, and may click again by itself a little later.  So which detector can click depends on what clicked before:
    bits next to each other become correlated, and an eavesdropper can steer it (Weier et al., New J. Phys. 13, 073024
    (2011)).  The proof takes each pulse to be measured alike, whatever came before.  Therefore a slot counts only if
    none of the four has clicked, in the gate or out of it, within the time before; a click that is itself ignored
    restarts the time.  What is left out depends on the past alone, never on basis or bit of the slot itself.

    Parameters
    ----------
    first_pulse, last_pulse : int
        Range of pulse numbers, for the statistics.
    pulses_a_bin : int
        A second's worth.
    dead_slots, hold_off_slots : int
        Dead time of a detector and length of the hold-off, by the rules of the station.  Without a hold-off
        everything counts that is inside the gate.

    Attributes
    ----------
    held : int
        Clicks inside the gate that the hold-off left out.
    """

    def __init__(
        self, first_pulse: int, last_pulse: int, pulses_a_bin: int, dead_slots: int, hold_off_slots: int
    ) -> None:
        bins = max(last_pulse - first_pulse, 0) // pulses_a_bin + 1
        self._rules = first_pulse, pulses_a_bin, dead_slots, hold_off_slots
        self._counts = np.zeros((2, bins, DETECTORS), np.int64)  # outside the gate, and inside
        self._multiple = np.zeros(bins, np.int64)
        self._near = np.zeros((3, 2), np.int64)
        # slot and detector of the last click, whether a slot's clicks count, if one of them was inside, clicks held
        self._state = np.array([_NEVER, 0, 0, 0, 0], np.int64)
        self._pulse, self._channel = np.empty(0, np.int64), np.empty(0, np.uint8)

    @property
    def held(self) -> int:
        """Clicks inside the gate that were left out."""
        return int(self._state[4])

    def admit(self, words: IntArray) -> tuple[IntArray, ByteArray]:
        """Pulse and channel of the clicks that count.

        `words` are ascending, and follow those of the last call.
        """
        if len(self._pulse) < len(words):
            self._pulse, self._channel = np.empty(2 * len(words), np.int64), np.empty(2 * len(words), np.uint8)
        n = _admit(
            words, *self._rules, self._state, self._counts, self._multiple, self._near, self._pulse, self._channel
        )
        return self._pulse[:n].copy(), self._channel[:n].copy()

    def statistics(self) -> ClickStatistics:
        """Statistics so far."""
        same, other, too_soon = self._near.copy()
        outside, inside = self._counts
        return ClickStatistics(outside + inside, outside.copy(), self._multiple.copy(), int(too_soon[0]), same, other)


@njit(cache=True)
def _admit(  # type: ignore[no-untyped-def]
    words, first, pulses_a_bin, dead, hold, state, counts, multiple, near, pulse, channel
):
    """Copy the clicks that count; return how many.

    Far from the click before, which is the rule, nothing has to be looked at but the click itself.
    """
    before, detector_before, free, joined, held = state[0], state[1], state[2], state[3], state[4]
    reach = max(hold, dead + 1)  # of the statistics of neighbours
    n, second, until, from_ = 0, 0, 0, 0
    for k in range(len(words)):
        word = words[k]
        slot, detector = word >> PULSE_SHIFT, (word & CHANNEL_MASK) - 1
        side = (word >> GATE_SHIFT) & SIDE_MASK
        inside = int(side == INSIDE)
        if slot >= until or slot < from_:
            second = min(max((slot - first) // pulses_a_bin, 0), len(multiple) - 1)
            from_ = first + second * pulses_a_bin
            until = from_ + pulses_a_bin
        counts[inside, second, detector] += 1
        gap = slot - before
        if gap > 2 * reach:
            free, joined = int(side != BEFORE or hold == 0), inside
        else:
            if gap > 0:
                free, joined = int(hold == 0 or (gap > hold and side != BEFORE)), inside
            elif inside and joined == 1 and detector != detector_before:
                multiple[second] += 1
                joined = 2  # a slot is counted once
            elif inside and joined == 0:
                joined = 1
            if detector == detector_before and gap * 2 < dead and dead > 1:
                near[2, 0] += 1
            elif gap > dead:
                near[int(detector != detector_before), int(gap > reach)] += 1
        pulse[n], channel[n] = slot, detector + 1
        n += inside & free
        held += inside & (1 - free)
        before, detector_before = slot, detector
    state[0], state[1], state[2], state[3], state[4] = before, detector_before, free, joined, held
    return n
