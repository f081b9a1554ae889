"""Light that an eavesdropper delays on its way, without measuring it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.sim.photons.arrivals import Clicks, PhotonSource

Delay = Callable[[IntArray, FloatArray], IntArray | FloatArray]
"""Pulse numbers, and their arrival in s from the epoch, to their delays, ps."""


def coin(pulse: IntArray, salt: int = 0) -> IntArray:
    """Eve's coin for each pulse: 0 or 1, even, and hers alone."""
    mixed = (pulse.astype(np.uint64) + np.uint64(salt << 40)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed >> np.uint64(40)) & np.uint64(1)).astype(np.int64)


def delayed(delay_ps: Delay) -> type[PhotonSource]:
    """Source whose pulses are delayed."""

    class Delayed(PhotonSource):
        def _quantum(self, *arguments: object) -> Clicks:
            plain = self._arrival

            def late(emitted_ps: IntArray) -> IntArray:
                arrival_ps = plain(emitted_ps)
                pulse = self._transmitter.period.before(emitted_ps)
                return arrival_ps + np.asarray(delay_ps(pulse, np.asarray(arrival_ps * 1e-12))).astype(np.int64)

            self._arrival = late  # type: ignore[assignment]
            try:
                return super()._quantum(*arguments)  # type: ignore[arg-type]
            finally:
                self._arrival = plain

    return Delayed


def two_delays(first_ps: float, second_ps: float, share: float = 1.0) -> type[PhotonSource]:
    """One of two delays on Eve's coin, of a share of the pulses (in steps of a sixteenth); the rest is as sent."""

    def delay_ps(pulse: IntArray, _: FloatArray) -> FloatArray:
        sixteenth = coin(pulse, 1) + 2 * coin(pulse, 2) + 4 * coin(pulse, 3) + 8 * coin(pulse, 4)
        late = np.where(coin(pulse) == 1, second_ps, first_ps)
        return np.where(sixteenth < 16 * share, late, 0.0)

    return delayed(delay_ps)


def drifting(reach_ps: float, seconds: float) -> type[PhotonSource]:
    """All pulses alike, from one end of the reach to the other and back, in some seconds."""
    return delayed(lambda _, arrival_s: reach_ps * np.sin(2 * np.pi * arrival_s / seconds))
