"""Live figures of a running pass, each second, without the satellite's log and without disclosing bits.

The received period of the beacon follows from its tags.  Two photons of the satellite are a whole number of received
pulse periods apart, a photon and a noise count are not; so the fraction of coherent neighbours is the square of the
signal's fraction of the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, pi, sqrt

import numpy as np

from qkd_gs.arrays import AnyFloatArray, IntArray
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

_LEAST_BEACONS = 200
_LEAST_PHOTONS = 200
_MOST_OFF = 1e-4  # Doppler of a low satellite is 2.5e-5, a TDC's own error far less
_CLEAR = 0.5  # more than so many neighbours must agree on the period
_AGREE_PS = 10**6  # laser's trigger jitter, a generous multiple


@dataclass(frozen=True)
class Live:
    """Figures of a second or more; NaN where there is too little light.

    Attributes
    ----------
    sync_residual_ns : float
        Scatter of the beacon's pulses about their received period: the laser's own trigger jitter (50 ns) while all
        is well; the satellite's log takes it out later.
    signal_share : float
        Part of the photon counts that comes from the satellite's source, 0 to 1.
    """

    sync_residual_ns: float
    signal_share: float


@dataclass(frozen=True)
class CountBin:
    """Counts of an interval of at least a second.

    Attributes
    ----------
    start_ns, end_ns : int
        Station time.
    counts : tuple of int
        By channel: H, V, D, A, BEACON, PPS.
    live : Live
        Scatter of the beacon's pulses, and the signal's share of the photons.
    """

    start_ns: int
    end_ns: int
    counts: tuple[int, ...]
    live: Live

    @property
    def seconds(self) -> float:
        """Length of the interval."""
        return (self.end_ns - self.start_ns) * 1e-9

    @property
    def sifted_bit_s(self) -> float:
        """Estimated rate of the sifted key: half of the satellite's photons meet the right basis; NaN: not known."""
        return sum(self.counts[:4]) / self.seconds * self.live.signal_share / 2


def live_figures(tags: TagBlock, beacon_ps: float, pulse_ps: float) -> Live:
    """Figures of the tags of a second.

    Parameters
    ----------
    beacon_ps, pulse_ps : float
        Periods of beacon and source in the satellite's clock.
    """
    beacons = tags.of(Channel.BEACON)
    period_ratio, residual_ns = _received(beacons, beacon_ps)
    # within one detector: the delays of two differ by an unknown part of a pulse period
    between = np.concatenate([np.diff(tags.of(channel)) for channel in QUANTUM])
    if not period_ratio or len(between) < _LEAST_PHOTONS:
        return Live(residual_ns, nan)
    gaps = between / (pulse_ps * period_ratio)
    coherent = float(np.mean(np.cos(2 * pi * (gaps - np.rint(gaps)))))
    return Live(residual_ns, sqrt(min(max(coherent, 0.0), 1.0)))


def _received(beacons_ps: IntArray, period_ps: float) -> tuple[float, float]:
    """Received over sent period (0 if it is not clear), and scatter of the pulses about it, ns."""
    if len(beacons_ps) < _LEAST_BEACONS:
        return 0.0, nan
    half = len(beacons_ps) // 2
    apart = beacons_ps[half:] - beacons_ps[: len(beacons_ps) - half]
    drift = (_off_grid(apart, period_ps)) / apart
    slope = float(np.median(drift))
    agree = np.abs(drift - slope) * apart < _AGREE_PS
    if abs(slope) > _MOST_OFF or agree.mean() < _CLEAR:
        return 0.0, nan
    period_ratio = 1 + float(drift[agree].mean())
    step = np.diff(beacons_ps)
    off = _off_grid(step, period_ps) - (period_ratio - 1) * step
    return period_ratio, float(np.median(np.abs(off))) * 1.4826e-3 / sqrt(2)


def _off_grid(gap_ps: IntArray, period_ps: float) -> AnyFloatArray:
    """Distance of gaps from the nearest whole number of periods."""
    away_ps: AnyFloatArray = gap_ps - np.rint(gap_ps / period_ps) * period_ps
    return away_ps
