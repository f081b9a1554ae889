"""The simulated satellite's side of the protocol, in its own process, on a TLS socket on loopback.

``python -m qkd_gs.sim.satellite SESSION KEYS [AHEAD_NS]`` prints its port, answers one run, and ends.  It listens
before it imports the rest, so the ground can read its tags meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from qkd_gs.children import child_environment
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.qkd.link.tls import Listener, connect

if TYPE_CHECKING:
    from qkd_gs.session.manifest import Manifest

_START_S = 60.0  # for a new process to import and to listen
_STOP_S = 5.0
_ARGUMENTS = (2, 3)
_AFTER_PASS_NS = 60 * 10**9


@contextmanager
def simulated_satellite(
    folder: Path,
    keys: KeyFolder,
    way: Callable[[int], AbstractContextManager[int]] = nullcontext,
    ahead_ns: int | None = None,
) -> Iterator[Channel]:
    """Start the satellite of a simulated session and connect to it.

    Parameters
    ----------
    way : callable
        Opens a relay to the port on which it listens; yields the port to connect to instead.
    ahead_ns : int, optional
        By how much the satellite's clock is ahead of this computer's, of a pass that is under way.  If not given, the
        pass is over.

    Raises
    ------
    StationError
        The session is not a simulated one.
    DeviceFault
        The process did not come up.
    """
    from qkd_gs.sim.photons.satellite_record import load_record

    load_record(folder)  # raises here, not in a process that ends
    clock = [] if ahead_ns is None else [ahead_ns]
    process = subprocess.Popen(
        [sys.executable, '-m', 'qkd_gs.sim.satellite', str(folder), str(keys.path), *map(str, clock)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(os.environ),
    )
    try:
        line = process.stdout.readline() if process.stdout else ''
        if not line.strip().isdigit():
            _, complaint = process.communicate(timeout=_START_S)
            raise DeviceFault('link.silent', f'the simulated satellite did not start: {complaint.strip()[-300:]}')
        with way(int(line)) as port, closing(connect(keys.tls_ground(simulated=True), port)) as channel:
            yield channel
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for the process to end; kill it after a time-out."""
    try:
        process.communicate(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def main(arguments: list[str]) -> int:
    """Serve one run."""
    if len(arguments) not in _ARGUMENTS:
        print('usage: python -m qkd_gs.sim.satellite SESSION KEYS [AHEAD_NS]', file=sys.stderr)  # noqa: T201
        return 2
    folder, keys = Path(arguments[0]), KeyFolder(Path(arguments[1]))
    with Listener(keys.tls_simulated_satellite()) as listener:
        print(listener.port, flush=True)  # noqa: T201 - the protocol with the parent
        channel = listener.accept(_START_S)
    answer(channel, folder, keys, *map(int, arguments[2:]))
    return 0


def answer(channel: Channel, folder: Path, keys: KeyFolder, ahead_ns: int | None = None) -> None:
    """Answer one run as the satellite of a simulated session; see `simulated_satellite`."""
    from qkd_gs.keys.entries import Side
    from qkd_gs.keys.preshared import SimulatedPreSharedKey
    from qkd_gs.keys.refilled import RefilledKey
    from qkd_gs.qkd.link.transcript_file import TranscriptFile
    from qkd_gs.qkd.protocol.satellite_side import serve
    from qkd_gs.qkd.sifting.terms import Terms
    from qkd_gs.session.manifest import load_manifest
    from qkd_gs.sim.photons.satellite_record import load_record

    manifest, record = load_manifest(folder), load_record(folder)
    clock: Callable[[], int]
    wait_until: Callable[[int], None]
    if ahead_ns is None:
        clock, wait_until = (lambda: present_ns(manifest)), (lambda _: None)
    else:
        from qkd_gs.satellite.server import sleep_until

        clock, wait_until = (lambda: time.time_ns() + ahead_ns), (lambda t_ns: sleep_until(t_ns - ahead_ns))
    simulated = SimulatedPreSharedKey(record.seed, manifest.session_id)
    with (
        keys.store(simulated=True, side=Side.SATELLITE) as store,
        TranscriptFile(folder, 'satellite-transcript') as transcript,
    ):
        serve(
            channel,
            record.transmitter(),
            Terms.of_station(manifest.station),
            RefilledKey(simulated, store),
            store,
            clock,
            source=manifest.session_id,
            transcript=transcript,
            wait_until=wait_until,
        )


def present_ns(manifest: Manifest) -> int:
    """UTC in the twin when its session is processed: some time after the pass, also of a pass in the future."""
    return max(time.time_ns(), *(span.end_ns + _AFTER_PASS_NS for span in manifest.locked))


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except (StationError, DeviceFault) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)
