"""Light that an eavesdropper delays on its way, without measuring it."""

import numpy as np

from qkd_gs.sim.photons.arrivals import PhotonSource


def coin(pulse, salt=0):
    """Eve's coin for each pulse: 0 or 1, even, and hers alone."""
    mixed = (pulse.astype(np.uint64) + np.uint64(salt << 40)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed >> np.uint64(40)) & np.uint64(1)).astype(np.int64)


def delayed(delay_ps):
    """Source whose pulses are delayed by `delay_ps(pulse, arrival in s from the epoch)`."""

    class Delayed(PhotonSource):
        def _quantum(self, *arguments):
            plain = self._arrival

            def late(emitted_ps):
                arrival_ps = plain(emitted_ps)
                pulse = self._transmitter.period.before(emitted_ps)
                return arrival_ps + np.asarray(delay_ps(pulse, arrival_ps * 1e-12)).astype(np.int64)

            self._arrival = late
            try:
                return super()._quantum(*arguments)
            finally:
                self._arrival = plain

    return Delayed


def two_delays(first_ps, second_ps, share=1.0):
    """One of two delays on Eve's coin, of a share of the pulses (in steps of a sixteenth); the rest is as sent."""

    def delay_ps(pulse, _):
        chosen = sum(coin(pulse, salt) << bit for bit, salt in enumerate((1, 2, 3, 4))) < 16 * share
        return np.where(chosen, np.where(coin(pulse) == 1, second_ps, first_ps), 0)

    return delayed(delay_ps)


def drifting(reach_ps, seconds):
    """All pulses alike, from one end of the reach to the other and back, in some seconds."""
    return delayed(lambda _, arrival_s: reach_ps * np.sin(2 * np.pi * arrival_s / seconds))
