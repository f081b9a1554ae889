"""Time tags of the twin's detectors in its calibration light, for the true angle of the half-wave plate."""

from __future__ import annotations

from math import pi, radians

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.qkd.sifting.states import PulseStates
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.sim.photons.detectors import BB84Module, alive
from qkd_gs.sim.photons.receiver import true_delays_ps
from qkd_gs.sim.physics.hwp import SimHwp
from qkd_gs.sim.physics.plant import HWP_STREAM, draws
from qkd_gs.timing.tags import QUANTUM, Channel, TagBlock

_STREAM = 0x43414C
_PS = 1000  # in a nanosecond
_SECOND_PS = 10**12


class CalibrationPhotons:
    """Tags of a run of the TDC that begins at `start_ns`; the true delays and the true zero are those of the seed.

    Attributes
    ----------
    level_rad : float
        Drawn error of the polarizer.
    """

    def __init__(self, settings: TwinSettings, station: StationSettings, seed: int, start_ns: int) -> None:
        self._light, photonics = settings.surroundings.calibration_light, settings.photonics
        optics = photonics.polarization.model_copy(update={'source_error': 0.0})  # which is the satellite's
        self._module = BB84Module(photonics.spads, optics)
        self._delay_ps = true_delays_ps(photonics, station, seed)
        self._jitter_ps = photonics.tdc.jitter_ps
        self._dead_ps = dict.fromkeys(map(int, QUANTUM), round(photonics.spads.dead_time_ns * _PS))
        self._last_ps: dict[int, int] = {}
        self._zero_rad, self._parity = radians(station.hwp.zero_deg), station.hwp.parity
        self._mounting_rad = mounting_error_rad(settings, seed)
        drawn = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
        self.level_rad = radians(self._light.level_deg) * drawn.uniform(-1, 1)
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM, start_ns % 2**32]))
        self._start_ns = start_ns

    def between(self, from_ns: int, to_ns: int, brightness: float, hwp_rad: float) -> TagBlock:
        """Tags of an interval, in order.

        Parameters
        ----------
        brightness : float
            Share of the brightest; above 0.
        hwp_rad : float
            Angle on the rotator's own scale.
        """
        begin_ps, end_ps = (from_ns - self._start_ns) * _PS, (to_ns - self._start_ns) * _PS
        pulses_ps = self._pulses(begin_ps, end_ps)
        count = int(self._rng.poisson(brightness * self._light.photons_s * (end_ps - begin_ps) / _SECOND_PS))
        if self._light.pulse_rate_hz:
            sent_ps = self._rng.choice(pulses_ps, count) if len(pulses_ps) else pulses_ps
        else:
            sent_ps = self._rng.integers(begin_ps, end_ps, count)
        channel = self._channels(len(sent_ps), hwp_rad)
        seen = channel > 0
        time_ps = sent_ps[seen] + self._delay_ps[channel[seen]] + self._module.jitter_ps(int(seen.sum()), self._rng)
        times, channels = [time_ps], [channel[seen]]
        if self._light.pulse_rate_hz and self._light.trigger:
            times.append(pulses_ps + self._delay_ps[Channel.BEACON])
            channels.append(np.full(len(pulses_ps), Channel.BEACON, np.uint8))
        return self._tagged(np.concatenate(times), np.concatenate(channels))

    def _pulses(self, begin_ps: int, end_ps: int) -> IntArray:
        """Pulses of an interval: never at its ends, so that each click lies in the interval of its pulse."""
        if not self._light.pulse_rate_hz:
            return np.empty(0, np.int64)
        period_ps = round(_SECOND_PS / self._light.pulse_rate_hz)
        pulses: IntArray = np.arange(begin_ps // period_ps, end_ps // period_ps, dtype=np.int64) * period_ps
        return pulses + period_ps // 2

    def _channels(self, count: int, hwp_rad: float) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        turned_rad = 2 * self._parity * (hwp_rad + self._mounting_rad - self._zero_rad)
        ahead: FloatArray = np.full(count, radians(self._light.polarization_deg) + self.level_rad - turned_rad)
        loose = self._rng.random(count) >= self._light.polarized_share
        ahead[loose] = pi * self._rng.random(int(loose.sum()))
        nothing = np.zeros(count, np.uint8)
        return self._module.measure(PulseStates(nothing, nothing, nothing), ahead, self._rng)

    def _tagged(self, time_ps: IntArray, channel: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> TagBlock:
        """Clicks that the dead time lets through, with the jitter of the TDC."""
        order = np.argsort(time_ps, kind='stable')
        keep = alive(time_ps[order], channel[order], self._dead_ps, self._last_ps)
        time_ps, channel = time_ps[order][keep], channel[order][keep]
        read_ps = time_ps + np.rint(self._rng.standard_normal(len(time_ps)) * self._jitter_ps).astype(np.int64)
        order = np.argsort(read_ps, kind='stable')
        return TagBlock(read_ps[order], channel[order])


def mounting_error_rad(settings: TwinSettings, seed: int) -> float:
    """True angle of the half-wave plate minus that on the rotator's scale, of a seed."""
    return SimHwp(settings.plant.hwp, 0, settings.plant.sample_hz, draws(seed)[HWP_STREAM]).mounting_error_rad
