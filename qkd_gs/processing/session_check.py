"""Whether a session is whole, as far as that is seen without a key."""

from __future__ import annotations

from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.orbit.elements import load_elements
from qkd_gs.session.manifest import Manifest, load_manifest
from qkd_gs.session.tag_files import tags_paths
from qkd_gs.session.telemetry import FILE_NAME as TELEMETRY
from qkd_gs.session.telemetry import load_telemetry
from qkd_gs.timing.sealed import check_header, has_end


def check_session(folder: Path) -> list[str]:
    """Look at every part of a session; returns what is in it, a line each.

    Raises
    ------
    StationError
        The manifest, the orbit, the tag files or the telemetry are damaged, missing or contradict each other.
    """
    manifest = load_manifest(folder)
    said = [f'session {manifest.session_id}, {manifest.satellite} over {manifest.place}']
    if manifest.delay_s is None:
        elements = load_elements(manifest.orbit_path(folder))
        elements.only(manifest.satellite)
        said.append(f'orbit: {manifest.elements_used}')
    said += _check_tags(folder, manifest)
    if (folder / TELEMETRY).exists():
        load_telemetry(folder)
        said.append(TELEMETRY)
    said.append('processed' if manifest.result and 'key' in manifest.result else 'not processed')
    return said


def _check_tags(folder: Path, manifest: Manifest) -> list[str]:
    paths = tags_paths(folder)
    if not paths:
        raise StationError('has no tag files', where=folder, hint='the TDC never ran')
    for path in paths:
        check_header(path, bytes.fromhex(manifest.session_id), manifest.station.frozen_digest)
    if manifest.closed and not has_end(paths[-1]):
        raise StationError('is cut short, and the session says it is whole', where=paths[-1])
    if not manifest.locked:
        raise StationError('the satellite was never locked: there is nothing to make a key of', where=folder)
    return [f'{path.name}{"" if has_end(path) else ", cut short"}' for path in paths]
