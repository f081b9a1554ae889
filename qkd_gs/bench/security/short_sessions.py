"""Short sessions of the twin's light, and both sides of the protocol in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.link.transcript_file import TranscriptFile
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
    """Both ends of a run.

    Attributes
    ----------
    figures : dict
        Of the ground.
    satellite : SatelliteResult or Exception
    ground_key : bytes
    """

    figures: dict[str, Any]
    satellite: Any
    ground_key: bytes = field(repr=False)

    @property
    def key(self) -> dict[str, Any]:
        """Figures of the key."""
        return dict(self.figures['key'])


def station_with(section: str, **changes: Any) -> StationSettings:
    """The station's settings with some of a section changed."""
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    return station.model_copy(update={section: getattr(station, section).model_copy(update=changes)})


def short_session(**changes: Any) -> SyntheticSession:
    """Eight seconds about culmination with the photons of a pass."""
    return SyntheticSession(**({'seconds': 8.0, 'before_s': 4.0, 'gain': 8.0} | changes))


def make(folder: Path, **changes: Any) -> Processed:
    """Generate a short session and process it."""
    lie, settle = changes.pop('lie', unchanged), changes.pop('settle', unchanged)
    keys = KeyFolder.create(folder / 'keys')
    short_session(**changes).write(folder / 'session', keys.session_public_key)
    return process(folder / 'session', keys, lie, settle=settle)


def unchanged(same: Any) -> Any:
    """The same value."""
    return same


def process(
    folder: Path,
    keys: KeyFolder,
    lie: Callable[[Any], Any] = unchanged,
    wrap: Callable[[Channel], Channel] = unchanged,
    record: RecordInMemory | None = None,
    settle: Callable[[int], Any] = unchanged,
) -> Processed:
    """Process a session; the satellite answers from a thread.

    Parameters
    ----------
    folder : Path
    keys : KeyFolder
    lie : callable
        Makes a lying transmitter of an honest one.
    wrap : callable
        Puts somebody into the ground's end of the link.
    record : RecordInMemory, optional
        Of the satellite, if it has one from earlier runs.
    settle : callable
        Told the UTC, ns, from which on the satellite answers.
    """
    results: list[Any] = []

    @contextmanager
    def link() -> Iterator[Channel]:
        manifest, sent = load_manifest(folder), load_record(folder)
        ground, satellite = channel_pair(timeout_s=300.0)
        pre_shared = SimulatedPreSharedKey(sent.seed, manifest.session_id)

        def answer() -> None:
            try:
                terms = Terms.of_station(manifest.station)
                transmitter = lie(sent.transmitter())
                now_utc_ns = partial(present_ns, manifest)
                of_it = record or RecordInMemory()
                with TranscriptFile(folder, 'satellite-transcript') as transcript:
                    made = serve(satellite, transmitter, terms, pre_shared, of_it, now_utc_ns, transcript=transcript)
                results.append(made)
            except Exception as fault:  # noqa: BLE001 - the test looks at it
                results.append(fault)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield wrap(ground)
        finally:
            ground.close()
            thread.join()

    figures = process_session(folder, keys, link, lambda step, done: None, settle=settle)
    bits = figures['key']['secret_bits'] // 16 * 8  # the half to send with
    with keys.store(simulated=True) as store:
        taken = store.take(bits, simulated=True).material.reveal() if bits else b''
    return Processed(figures, results[0] if results else None, taken)
