"""The satellite's source: every pulse's state and every beacon pulse's time, computed from a key instead of stored."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.qkd.protocol.messages import LOG_BLOCK
from qkd_gs.qkd.sifting.states import BeaconLog, Intensity, PulseStates
from qkd_gs.settings.station import SourceSettings
from qkd_gs.settings.twin_photonics import BeaconSourceSettings
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.pulse_times import PulseTimes

_JITTER_BLOCK = 4096
_LOG_BLOCK_FLAG = 1 << 40


class SimTransmitter:
    """A keyed counter-mode source: 4.4e10 pulses a pass cannot be stored, but each can be computed.

    State of pulse n: two bytes of AES-128(key, n // 8) taken at n % 8; the first chooses the intensity
    (probabilities in steps of 1/256), the second carries basis and bit.

    Parameters
    ----------
    seed : int
        Of the simulated pass; the key derives from it (so a simulated key is not secret).
    source, beacon : settings
        Rates, intensities and their probabilities; the beacon's jitter.
    clock : DriftingClock
        The satellite's clock; reads 0 at `epoch_utc_ns` by the satellite's own GPS.
    """

    def __init__(
        self, seed: int, source: SourceSettings, beacon: BeaconSourceSettings, clock: DriftingClock, epoch_utc_ns: int
    ) -> None:
        key = hashlib.sha256(f'qkd_gs simulated source {seed}'.encode()).digest()
        self._aes = Cipher(algorithms.AES(key[:16]), modes.ECB())  # of a counter: counter mode
        self._seed = int.from_bytes(key[16:24], 'little')
        self._beacon = beacon
        self.clock = clock
        self.epoch_utc_ns = epoch_utc_ns
        self.period = PulsePeriod(source.pulse_rate_hz)
        self.beacon_period = PulsePeriod(source.beacon_rate_hz)
        self.mu = np.array([source.mu_signal, source.mu_decoy, source.mu_vacuum])
        self._threshold = round(256 * source.p_signal), round(256 * (source.p_signal + source.p_decoy))

    def states(self, pulse: IntArray) -> PulseStates:
        """States of these pulse numbers (n,), in any order."""
        counters = np.zeros((len(pulse), 2), np.uint64)
        counters[:, 0] = pulse >> 3
        encryptor = self._aes.encryptor()
        stream = np.frombuffer(encryptor.update(counters.tobytes()) + encryptor.finalize(), np.uint8).reshape(-1, 8, 2)
        chosen = stream[np.arange(len(pulse)), pulse & 7]
        signal_below, decoy_below = self._threshold
        intensity = np.full(len(pulse), Intensity.VACUUM, np.uint8)
        intensity[chosen[:, 0] < decoy_below] = Intensity.DECOY
        intensity[chosen[:, 0] < signal_below] = Intensity.SIGNAL
        return PulseStates(intensity, chosen[:, 1] & 1, (chosen[:, 1] >> 1) & 1)

    def beacon_emission_ps(self, index: IntArray) -> IntArray:
        """Satellite-clock times at which beacon pulses really leave, ps; `index` is a run of consecutive numbers."""
        jitter_ps = self._noise(index, 0) * (self._beacon.trigger_jitter_ns * 1e3)
        return self.beacon_period.time_ps(index) + np.rint(jitter_ps).astype(np.int64)

    def beacon_log(self, first_utc_ns: int, last_utc_ns: int) -> BeaconLog:
        """Log of the beacon pulses that left between two UTC times, as tagged by the satellite's own TDC."""
        bounds_ps = np.array([first_utc_ns - self.epoch_utc_ns, last_utc_ns - self.epoch_utc_ns]) * 1000
        first, last = self.beacon_period.before(bounds_ps).tolist()
        pulses = max(0, last + 1 - first)

        def logged(number: int) -> IntArray:
            start = number * LOG_BLOCK
            return self._logged_ps(np.arange(first + start, first + min(start + LOG_BLOCK, pulses)))

        starts_ps = [int(self._logged_ps(np.array([first + start]))[0]) for start in range(0, pulses, LOG_BLOCK)]
        return BeaconLog(first, PulseTimes(LOG_BLOCK, starts_ps, pulses, logged), self.epoch_utc_ns)

    def logged(self, first_utc_ns: int, last_utc_ns: int) -> tuple[int, int, int]:
        """First and last pulse that left between two UTC times, and the UTC, ns, of the clock's zero."""
        bounds_ps = np.array([first_utc_ns - self.epoch_utc_ns, last_utc_ns - self.epoch_utc_ns]) * 1000
        first, last = self.period.before(bounds_ps).tolist()
        return max(first + 1, 0), last, self.epoch_utc_ns

    def _logged_ps(self, index: IntArray) -> IntArray:
        error_ps = np.rint(self._noise(index, _LOG_BLOCK_FLAG) * self._beacon.log_error_ps).astype(np.int64)
        return self.beacon_emission_ps(index) + error_ps

    def _noise(self, index: IntArray, flag: int) -> FloatArray:
        """Standard normal numbers that belong to the pulse numbers, always the same."""
        if len(index) == 0:
            return np.empty(0)
        blocks = range(int(index[0]) // _JITTER_BLOCK, int(index[-1]) // _JITTER_BLOCK + 1)
        drawn = [_normal_block(self._seed, flag, block) for block in blocks]
        return np.concatenate(drawn)[index - blocks.start * _JITTER_BLOCK]


@lru_cache(maxsize=4)  # a pass asks for the same block some four times in a row
def _normal_block(seed: int, flag: int, block: int) -> FloatArray:
    return np.random.default_rng((seed, flag, block + (1 << 32))).standard_normal(_JITTER_BLOCK)
