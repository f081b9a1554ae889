"""An interval of the Shanghai pass of 2018-10-03 in the twin's light, with its truth."""

from dataclasses import dataclass

import numpy as np
import pytest

from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.share import share_path
from qkd_gs.sim.photons.arrivals import PhotonSource, ReceiverState
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.tdc_gps import SimTdc
from qkd_gs.sim.photons.transmitter import SimTransmitter
from qkd_gs.timing.clocks.pps import PpsTimescale, fit_pps
from qkd_gs.timing.tags import Channel, TagBlock

CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')


@dataclass(frozen=True)
class LightRun:
    """Tags of an interval, what the station knows, and (for the test alone) the truth."""

    station: StationSettings
    blocks: list[TagBlock]
    start_ns: int
    predicted: Trajectory
    transmitter: SimTransmitter
    truth: Trajectory
    tdc_clock: DriftingClock

    @property
    def tags(self) -> TagBlock:
        return TagBlock(
            np.concatenate([block.time_ps for block in self.blocks]),
            np.concatenate([block.channel for block in self.blocks]),
        )

    @property
    def delay_ps(self) -> np.ndarray:
        delays = np.zeros(len(Channel) + 1, np.int64)
        for channel in Channel:
            delays[channel] = round(self.station.detectors.delay_ns[channel.name] * 1e3)
        return delays

    def scale(self) -> PpsTimescale:
        return fit_pps(self.tags.of(Channel.PPS), int(self.delay_ps[Channel.PPS]), self.start_ns + 30_000_000)

    def emission_ps(self, scale: PpsTimescale):
        """The station's prediction: UTC of arrival to the satellite's time of emission, from elements alone."""
        since_epoch_ps = (scale.first_utc_ns - self.predicted.epoch_ns) * 1000
        clock_ps = (self.predicted.epoch_ns - self.transmitter.epoch_utc_ns) * 1000
        return lambda utc_ps: self.predicted.emission_ps(utc_ps + since_epoch_ps) + clock_ps

    def true_emission_ps(self, tdc_ps: np.ndarray) -> np.ndarray:
        """Satellite time of emission of light that the TDC would tag at these times without delay."""
        return self.transmitter.clock.read(self.truth.emission_ps(self.tdc_clock.when(tdc_ps)))


def take(seconds: float, dark: tuple[tuple[float, float], ...] = (), seed: int = 1) -> LightRun:
    """Tags of `seconds` before culmination; the satellite is dark in the intervals given (s from the start)."""
    station, light = load_yaml(share_path('config', 'station.yaml'), StationSettings), load_twin().photonics
    site = load_site('shanghai')
    orbit = load_elements(share_path('config', 'elements', 'micius.tle')).nearest(CULMINATION_NS)
    start_ns, end_ns = CULMINATION_NS - round(seconds * 1e9), CULMINATION_NS
    span = (orbit, site, start_ns - 30 * 10**9, end_ns + 30 * 10**9)
    truth = Trajectory.predict(*span, along_track_s=0.21, cross_track_m=-700.0)
    rng = np.random.default_rng(seed)
    clock = DriftingClock.drawn(0, light.satellite_clock, rng)
    transmitter = SimTransmitter(seed, station.source, light.beacon, clock, truth.epoch_ns)
    source = PhotonSource(light, station.detectors, transmitter, truth, rng)
    tdc = SimTdc(light, station.detectors, source, truth.epoch_ns, seed)
    tdc.start(start_ns)
    blocks = []
    for first_ns in range(start_ns, end_ns, 10**8):
        t_ns = np.arange(first_ns, first_ns + 10**8, 10**6)
        still, clear = np.zeros(len(t_ns)), np.ones(len(t_ns))
        lit = clear.copy()
        for dark_s, light_s in dark:
            since_s = (t_ns - start_ns) * 1e-9
            lit[(since_s >= dark_s) & (since_s < light_s)] = 0
        tdc.observe(ReceiverState(t_ns, still, still, lit, clear))
        blocks.append(tdc.poll(first_ns + 10**8))
    clock_of_tdc = tdc._clock  # the test alone may know it
    return LightRun(station, blocks, start_ns, Trajectory.predict(*span), transmitter, truth, clock_of_tdc)


@pytest.fixture(scope='session')
def faded() -> LightRun:
    """Forty seconds with a fade that can be bridged (0.9 s) and one that cannot (3 s)."""
    return take(40.0, dark=((10.0, 10.9), (25.0, 28.0)))
