"""Synthetic session: photons of a part of a pass without mount and cameras, generated quickly.

For benchmarks and tests of the processing: pointing is perfect, everything else (orbit, clocks, photons, detectors,
sealing, the satellite's record) is that of the twin.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qkd_gs import __version__
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.propagate import Orbit
from qkd_gs.orbit.timescale import format_utc, parse_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.session.manifest import LockedSpan, Manifest, create_manifest
from qkd_gs.session.tag_files import next_tags_path
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.site import Site, load_site
from qkd_gs.settings.station import StationSettings
from qkd_gs.settings.twin import load_twin
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.share import share_path
from qkd_gs.sim.photons.arrivals import PhotonSource, ReceiverState
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.satellite_record import SatelliteRecord
from qkd_gs.sim.photons.tdc_gps import SimTdc
from qkd_gs.sim.photons.transmitter import SimTransmitter
from qkd_gs.timing.sealed import SealedWriter
from qkd_gs.timing.tags import TagBlock

CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')
ELEMENTS = share_path('config', 'elements', 'micius.tle')
_PUBLISHED_DB = 0.8  # by which the published pass was better than the expectation for its site
_POLL_NS = 10**8
_SAMPLE_NS = 10**6
_MARGIN_NS = 30 * 10**9
_ALONG_TRACK_S, _CROSS_TRACK_M = 0.21, -700.0  # true errors of the elements

SourceMaker = Callable[..., PhotonSource]
Change = Callable[[TagBlock], TagBlock]


def light_of(gain: float = 1.0) -> PhotonicsSettings:
    """The twin's photonics with a link that is better by a factor than that of the published pass."""
    light = load_twin().photonics
    residual_db = light.link.residual_db - _PUBLISHED_DB - 10 * np.log10(gain)
    link = light.link.model_copy(update={'residual_db': residual_db})
    return light.model_copy(update={'link': link})


@dataclass(frozen=True)
class Light:
    """Truth of a pass: the satellite's path, its source, and the photons that arrive."""

    settings: PhotonicsSettings
    truth: Trajectory
    transmitter: SimTransmitter
    source: PhotonSource


@dataclass(frozen=True)
class SyntheticSession:
    """An interval around the culmination of a pass; if not told otherwise, of the Shanghai pass of 2018-10-03.

    Attributes
    ----------
    seconds : float
        Length, in whole tenths.
    before_s : float
        Part of it before culmination.
    gain : float
        Factor on the transmission of the link; above 1 a short interval has the photons of a long pass.
    seed : int
    source : callable
        `PhotonSource`, or one with an eavesdropper.
    change : callable
        Modifies the tags of each tenth of a second before they are sealed.
    outages : tuple of (from, to)
        Intervals in seconds from the start, in whole tenths, in which the detector process is dead: its tag file is
        truncated, and a new run starts after it with another phase of the TDC clock.
    station : StationSettings, optional
        ``config/station.yaml`` if not given.
    delay_error_ns : float, optional
        Largest true error of the detectors' delays, if not as the twin's settings have it.
    culmination_ns : int
        UTC of the culmination.
    site : Site, optional
        Shanghai if not given.
    elements : Path
        Of the satellite.
    """

    seconds: float
    before_s: float
    gain: float = 1.0
    seed: int = 1
    source: SourceMaker = PhotonSource
    change: Change = lambda block: block
    outages: tuple[tuple[float, float], ...] = ()
    station: StationSettings | None = None
    delay_error_ns: float | None = None
    culmination_ns: int = CULMINATION_NS
    site: Site | None = None
    elements: Path = ELEMENTS

    @property
    def start_ns(self) -> int:
        """UTC at which it begins."""
        return self.culmination_ns - round(self.before_s * 1e9)

    @property
    def end_ns(self) -> int:
        """UTC at which it ends."""
        return self.start_ns + round(self.seconds * 10) * _POLL_NS

    def write(self, folder: Path, sealing_key: Callable[[str], bytes]) -> Manifest:
        """Generate the photons and write the session.

        Parameters
        ----------
        folder : Path
            Must not exist.
        sealing_key : callable
            Id of the session to the public key that its tags are sealed to.
        """
        light, manifest = self.light(), self.manifest()
        folder.mkdir(parents=True)
        shutil.copyfile(self.elements, manifest.orbit_path(folder))
        clock = light.transmitter.clock
        SatelliteRecord(
            seed=self.seed,
            source=manifest.station.source,
            beacon=light.settings.beacon,
            epoch_utc_ns=light.truth.epoch_ns,
            clock_offset_ps=clock.offset_ps,
            clock_rate=clock.rate,
            clock_drift_per_s=clock.drift_per_s,
        ).save(folder)
        frozen = manifest.station.frozen_digest
        session_id, recipient = bytes.fromhex(manifest.session_id), sealing_key(manifest.session_id)
        for number, (from_ns, to_ns, dies) in enumerate(self._runs(self.start_ns, self.end_ns)):
            writer = SealedWriter(next_tags_path(folder), session_id, recipient, from_ns, frozen)
            for now_ns, block in self.tags(light, number, from_ns, to_ns):
                writer.append(now_ns, block)
            if not dies:
                writer.close()
        create_manifest(folder, manifest)
        return manifest

    def light(self) -> Light:
        """Truth of the pass."""
        settings, site = self.photonics(), self._site()
        truth = Trajectory.predict(
            self._orbit(),
            site,
            self.start_ns - _MARGIN_NS,
            self.end_ns + _MARGIN_NS,
            along_track_s=_ALONG_TRACK_S,
            cross_track_m=_CROSS_TRACK_M,
        )
        rng, station = np.random.default_rng(self.seed), self._station()
        clock = DriftingClock.drawn(0, settings.satellite_clock, rng)
        transmitter = SimTransmitter(self.seed, station.source, settings.beacon, clock, truth.epoch_ns)
        return Light(settings, truth, transmitter, self.source(settings, station.detectors, transmitter, truth, rng))

    def manifest(self) -> Manifest:
        """Manifest of the whole session."""
        orbit, station = self._orbit(), self._station()
        elsewhere = '' if self.site is None else f' {self.culmination_ns} {self.site}'
        identity = f'{self.seed} {self.seconds} {self.before_s} {self.gain} {self.outages} {station}{elsewhere}'
        return Manifest(
            session_id=hashlib.sha256(identity.encode()).hexdigest()[:32],
            simulated=True,
            software=f'qkd_gs {__version__}',
            created_utc=format_utc(self.start_ns),
            satellite=orbit.name,
            elements_file='elements.tle',
            elements_used=orbit.describe(),
            site=self._site(),
            pass_info={},
            culmination_ns=self.culmination_ns,
            time_bias_s=0.0,
            cross_track_m=0.0,
            locked=[LockedSpan(start_ns=self.start_ns, end_ns=self.end_ns)],
            closed=True,
            station=station,
            seed=self.seed,
        )

    def tags(self, light: Light, number: int, from_ns: int, to_ns: int) -> Iterator[tuple[int, TagBlock]]:
        """Tags of a run of the TDC, each tenth of a second with the UTC at which they are there."""
        tdc = SimTdc(light.settings, self._station().detectors, light.source, light.truth.epoch_ns, self.seed + number)
        tdc.start(from_ns)
        for first_ns in range(from_ns, to_ns, _POLL_NS):
            now_ns = first_ns + _POLL_NS
            t_ns = np.arange(first_ns, now_ns, _SAMPLE_NS)
            still, clear = np.zeros(len(t_ns)), np.ones(len(t_ns))
            tdc.observe(ReceiverState(t_ns, still, still, clear, clear))
            yield now_ns, self.change(tdc.poll(now_ns))

    def photonics(self) -> PhotonicsSettings:
        """The twin's light as this session has it."""
        light = light_of(self.gain)
        if self.delay_error_ns is None:
            return light
        spads = light.spads.model_copy(update={'delay_error_ns': self.delay_error_ns})
        return light.model_copy(update={'spads': spads})

    def _runs(self, start_ns: int, end_ns: int) -> list[tuple[int, int, bool]]:
        """Start and end of each run of the TDC, and whether its process dies there."""
        borders = [start_ns + round(edge_s * 10) * _POLL_NS for outage in self.outages for edge_s in outage]
        edges = [start_ns, *borders, end_ns]
        return [(first, last, last < end_ns) for first, last in zip(edges[::2], edges[1::2], strict=True)]

    def _station(self) -> StationSettings:
        return self.station or load_yaml(share_path('config', 'station.yaml'), StationSettings)

    def _site(self) -> Site:
        return self.site or load_site('shanghai')

    def _orbit(self) -> Orbit:
        return load_elements(self.elements).nearest(self.culmination_ns, force=True)
