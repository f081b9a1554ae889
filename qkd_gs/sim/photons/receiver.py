"""Simulated receiver of a pass and the satellite's record; runs in the process that reads the tags."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.site import Site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import TwinSettings
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.sim.photons.arrivals import PhotonSource, ReceiverState, drawn_delays_ps
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.satellite_record import SatelliteRecord
from qkd_gs.sim.photons.tdc_gps import SimTdc
from qkd_gs.sim.physics.plant import Interval

_STRIDE = 64  # bits: so far apart are the draws of two passes
_STREAM = 0x11C7  # keeps the photons' draws apart from the world's


class Received(IntEnum):
    """Rows of the receiver's true state."""

    OFFSET = 0  # 850 nm image from the middle of the receiving field, rad
    POLARIZATION_ERROR = 1  # polarization angle of the satellite minus that of the analyser, rad
    LIT = 2  # satellite's sources: 0 or 1
    FADE = 3  # transmission of clouds, 1 = clear


def simulated_receiver(
    settings: TwinSettings, station: StationSettings, truth: Trajectory, site: Site, seed: int, number: int = 0
) -> tuple[SatelliteRecord, SimTdc]:
    """The satellite's record and the TDC, drawn from the seed: the same in every process.

    Parameters
    ----------
    number : int
        Of the pass in the simulated sky: delays and clock of the satellite are those of every pass, its bits and the
        photons are not.
    """
    rng = _rng(seed)
    clock = DriftingClock.drawn(0, settings.photonics.satellite_clock, rng)
    record = SatelliteRecord(
        seed=seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
        source=station.source,
        beacon=settings.photonics.beacon,
        epoch_utc_ns=truth.epoch_ns,
        clock_offset_ps=clock.offset_ps,
        clock_rate=clock.rate,
        clock_drift_per_s=clock.drift_per_s,
    )
    source = PhotonSource(settings.photonics, station.detectors, record.transmitter(), truth, rng)
    rng.bit_generator.advance(number << _STRIDE)  # type: ignore[attr-defined]  # of PCG64: no draw twice
    return record, SimTdc(settings.photonics, station.detectors, source, truth.epoch_ns, int(rng.integers(1 << 62)))


def true_delays_ps(settings: PhotonicsSettings, station: StationSettings, seed: int) -> IntArray:
    """True delays of the receiver of a seed, by channel, ps (7,)."""
    rng = _rng(seed)
    DriftingClock.drawn(0, settings.satellite_clock, rng)  # is drawn first
    return drawn_delays_ps(settings, station.detectors, rng)


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))


def receiver_rows(interval: Interval, polarization_error_rad: FloatArray) -> FloatArray:
    """True state of the receiver over an interval, rows of `Received` (4, n)."""
    offset_rad = np.hypot(
        interval.tilt_x_rad - interval.offset_x_rad,
        interval.tilt_y_rad - interval.offset_y_rad - interval.dispersion_rad,
    )
    return np.stack([offset_rad, polarization_error_rad, interval.lit, interval.fade])


def receiver_state(t_ns: IntArray, rows: FloatArray) -> ReceiverState:
    """The same as input of the TDC."""
    return ReceiverState(t_ns, *rows)
