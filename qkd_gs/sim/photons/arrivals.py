"""Clicks of photons, sync pulses and PPS pulses in an interval of true time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkd_gs.arrays import ByteArray, FloatArray, IntArray
from qkd_gs.downlink.background import background_rate
from qkd_gs.downlink.budget import air_mass, transmission
from qkd_gs.downlink.extinction import zenith_loss_db
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.qkd.sifting.states import PulseStates
from qkd_gs.settings.station import DetectorSettings
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.detectors import BB84Module
from qkd_gs.sim.photons.transmitter import SimTransmitter
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spline import TimeMap
from qkd_gs.timing.tags import QUANTUM, Channel

Place = TargetState[FloatArray]
Clicks = tuple[IntArray, ByteArray]

_PS = 10**12
_SYNC_REFERENCE_M = 1e6
_EDGE_PS = 10**9  # a pulse whose trigger jitter carries it over the edge of an interval belongs to the next one
_FWHM = 2.3548
_GRID_PS = 50 * 10**9


@dataclass(frozen=True)
class ReceiverState:
    """True state of the receiver, sampled at about 1 kHz over an interval; arrays (n,)."""

    t_ns: IntArray
    offset_rad: FloatArray  # 850 nm image from the centre of the receiving field
    polarization_error_rad: FloatArray  # polarization angle of the satellite minus that of the analyser
    lit: FloatArray  # satellite's sources on: 0 or 1
    fade: FloatArray  # transmission of clouds, 1 = clear


class PhotonSource:
    """Draws the clicks of one pass.

    Each of 1e8 pulses per second clicks independently.  Since few do, candidates are drawn at the rate of the
    brightest state at the best transmission of the interval, and thinned by the true state of each pulse.
    """

    def __init__(
        self,
        settings: PhotonicsSettings,
        detectors: DetectorSettings,
        transmitter: SimTransmitter,
        path: Trajectory,
        rng: np.random.Generator,
    ) -> None:
        self._settings = settings
        self._transmitter = transmitter
        self._path = path
        self._zenith_loss_db = zenith_loss_db(path.site)
        self._rng = rng
        self._arrival, self._emission = _maps(path, transmitter.clock)
        self._module = BB84Module(settings.spads, settings.polarization)
        self._delay_ps = drawn_delays_ps(settings, detectors, rng)

    def clicks(self, start_ps: int, end_ps: int, state: ReceiverState) -> Clicks:
        """All clicks of [start_ps, end_ps), with cable delays, before dead time; not in order."""
        at_ps = (state.t_ns - self._path.epoch_ns) * 1000
        place = self._path.table(state.t_ns)
        parts = (
            self._quantum(start_ps, end_ps, at_ps, state, place),
            self._noise(start_ps, end_ps, place),
            self._beacon(start_ps, end_ps, at_ps, state, place),
            self._seconds(start_ps, end_ps),
        )
        time_ps = np.concatenate([part[0] for part in parts])
        channel = np.concatenate([part[1] for part in parts])
        return time_ps + self._delay_ps[channel], channel

    def _quantum(self, start_ps: int, end_ps: int, at_ps: IntArray, state: ReceiverState, place: Place) -> Clicks:
        eta = transmission(self._settings.link, self._path.site, place.range_m, place.el_rad, state.offset_rad)
        eta *= state.lit * state.fade
        eta *= self._module.max_efficiency
        rng, mu = self._rng, self._transmitter.mu
        most = -np.expm1(-mu.max() * eta.max())
        first, end = self._pulses_between(start_ps, end_ps, self._transmitter.period)
        count = rng.binomial(end - first, most) if most > 0 else 0
        pulse = np.unique(rng.integers(first, end, count))
        states = self._transmitter.states(pulse)
        arrival_ps = self._arrival(self._transmitter.period.time_ps(pulse))
        mean = mu[states.intensity] * np.interp(arrival_ps, at_ps, eta)
        taken = rng.random(len(pulse)) * most < -np.expm1(-mean)
        second = taken & (rng.random(len(pulse)) < mean / 2)  # another photon of the same pulse
        pick = np.concatenate([np.flatnonzero(taken), np.flatnonzero(second)])
        picked = PulseStates(states.intensity[pick], states.basis[pick], states.bit[pick])
        channel = self._module.measure(picked, np.interp(arrival_ps[pick], at_ps, state.polarization_error_rad), rng)
        time_ps = arrival_ps[pick] + self._module.jitter_ps(len(pick), rng)
        clicked = channel > 0
        time_ps, channel = time_ps[clicked], channel[clicked]
        again_ps, again = self._module.afterpulses(time_ps, channel, rng)
        return np.concatenate([time_ps, again_ps]), np.concatenate([channel, again])

    def _noise(self, start_ps: int, end_ps: int, place: Place) -> Clicks:
        middle = slice(len(place.el_rad) // 2, len(place.el_rad) // 2 + 1)  # an interval is short
        rate = background_rate(
            self._settings.noise, self._settings.link, self._path.site, np.asarray(place.t_ns, np.int64)[middle],
            place.az_rad[middle], place.el_rad[middle], place.range_m[middle],
        ).item()  # fmt: skip
        n = self._rng.poisson(rate * (end_ps - start_ps) / _PS)
        return self._rng.integers(start_ps, end_ps, n), self._rng.integers(Channel.H, Channel.A + 1, n).astype(np.uint8)

    def _beacon(self, start_ps: int, end_ps: int, at_ps: IntArray, state: ReceiverState, place: Place) -> Clicks:
        if not self._transmitter.beacon_period.rate_hz:
            return np.empty(0, np.int64), np.empty(0, np.uint8)
        sync, rng = self._settings.sync_detector, self._rng
        first, end = self._pulses_between(start_ps - _EDGE_PS, end_ps + _EDGE_PS, self._transmitter.beacon_period)
        arrival_ps = self._arrival(self._transmitter.beacon_emission_ps(np.arange(first, end)))
        arrival_ps = arrival_ps[(arrival_ps >= start_ps) & (arrival_ps < end_ps)]
        air = 10 ** (-self._zenith_loss_db * air_mass(place.el_rad) / 10)
        photons = sync.photons_per_pulse * (_SYNC_REFERENCE_M / place.range_m) ** 2 * air * state.lit * state.fade
        seen = rng.random(len(arrival_ps)) < -np.expm1(-np.interp(arrival_ps, at_ps, photons))
        sigma_ps = 1e3 * np.hypot(self._settings.beacon.pulse_fwhm_ns / _FWHM, sync.jitter_ns)
        time_ps = arrival_ps[seen] + np.rint(rng.standard_normal(int(seen.sum())) * sigma_ps).astype(np.int64)
        n = rng.poisson(sync.noise_cps * (end_ps - start_ps) / _PS)
        time_ps = np.concatenate([time_ps, rng.integers(start_ps, end_ps, n)])
        return time_ps, np.full(len(time_ps), Channel.BEACON, np.uint8)

    def _seconds(self, start_ps: int, end_ps: int) -> Clicks:
        epoch_ps = self._path.epoch_ns * 1000  # beyond 64 bits: Python integers
        first, end = (-(-(t_ps + epoch_ps) // _PS) for t_ps in (start_ps, end_ps))
        edges = np.arange(end - first, dtype=np.int64) * _PS + (first * _PS - epoch_ps)
        jitter_ps = self._rng.standard_normal(len(edges)) * self._settings.gps.pps_jitter_ns * 1e3
        return edges + np.rint(jitter_ps).astype(np.int64), np.full(len(edges), Channel.PPS, np.uint8)

    def _pulses_between(self, start_ps: int, end_ps: int, period: PulsePeriod) -> tuple[int, int]:
        """Pulses [first, end) of a regular train that arrive in [start_ps, end_ps)."""
        first, end = period.before(self._emission(np.array([start_ps, end_ps], np.int64)) - 1) + 1
        return int(first), int(end)


def drawn_delays_ps(settings: PhotonicsSettings, detectors: DetectorSettings, rng: np.random.Generator) -> IntArray:
    """True delays by channel, ps (7,): as the station knows them, plus the errors that the twin draws."""
    limit_ns = dict.fromkeys(QUANTUM, settings.spads.delay_error_ns)
    limit_ns[Channel.BEACON] = settings.sync_detector.delay_error_ns
    delay_ps = np.zeros(len(Channel) + 1, np.int64)
    for channel in Channel:
        error_ns = rng.uniform(-1, 1) * limit_ns[channel] if channel in limit_ns else 0.0  # PPS has its own jitter
        delay_ps[channel] = round((detectors.delay_ns[channel.name] + error_ns) * 1e3)
    return delay_ps


def _maps(path: Trajectory, clock: DriftingClock) -> tuple[TimeMap, TimeMap]:
    """Maps from the satellite's clock to true arrival time and back, over the whole trajectory.

    Computed once: a spline of the light-time for every interval would cost more than the photons.
    """
    last_ps = (path.end_ns - path.start_ns) * 1000
    grid = np.arange(0, last_ps, _GRID_PS, dtype=np.int64)
    emitted = clock.read(path.emission_ps(grid))
    arriving = path.arrival_ps(clock.when(grid))
    nothing = np.zeros(len(grid))
    return (
        TimeMap.through(0, _GRID_PS, arriving - grid, nothing),
        TimeMap.through(0, _GRID_PS, emitted - grid, nothing),
    )
