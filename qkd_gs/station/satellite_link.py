"""Link to the satellite of a session: only a simulated one so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import DEFAULT_WINDOW_S, Progress, process_session
from qkd_gs.session.manifest import load_manifest
from qkd_gs.sim.satellite import simulated_satellite


def make_key(folder: Path, keys: KeyFolder, progress: Progress, window_s: float = DEFAULT_WINDOW_S) -> dict[str, Any]:
    """Process a session with the satellite that belongs to it.

    Raises
    ------
    StationError
        A real session: there is no link to a satellite here.
    """
    if not load_manifest(folder).simulated:
        raise StationError(
            'is a real pass, and no link to its satellite is configured', where=folder, hint='nothing was disclosed'
        )
    return process_session(folder, keys, lambda: simulated_satellite(folder, keys), progress, window_s)
