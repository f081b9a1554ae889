"""From the last photon to the stored key: the pass as published, processed as soon as it is over.

The satellite answers only for pulses that are safely past (doc/security.md).  Tags are read, the clock recovered and
the clicks numbered while these seconds pass.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.protocol.satellite_sifting import SETTLED_NS
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.synthetic_session import SyntheticSession

_SECONDS, _BEFORE_S = 330.0, 165.0


def run() -> dict[str, Any]:
    """Figures in seconds since the last photon; ``key_after_release`` is since the satellite may be asked."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        keys = KeyFolder.create(base / 'keys')
        _processed(base / 'warm-up', keys, SyntheticSession(7.0, 3.5, gain=4.0))  # compiles what nobody has yet
        return _processed(base / 'session', keys, SyntheticSession(_SECONDS, _BEFORE_S))


def _processed(folder: Path, keys: KeyFolder, session: SyntheticSession) -> dict[str, Any]:
    session.write(folder, keys.session_public_key)
    last_photon_s, numbered_s = perf_counter(), 0.0
    release_s = last_photon_s + SETTLED_NS * 1e-9

    def settle(_: int) -> None:  # the pass of the twin lies years back
        nonlocal numbered_s
        numbered_s = perf_counter()
        time.sleep(max(release_s - numbered_s, 0.0))

    link = partial(simulated_satellite, folder, keys)
    result = process_session(folder, keys, link, lambda step, done: None, settle=settle)
    stored_s = perf_counter()
    return {
        'tags': result['timing']['tags'],
        'numbered_s': numbered_s - last_photon_s,
        'answered_from_s': SETTLED_NS * 1e-9,
        'key_s': stored_s - last_photon_s,
        'key_after_release_s': stored_s - max(release_s, numbered_s),
        'sifted_bits': result['key']['sifted_bits'],
        'secret_bits': result['key']['secret_bits'],
    }
