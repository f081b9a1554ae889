"""From the last photon to the stored key: the pass as published, processed when it is over, and in parts during it.

The satellite answers only for pulses that are announced and past (doc/security.md).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qkd_gs.bench.slow_link import slow_link
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import process_session
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.satellite.server import sleep_until
from qkd_gs.sim.satellite import simulated_satellite
from qkd_gs.sim.synthetic_session import SyntheticSession
from qkd_gs.station.live_recording import ends_of_parts, light_of_pass

ROUND_TRIP_S, RATE_BIT_S = 0.25, 1e6
_SECONDS, _BEFORE_S = 330.0, 165.0
_LIVE_S, _LIVE_SLOW_S = 150.0, 230.0  # of the pass in real time; what came before is recorded already
_RECORDED_NS = 500_000_000  # until tags and locked time are on the disk: they are written so often

Way = Callable[[int], AbstractContextManager[int]]


@dataclass
class Played:
    """A session on the disk that is played in real time; attributes as of `qkd_gs.processing.parts.Recording`."""

    start_ns: int
    ends_ns: Sequence[int]
    ahead_ns: int

    def wait(self, until_ns: int, behind_ns: int) -> None:
        """Return once a recorder would have it on its disk."""
        sleep_until(until_ns + behind_ns + _RECORDED_NS - self.ahead_ns)


def run() -> dict[str, Any]:
    """Figures of three runs with the same light; times are in seconds since the last photon."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        _played(base / 'warm-up', SyntheticSession(7.0, 3.5, gain=4.0))  # compiles what nobody has yet
        whole = SyntheticSession(_SECONDS, _BEFORE_S)
        slow = partial(slow_link, round_trip_s=ROUND_TRIP_S, rate_bit_s=RATE_BIT_S)
        return {
            'afterwards': _played(base / 'afterwards', whole),
            'live': _played(base / 'live', whole, _LIVE_S),
            'live_slow_link': _played(base / 'slow', whole, _LIVE_SLOW_S, slow),
            'round_trip_s': ROUND_TRIP_S,
            'rate_bit_s': RATE_BIT_S,
        }


def _played(base: Path, session: SyntheticSession, live_s: float = 0.0, way: Way = nullcontext) -> dict[str, Any]:
    folder, keys = base / 'session', KeyFolder.create(base / 'keys')
    manifest = session.write(folder, keys.session_public_key)
    (locked,) = manifest.locked
    end_ns = min(locked.end_ns, light_of_pass(folder, manifest)[1])  # of the light that is used
    ahead_ns = end_ns - time.time_ns() - round(live_s * 1e9)
    recording = Played(locked.start_ns, ends_of_parts(locked.start_ns, end_ns), ahead_ns)
    steps: list[tuple[float, str]] = []
    stored_s: list[float] = []

    def since_s(t_ns: int) -> float:
        return (time.time_ns() + ahead_ns - t_ns) * 1e-9

    def progress(step: str, _: float) -> None:
        if not steps or steps[-1][1] != step:
            steps.append((round(since_s(end_ns), 2), step))

    @contextmanager
    def link() -> Iterator[Channel]:
        with simulated_satellite(folder, keys, way, ahead_ns) as channel:
            yield channel
            stored_s.append(since_s(end_ns))  # at both ends; the satellite's process is still to end

    result = process_session(
        folder,
        keys,
        link,
        progress,
        recording=recording if live_s else None,
    )
    key = result['key']
    return {
        'key_s': stored_s[-1],
        'tags': result['timing']['tags'],
        'sifted_bits': key['sifted_bits'],
        'secret_bits': key['secret_bits'],
        'f_ec': key['f_ec'],
        'round_trips': key['round_trips'],
        'steps': steps,
    }
