"""Every click of the four detectors in its slot: which ones may count, and what they look like as a whole.

A click is one 64-bit word, ``pulse << 5 | place << 3 | channel``, so that words in order are clicks in order:
by pulse, then those before the gate, inside it, and behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.int64]

PULSE_SHIFT, PLACE_SHIFT = 5, 3
BEFORE, INSIDE, BEHIND = 0, 1, 2
_PLACES, _CHANNELS = 3, 7  # masks
_NEVER = -(1 << 60)
DETECTORS = 4


class HoldOff:
    """After any click of any detector, all four are ignored for a fixed time.

    A diode is blind after a click, and may click again by itself a little later.  So which detector can click
    depends on what clicked before: bits next to each other become correlated, and an eavesdropper can steer it
    (Weier et al., New J. Phys. 13, 073024 (2011)).  The proof takes each pulse to be measured alike, whatever came
    before.  Therefore a slot counts only if none of the four has clicked, in the gate or out of it, within the time
    before; a click that is itself ignored starts the time anew.  What is left out depends on the past alone, never
    on basis or bit of the slot itself.

    Parameters
    ----------
    slots : int
        Length of the hold-off in slots; 0 lets everything through that is inside the gate.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._clear_from = np.full(1, _NEVER, np.int64)
        self._pulse, self._channel = np.empty(0, np.int64), np.empty(0, np.uint8)
        self.held = 0  # clicks inside the gate that were left out

    def admit(self, words: Words) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Pulse and channel of the clicks that count.

        `words` are ascending, hold whole pulses, and follow those of the last call.
        """
        if len(self._pulse) < len(words):
            self._pulse, self._channel = np.empty(2 * len(words), np.int64), np.empty(2 * len(words), np.uint8)
        n, held = _admit(words, self.slots, self._clear_from, self._pulse, self._channel)
        self.held += held
        return self._pulse[:n].copy(), self._channel[:n].copy()


@dataclass(frozen=True)
class ClickStatistics:
    """What all clicks of a session look like; nothing of it tells of a single click.

    Attributes
    ----------
    counts : (n, 4) int64
        Clicks by second of the satellite's clock and detector H, V, D, A.
    outside : (n, 4) int64
        Those of them that lie outside the gate.
    multiple : (n,) int64
        Slots with clicks of more than one detector inside the gate, by second.
    too_soon : int
        Clicks of the same detector within half its dead time: a real diode cannot.
    same, other : (2,) int64
        Clicks whose last one before was of the same detector, and of another one; it lay further back than the dead
        time and within one hold-off [0], or within one to two hold-offs [1].
    """

    counts: NDArray[np.int64]
    outside: NDArray[np.int64]
    multiple: NDArray[np.int64]
    too_soon: int
    same: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of_all(cls, parts: list[ClickStatistics]) -> ClickStatistics:
        """Of stretches that were watched one by one, over the same range of pulses."""
        return cls(
            counts=np.sum([part.counts for part in parts], axis=0),
            outside=np.sum([part.outside for part in parts], axis=0),
            multiple=np.sum([part.multiple for part in parts], axis=0),
            too_soon=sum(part.too_soon for part in parts),
            same=np.sum([part.same for part in parts], axis=0),
            other=np.sum([part.other for part in parts], axis=0),
        )


class ClickWatch:
    """Gathers the statistics of the clicks as they pass.

    Parameters
    ----------
    first_pulse, last_pulse : int
        Range of pulse numbers.
    pulses_a_bin : int
        A second's worth.
    dead_slots, hold_off_slots : int
        As the station knows them.
    """

    def __init__(
        self, first_pulse: int, last_pulse: int, pulses_a_bin: int, dead_slots: int, hold_off_slots: int
    ) -> None:
        bins = max(last_pulse - first_pulse, 0) // pulses_a_bin + 1
        self._layout = first_pulse, pulses_a_bin, dead_slots, max(hold_off_slots, dead_slots + 1)
        self._counts, self._outside = np.zeros((2, bins, DETECTORS), np.int64)
        self._multiple = np.zeros(bins, np.int64)
        self._near = np.zeros((3, 2), np.int64)
        self._last = np.array([_NEVER, 0, 0], np.int64)  # slot and detector of the last click, and if it was inside

    def see(self, words: Words) -> None:
        """Take clicks, ascending and following those of the last call."""
        _watch(words, *self._layout, self._last, self._counts, self._outside, self._multiple, self._near)

    def statistics(self) -> ClickStatistics:
        """What was seen."""
        same, other, too_soon = self._near.copy()
        return ClickStatistics(
            self._counts.copy(), self._outside.copy(), self._multiple.copy(), int(too_soon[0]), same, other
        )


@njit(cache=True)
def _admit(words, hold, clear_from, pulse, channel):  # type: ignore[no-untyped-def]
    """Copy the clicks of free slots; return how many, and how many more the gate alone would have let through."""
    n, held, k, clear = 0, 0, 0, clear_from[0]
    while k < len(words):
        slot = words[k] >> PULSE_SHIFT
        free = slot >= clear and ((words[k] >> PLACE_SHIFT) & _PLACES != BEFORE or hold == 0)
        while k < len(words) and words[k] >> PULSE_SHIFT == slot:
            if (words[k] >> PLACE_SHIFT) & _PLACES == INSIDE:
                if free:
                    pulse[n], channel[n] = slot, words[k] & _CHANNELS
                    n += 1
                else:
                    held += 1
            k += 1
        if hold > 0:
            clear = slot + hold + 1
    clear_from[0] = clear
    return n, held


@njit(cache=True)
def _watch(words, first, pulses_a_bin, dead, hold, last, counts, outside, multiple, near):  # type: ignore[no-untyped-def]
    before, detector_before, joined = last[0], last[1], last[2]
    number, until = 0, first  # second of the clicks, and where it ends
    for k in range(len(words)):
        slot, detector = words[k] >> PULSE_SHIFT, (words[k] & _CHANNELS) - 1
        inside = (words[k] >> PLACE_SHIFT) & _PLACES == INSIDE
        if slot >= until:
            number = min(max((slot - first) // pulses_a_bin, 0), len(multiple) - 1)
            until = first + (number + 1) * pulses_a_bin
        counts[number, detector] += 1
        outside[number, detector] += not inside
        gap = slot - before
        if gap == 0 and inside and joined == 1 and detector != detector_before:
            multiple[number] += 1
            joined = 2  # a slot is counted once
        elif gap > 0:
            joined = 1 if inside else 0
        elif inside and joined == 0:
            joined = 1
        if detector == detector_before and gap * 2 < dead:
            near[2, 0] += 1
        elif dead < gap <= 2 * hold:
            if detector == detector_before:
                near[0, 0 if gap <= hold else 1] += 1
            else:
                near[1, 0 if gap <= hold else 1] += 1
        before, detector_before = slot, detector
    last[0], last[1], last[2] = before, detector_before, joined
