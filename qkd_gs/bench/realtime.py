"""From the last photon to the stored key: the pass as published, processed when it is over, and in parts during it.

The satellite answers only for pulses that are safely past (doc/security.md).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qkd_gs.bench.slow_link import slow_link
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.protocol.satellite_sifting import SETTLED_NS
from qkd_gs.satellite.server import sleep_until
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.synthetic_session import SyntheticSession
from qkd_gs.station.live_recording import BEFORE_END_NS, light_of_pass

ROUND_TRIP_S, RATE_BIT_S = 0.25, 1e6
_SECONDS, _BEFORE_S = 330.0, 165.0
_LIVE_NS = 150 * 10**9  # of the pass in real time; what came before is recorded already
_ANSWER_NS = 50_000_000  # later than the satellite may be asked, of which both clocks are the same

Way = Callable[[int], AbstractContextManager[int]]


@dataclass
class Played:
    """A session on the disk that is played in real time; attributes as of `qkd_gs.processing.parts.Recording`."""

    start_ns: int
    ends_ns: Sequence[int]
    ahead_ns: int

    def wait(self, until_ns: int) -> None:
        """Return once it has been played up to a UTC."""
        sleep_until(until_ns - self.ahead_ns)


def run() -> dict[str, Any]:
    """Figures of three runs; times are in seconds since the last photon, and since the satellite may be asked of it."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        keys = KeyFolder.create(base / 'keys')
        _played(
            base / 'warm-up', keys, SyntheticSession(7.0, 3.5, gain=4.0), live=False
        )  # compiles what nobody has yet
        whole = SyntheticSession(_SECONDS, _BEFORE_S)
        slow = partial(slow_link, round_trip_s=ROUND_TRIP_S, rate_bit_s=RATE_BIT_S)
        return {
            'answered_from_s': SETTLED_NS * 1e-9,
            'afterwards': _played(base / 'afterwards', keys, whole, live=False),
            'live': _played(base / 'live', keys, replace(whole, seed=2), live=True),
            'live_slow_link': _played(base / 'slow', keys, replace(whole, seed=3), live=True, way=slow),
            'round_trip_s': ROUND_TRIP_S,
            'rate_bit_s': RATE_BIT_S,
        }


def _played(
    folder: Path, keys: KeyFolder, session: SyntheticSession, live: bool, way: Way = nullcontext
) -> dict[str, Any]:
    manifest = session.write(folder, keys.session_public_key)
    (locked,) = manifest.locked
    end_ns = min(locked.end_ns, light_of_pass(folder, manifest)[1])  # of the light that is used
    ahead_ns = end_ns - time.time_ns() - (_LIVE_NS if live else 0)
    recording = Played(locked.start_ns, [end_ns - before for before in BEFORE_END_NS], ahead_ns)
    steps: list[tuple[float, str]] = []

    def since_s(t_ns: int) -> float:
        return (time.time_ns() + ahead_ns - t_ns) * 1e-9

    def progress(step: str, _: float) -> None:
        if not steps or steps[-1][1] != step:
            steps.append((round(since_s(end_ns), 2), step))

    result = process_session(
        folder,
        keys,
        lambda: simulated_satellite(folder, keys, way, ahead_ns),
        progress,
        settle=lambda t_ns: sleep_until(t_ns + _ANSWER_NS - ahead_ns),
        recording=recording if live else None,
    )
    key_s, key = since_s(end_ns), result['key']
    return {
        'key_s': key_s,
        'key_after_release_s': key_s - SETTLED_NS * 1e-9,
        'tags': result['timing']['tags'],
        'sifted_bits': key['sifted_bits'],
        'secret_bits': key['secret_bits'],
        'f_ec': key['f_ec'],
        'round_trips': key['round_trips'],
        'steps': steps,
    }
