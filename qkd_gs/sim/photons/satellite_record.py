"""Record of the simulated satellite; stored in the session, read only by its side of the protocol.

A simulated session stays marked as simulated; its key derives from the published seed and is not secret.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.station import SourceSettings
from qkd_gs.settings.twin_photonics import BeaconSourceSettings
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.sim.photons.transmitter import SimTransmitter

FILE_NAME = 'simulated_satellite.json'


class SatelliteRecord(Section):
    """Parameters that give the state of any pulse."""

    seed: int
    source: SourceSettings
    beacon: BeaconSourceSettings
    epoch_utc_ns: int = Field(description="UTC at which the satellite's clock reads 0 but for its own error")
    clock_offset_ps: float
    clock_rate: float
    clock_drift_per_s: float

    def transmitter(self) -> SimTransmitter:
        """The source."""
        clock = DriftingClock(0, self.clock_offset_ps, self.clock_rate, self.clock_drift_per_s)
        return SimTransmitter(self.seed, self.source, self.beacon, clock, self.epoch_utc_ns)

    def save(self, folder: Path) -> None:
        """Write into a session."""
        (folder / FILE_NAME).write_text(self.model_dump_json(indent=2) + '\n', encoding='utf-8')


def load_record(folder: Path) -> SatelliteRecord:
    """Record of a simulated session.

    Raises
    ------
    StationError
        The session is not a simulated one, or the record is damaged.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise StationError('has no simulated satellite', where=folder, hint='only a simulated session has one')
    return load_yaml(path, SatelliteRecord)  # JSON is YAML, and errors get their lines
