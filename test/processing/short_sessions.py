"""Short sessions of the twin's light, and both sides of the protocol in one process."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path
from qkd_gs.sim.photons.satellite_record import load_record
from qkd_gs.sim.satellite import present_ns
from qkd_gs.sim.synthetic_session import SyntheticSession


@dataclass
class Processed:
    """Both ends of a run."""

    figures: dict[str, Any]
    satellite: Any
    ground_key: bytes = field(repr=False)

    @property
    def key(self) -> dict[str, Any]:
        return self.figures['key']


def station_with(section: str, **changes: Any) -> StationSettings:
    """The station's settings with some of a section changed."""
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return station.model_copy(update={section: getattr(station, section).model_copy(update=changes)})


def short_session(**changes: Any) -> SyntheticSession:
    """Eight seconds about culmination with the photons of a pass."""
    return SyntheticSession(**({'seconds': 8.0, 'before_s': 4.0, 'gain': 8.0} | changes))


def make(folder: Path, **changes: Any) -> Processed:
    """Generate a short session and process it."""
    lie, settle = changes.pop('lie', lambda transmitter: transmitter), changes.pop('settle', lambda utc_ns: None)
    keys = KeyFolder.create(folder / 'keys')
    short_session(**changes).write(folder / 'session', keys.session_public_key)
    return process(folder / 'session', keys, lie, settle)


def process(
    folder: Path, keys: KeyFolder, lie=lambda transmitter: transmitter, settle=lambda utc_ns: None
) -> Processed:
    """Process a session; the satellite answers from a thread, with a transmitter that may lie."""
    results: list[Any] = []

    @contextmanager
    def link():
        manifest, record = load_manifest(folder), load_record(folder)
        ground, satellite = channel_pair(timeout_s=300.0)
        pre_shared = SimulatedPreSharedKey(record.seed, manifest.session_id)

        def answer():
            try:
                terms = Terms.of_station(manifest.station)
                transmitter = lie(record.transmitter())
                now_utc_ns = partial(present_ns, manifest)
                results.append(serve(satellite, transmitter, terms, pre_shared, RecordInMemory(), now_utc_ns))
            except Exception as fault:  # noqa: BLE001 - the test looks at it
                results.append(fault)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield ground
        finally:
            ground.close()
            thread.join()

    figures = process_session(folder, keys, link, lambda step, done: None, settle=settle)
    bits = figures['key']['secret_bits'] // 16 * 8  # the half to send with
    with keys.store(simulated=True) as store:
        taken = store.take(bits, simulated=True).material.reveal() if bits else b''
    return Processed(figures, results[0] if results else None, taken)
