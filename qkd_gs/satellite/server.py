"""The satellite's side as a server: one run of the protocol after another, on one transmitter log, whole or growing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.entries import Side
from qkd_gs.keys.files import check_private
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.refilled import RefilledKey
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.tls import Listener
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.result import SatelliteResult
from qkd_gs.qkd.protocol.satellite_side import serve
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.satellite.growing_log import GrowingLog
from qkd_gs.satellite.log_transmitter import LogTransmitter

_log = logging.getLogger(__name__)
_LOOK_S = 1.0  # between two looks at a clock that may be set meanwhile
_WAIT_S = 30.0  # for a connection and its handshake; then the wait begins again

Progress = Callable[[str, float], None]
Log = LogTransmitter | GrowingLog


def open_log(path: Path) -> Log:
    """The transmitter log in a file, or the growing one in a folder.

    Raises
    ------
    StationError
        As of `LogTransmitter`, or `GrowingLog`.
    """
    return GrowingLog(path) if path.is_dir() else LogTransmitter(path)


def serve_log(
    transmitter: Log,
    keys: KeyFolder,
    terms: Terms,
    listener: Listener,
    once: bool,
    progress: Progress,
    now_ns: Callable[[], int] = time.time_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> SatelliteResult | None:
    """Answer the ground until interrupted, or once.

    It answers for pulses that are safely past by its clock.  The key folder keeps what was disclosed
    and which pulses were announced, over any number of runs.

    Parameters
    ----------
    once : bool
        Return after the first run, and raise its fault.
    now_ns, sleep : callable
        The clock: UTC, ns, and a wait of some seconds.

    Returns
    -------
    SatelliteResult
        Of the last run; its key is in the key store.

    Raises
    ------
    StationError
        The log is open to others, there is no pre-shared key, or (once) the run cannot be served.
    DeviceFault
        (once) The run failed.
    """
    check_private(transmitter.path)
    keys.pre_shared_key()  # missing: said now, and not to the first client
    while True:
        try:
            result = _one_run(transmitter, keys, terms, listener, progress, now_ns, sleep)
        except Exception as fault:
            if once:
                raise
            _log.warning('a run ended: %s', fault, exc_info=not isinstance(fault, (StationError, DeviceFault)))
            continue
        if once:
            return result


def sleep_until(
    t_ns: int, now_ns: Callable[[], int] = time.time_ns, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return once a UTC, ns, has come by a clock; that of this computer if no other is given."""
    while (left_ns := t_ns - now_ns()) > 0:
        sleep(min(left_ns * 1e-9, _LOOK_S))


def _client(listener: Listener) -> Channel:
    """Channel to the next client that holds the pinned certificate; others are told of and sent away.

    The log tells the first, the second, the fourth and so on, so that no flood of callers fills it.
    """
    refused = 0
    while True:
        try:
            return listener.accept(_WAIT_S)
        except ProtocolError as fault:
            if fault.code == 'link.silent':
                continue
            refused += 1
            if refused.bit_count() == 1:
                _log.warning('a client was refused (number %d since the last run): %s', refused, fault)


def _one_run(
    transmitter: Log,
    keys: KeyFolder,
    terms: Terms,
    listener: Listener,
    progress: Progress,
    now_ns: Callable[[], int],
    sleep: Callable[[float], None],
) -> SatelliteResult:
    channel = _client(listener)
    with (
        keys.store(simulated=False, side=Side.SATELLITE) as store,
        TranscriptFile(keys.path / 'transcripts', 'run') as transcript,
    ):
        result = serve(
            channel,
            transmitter,
            terms,
            RefilledKey(keys.pre_shared_key(), store),
            store,
            now_ns,
            progress=progress,
            transcript=transcript,
            wait_until=lambda t_ns: sleep_until(t_ns, now_ns, sleep),
        )
    _log.info('session %s: %d bits, %s', result.session_id, len(result.key), 'stored' if result.confirmed else 'open')
    return result
