"""Diodes of the BB84 module: clicks, jitter, afterpulses and dead time."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import BoolArray, ByteArray, FloatArray, IntArray
from qkd_gs.jit import njit
from qkd_gs.qkd.sifting.states import PulseStates
from qkd_gs.settings.downlink import PolarizationSettings
from qkd_gs.settings.twin_photonics import SpadSettings
from qkd_gs.timing.tags import Channel

_QUANTUM = (Channel.H, Channel.V, Channel.D, Channel.A)


class BB84Module:
    """Passive choice of basis by a 50:50 beam splitter, then two polarizing ones.

    Parameters
    ----------
    spads, polarization : settings
        Efficiencies, jitter, dead time, afterpulses; error of the optics.
    """

    def __init__(self, spads: SpadSettings, polarization: PolarizationSettings) -> None:
        self._spads = spads
        self._efficiency = np.array([spads.relative_efficiency[channel.name] for channel in _QUANTUM])
        self.max_efficiency = float(self._efficiency.max())
        self._error = polarization.receiver_error + polarization.source_error

    def measure(self, states: PulseStates, polarization_error_rad: FloatArray, rng: np.random.Generator) -> ByteArray:
        """Channel that each photon goes to; 0 where its diode missed it.

        Photons arrive already thinned to the most efficient diode.  A photon of bit b in its own basis, rotated
        by the polarization error d, is detected as the other bit with probability sin^2 d (Malus); in the other basis
        the two bits come with (1 +- sin 2d) / 2.  The error of the optics mixes the two outputs on top.
        """
        n = len(states.bit)
        prepared_rad = states.bit * (np.pi / 2) + states.basis * (np.pi / 4)
        basis = rng.integers(0, 2, n)
        first = np.cos(prepared_rad + polarization_error_rad - basis * (np.pi / 4)) ** 2
        bit = rng.random(n) >= self._error + (1 - 2 * self._error) * first
        index = 2 * basis + bit
        clicked = rng.random(n) < self._efficiency[index] / self.max_efficiency
        channel: ByteArray = np.where(clicked, index + 1, 0).astype(np.uint8)
        return channel

    def jitter_ps(self, n: int, rng: np.random.Generator) -> IntArray:
        """Random part of a click's time: optical pulse and diode."""
        sigma_ns = np.hypot(self._spads.jitter_ns, self._spads.signal_pulse_ns)
        jitter: IntArray = np.rint(rng.standard_normal(n) * sigma_ns * 1e3).astype(np.int64)
        return jitter

    def afterpulses(
        self, time_ps: IntArray, channel: ByteArray, rng: np.random.Generator
    ) -> tuple[IntArray, ByteArray]:
        """Afterpulses: clicks that follow a click in the same diode, after its dead time."""
        again = rng.random(len(time_ps)) < self._spads.afterpulse_probability
        wait_ns = self._spads.dead_time_ns + rng.exponential(self._spads.afterpulse_ns, int(again.sum()))
        return time_ps[again] + np.rint(wait_ns * 1e3).astype(np.int64), channel[again]


def alive(time_ps: IntArray, channel: ByteArray, dead_ps: dict[int, int], last_ps: dict[int, int]) -> BoolArray:
    """Mask of the clicks of an ordered stream that come after their diode's dead time (non-paralysable).

    Parameters
    ----------
    dead_ps : dict
        Dead time by channel; a channel not listed has none.
    last_ps : dict
        Time of the last living click by channel; updated by every call.
    """
    long_ago = np.iinfo(np.int64).min // 2
    dead, last = np.zeros(256, np.int64), np.full(256, long_ago)
    for number, width_ps in dead_ps.items():
        dead[number], last[number] = width_ps, last_ps.get(number, long_ago)
    keep = np.empty(len(time_ps), np.bool_)
    _alive(time_ps, channel, dead, last, keep)
    last_ps.update({number: int(last[number]) for number in dead_ps if last[number] > long_ago})
    return keep


@njit(cache=True)
def _alive(time_ps, channel, dead_ps, last_ps, keep):  # type: ignore[no-untyped-def]
    for k in range(len(time_ps)):
        number = channel[k]
        keep[k] = time_ps[k] - last_ps[number] >= dead_ps[number]
        if keep[k]:
            last_ps[number] = time_ps[k]
