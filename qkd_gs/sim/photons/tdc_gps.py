"""Simulated TDC and GPS receiver, driven by the true state of the receiver."""

from __future__ import annotations

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.devices.gps import GpsReading
from qkd_gs.devices.open_state import OpenState
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import DetectorSettings
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.photons.arrivals import PhotonSource, ReceiverState
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.detectors import alive
from qkd_gs.timing.tags import Channel, TagBlock

_HOLD_BACK_PS = 10**7  # delays and jitter reach beyond the end of an interval; those tags wait for the next one
_SECOND_NS = 10**9


class SimTdc:
    """A TDC that tags the clicks of `PhotonSource`.  Tdc Protocol.

    The twin calls `observe` with the receiver's true state up to a time before `poll` is called for it.
    """

    def __init__(
        self, settings: PhotonicsSettings, detectors: DetectorSettings, source: PhotonSource, epoch_ns: int, seed: int
    ) -> None:
        self._settings = settings
        self._source = source
        self._epoch_ns = epoch_ns
        self._rng = np.random.default_rng(seed)
        self._dead_ps = {int(channel): round(settings.spads.dead_time_ns * 1e3) for channel in list(Channel)[:4]}
        self._dead_ps[Channel.BEACON] = round(settings.sync_detector.dead_time_ns * 1e3)
        self._states: list[ReceiverState] = []
        self._clock: DriftingClock | None = None

    def open(self) -> None: ...

    def start(self, now_ns: int) -> None:
        """Begin a run; the phase of the clock is drawn."""
        start_ps = (now_ns - self._epoch_ns) * 1000 + int(self._rng.integers(0, 10**9))
        self._clock = DriftingClock.drawn(start_ps, self._settings.tdc.clock, self._rng)
        self._until_ps = start_ps
        self._last_ps: dict[int, int] = {}
        self._waiting: tuple[IntArray, ByteArray] = np.empty(0, np.int64), np.empty(0, np.uint8)
        self._states.clear()

    def observe(self, state: ReceiverState) -> None:
        """Add the true state of the receiver in the interval just elapsed."""
        if self._clock is not None:
            self._states.append(state)

    def poll(self, now_ns: int) -> TagBlock:
        """Tags up to `now_ns`, in order."""
        end_ps = (now_ns - self._epoch_ns) * 1000
        if self._clock is None or not self._states or end_ps <= self._until_ps:
            return TagBlock(np.empty(0, np.int64), np.empty(0, np.uint8))
        fresh_ps, fresh = self._source.clicks(self._until_ps, end_ps, _joined(self._states))
        self._states.clear()
        self._until_ps = end_ps
        time_ps = np.concatenate([self._waiting[0], fresh_ps])
        channel = np.concatenate([self._waiting[1], fresh])
        order = np.argsort(time_ps, kind='stable')
        time_ps, channel = time_ps[order], channel[order]
        ready = int(np.searchsorted(time_ps, end_ps - _HOLD_BACK_PS))
        self._waiting = time_ps[ready:], channel[ready:]
        time_ps, channel = time_ps[:ready], channel[:ready]
        keep = alive(time_ps, channel, self._dead_ps, self._last_ps)
        return self._tagged(self._clock, time_ps[keep], channel[keep])

    def _tagged(self, clock: DriftingClock, time_ps: IntArray, channel: ByteArray) -> TagBlock:
        jitter_ps = np.rint(self._rng.standard_normal(len(time_ps)) * self._settings.tdc.jitter_ps).astype(np.int64)
        reading_ps = clock.read(time_ps) + jitter_ps
        order = np.argsort(reading_ps, kind='stable')
        return TagBlock(reading_ps[order], channel[order])

    def stop(self, now_ns: int) -> None:
        """End the run."""
        self._clock = None

    def close(self) -> None: ...


class SimGps:
    """A receiver with a fix; its message gives the second of the last PPS edge a little later.  Gps Protocol."""

    def __init__(self, settings: PhotonicsSettings, site: Site) -> None:
        self._settings = settings.gps
        self._site = site
        self._state = OpenState('gps')

    def open(self) -> None:
        """Connect."""
        self._state.is_open = True

    def read(self, now_ns: int) -> GpsReading:
        """The latest message."""
        self._state.require()
        delay_ns = round(self._settings.message_delay_s * 1e9)
        second_ns = (now_ns - delay_ns) // _SECOND_NS * _SECOND_NS
        return GpsReading(
            stamp_ns=second_ns + delay_ns,
            pps_utc_ns=second_ns,
            latitude_deg=self._site.latitude_deg,
            longitude_deg=self._site.longitude_deg,
            altitude_m=self._site.altitude_m,
            satellites=self._settings.satellites,
            time_accuracy_s=self._settings.pps_jitter_ns * 1e-9,
        )

    def close(self) -> None:
        """Disconnect."""
        self._state.is_open = False


def _joined(states: list[ReceiverState]) -> ReceiverState:
    return ReceiverState(
        *(np.concatenate([getattr(state, name) for state in states]) for name in ReceiverState.__dataclass_fields__)
    )
