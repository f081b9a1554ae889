"""Link to the satellite of a session: to its server, or to the twin's satellite."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.orbit.elements import load_elements
from qkd_gs.processing.joining import join_sessions
from qkd_gs.processing.pipeline import DEFAULT_WINDOW_S, process_session
from qkd_gs.processing.session_run import Progress
from qkd_gs.processing.stored_keys import Link
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.tls import connect
from qkd_gs.satellite.server import sleep_until
from qkd_gs.session.manifest import Manifest, load_manifest
from qkd_gs.session.writers import wait_until_written
from qkd_gs.settings.satellite import BENCH, PeerSettings, load_peer, parse_address
from qkd_gs.station.live_recording import LiveRecording

RECORD_OF_THE_TWIN = 'simulated_satellite.json'  # `sim.photons.satellite_record`, which a real session never imports

_log = logging.getLogger(__name__)

_CLOCKS_NS = 500_000_000  # by which the clocks of the two computers may differ
_LONGEST_S = 15.0


def make_key(
    folder: Path,
    keys: KeyFolder,
    progress: Progress,
    window_s: float = DEFAULT_WINDOW_S,
    peer: PeerSettings | None = None,
) -> dict[str, Any]:
    """Process a session with the satellite that belongs to it.

    Parameters
    ----------
    peer : PeerSettings, optional
        Server of the satellite; if not given, the one of config/satellite.yaml.  A simulated session brings its own.

    Raises
    ------
    StationError
        A real session, and no server of its satellite is configured or its certificate is not pinned; or one that holds
        the twin's satellite, but is not marked as simulated.
    """
    manifest = load_manifest(folder)
    if manifest.simulated:
        from qkd_gs.sim.satellite import simulated_satellite  # a real session needs nothing of the twin

        return process_session(folder, keys, lambda: simulated_satellite(folder, keys), progress, window_s)
    link = _server_of(folder, manifest, keys, peer)
    return process_session(folder, keys, link, progress, window_s, partial(wait_until_settled, progress))


def make_key_live(
    folder: Path,
    keys: KeyFolder,
    progress: Progress,
    window_s: float = DEFAULT_WINDOW_S,
    peer: PeerSettings | None = None,
    now_ns: Callable[[], int] = time.time_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Process a session in parts while it is recorded; afterwards, if that is not possible.

    Parameters
    ----------
    peer : PeerSettings, optional
        As of `make_key`.
    now_ns, sleep : callable
        The clock: UTC, ns, and a wait of some seconds.

    Raises
    ------
    StationError
        As of `make_key`, or a simulated session: its clock is that of the twin.
    """
    manifest = load_manifest(folder)
    if manifest.simulated:
        raise StationError('is simulated, with a clock of its own: process it when the pass is over', where=folder)
    link = _server_of(folder, manifest, keys, peer)
    try:
        recording = LiveRecording(folder, keys.session_private_key(manifest.session_id), now_ns, sleep)
        progress('waiting for the light of the pass', 0.0)
        sleep_until(recording.start_ns, now_ns, sleep)
        return process_session(folder, keys, link, progress, window_s, recording=recording)
    except (StationError, DeviceFault) as fault:
        _log.warning('%s; the key is made when the pass is over, of all of it', fault)
    progress('waiting for the end of the pass', 0.0)
    wait_until_written(folder)
    return make_key(folder, keys, progress, window_s, peer)


def is_made_live(folder: Path) -> bool:
    """Whether the key of a session that is being recorded is to be made in parts meanwhile.

    Raises
    ------
    StationError
        A real session, and no server of its satellite is configured.
    """
    manifest = load_manifest(folder)
    return not manifest.simulated and load_peer(_catalogue_number(folder, manifest)).live


def join_keys(
    folders: Sequence[Path], keys: KeyFolder, progress: Progress, peer: PeerSettings | None = None
) -> dict[str, Any]:
    """Make one key of sessions whose sifted bits are kept, with the satellite that they belong to.

    Parameters
    ----------
    peer : PeerSettings, optional
        As of `make_key`.

    Raises
    ------
    StationError
        As of `make_key`, or the sessions cannot be joined.
    """
    folder = folders[0]
    manifest = load_manifest(folder)
    if manifest.simulated:
        from qkd_gs.sim.satellite import simulated_satellite

        return join_sessions(folders, keys, lambda: simulated_satellite(folder, keys), progress)
    return join_sessions(folders, keys, _server_of(folder, manifest, keys, peer), progress)


def _server_of(folder: Path, manifest: Manifest, keys: KeyFolder, peer: PeerSettings | None) -> Link:
    if (folder / RECORD_OF_THE_TWIN).exists():
        raise StationError(
            'holds the record of a simulated satellite, but is not marked as simulated: no key is made of it',
            where=folder,
        )
    found = peer or load_peer(_catalogue_number(folder, manifest))
    return partial(satellite_server, found, keys)


def wait_until_settled(progress: Progress, answered_ns: int) -> None:
    """Wait until the satellite discloses public pulses of a pass that is only just over.

    Pulses that lie further in the future are those of a wrong clock: the satellite refuses them without delay.
    """
    left_s = (answered_ns + _CLOCKS_NS - time.time_ns()) * 1e-9
    if 0 < left_s <= _LONGEST_S:
        progress('waiting until all pulses are safely past', 0.0)
        time.sleep(left_s)


@contextmanager
def satellite_server(peer: PeerSettings, keys: KeyFolder) -> Iterator[Channel]:
    """Connection to the server of a satellite, which must hold the pinned certificate.

    Raises
    ------
    StationError
        The certificate is not pinned.
    ProtocolError
        Nobody answers, in any of the tries, or with another certificate.
    """
    identity = keys.tls_own()
    host, port = parse_address(peer.address)
    for left in reversed(range(peer.tries)):
        try:
            channel = connect(identity, port, host)
            break
        except ProtocolError as fault:
            if not left or fault.code != 'link.silent':
                raise
            _log.warning('%s does not answer; tried again in %g s', peer.address, peer.retry_s)
            time.sleep(peer.retry_s)
    with closing(channel):
        yield channel


def _catalogue_number(folder: Path, manifest: Manifest) -> str:
    if manifest.delay_s is not None:
        return BENCH
    elements = load_elements(manifest.orbit_path(folder)).only(manifest.satellite)
    return elements.satellites()[0]
