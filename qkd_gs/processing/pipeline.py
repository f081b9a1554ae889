"""One session from sealed tags to a stored key."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qkd_gs.keys.entries import KeyStateName
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.agreement import agreed_terms, pre_shared_of, public_random, source_of
from qkd_gs.processing.parts import Recording, as_begun, check_parts, make_key_in_parts
from qkd_gs.processing.session_run import Progress, RunResult, SessionRun
from qkd_gs.processing.stored_keys import (
    Link,
    check_never_simulated,
    confirm_stored,
    confirming,
    destroy_session_key,
)
from qkd_gs.processing.timing_metrics import sync_series, timing_figures
from qkd_gs.processing.timing_stage import Timed
from qkd_gs.qkd.finite_key.counts import MOST_PARTS
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.result import KeyResult
from qkd_gs.session.manifest import Manifest, load_manifest, update_manifest
from qkd_gs.session.telemetry import FILE_NAME as TELEMETRY
from qkd_gs.session.telemetry import Telemetry, load_telemetry

_log = logging.getLogger(__name__)

DEFAULT_WINDOW_S = 78.0  # efficient time of the Shanghai pass of 2018-10-03 in Table 1 of the paper


def process_session(
    folder: Path,
    keys: KeyFolder,
    link: Link,
    progress: Progress,
    window_s: float = DEFAULT_WINDOW_S,
    settle: Callable[[int], None] = lambda _: None,
    recording: Recording | None = None,
) -> dict[str, Any]:
    """Make the key of a session and store it; processing it again returns what is stored and discloses nothing.

    Parameters
    ----------
    folder : Path
        The session.
    keys : KeyFolder
        Private key of the post-processor, pre-shared key, key store.
    link : callable
        Opens a channel to the satellite's side.
    progress : callable
        Told the name of each step and how much of it is done.
    window_s : float
        Width of the window about culmination for `sifted_bits_window`.
    settle : callable
        Called with the UTC, ns, from which on the satellite discloses public pulses, before it is asked to; returns
        once it has come.
    recording : Recording, optional
        The pass is under way: what is recorded is sifted and corrected in parts.  A session that was announced in parts
        before is processed in the same ones.

    Returns
    -------
    dict
        Parts ``timing`` and ``key`` of the session's result.

    Raises
    ------
    StationError
        Session damaged, tampered with or not usable; wrong keys.
    DeviceFault
        The link to the satellite failed; nothing was stored, the session can be processed again.
    """
    manifest = load_manifest(folder)
    check_never_simulated(keys, manifest)
    with keys.store(manifest.simulated) as store:
        stored = store.entry(manifest.session_id)
        if stored is not None:
            destroy_session_key(keys, manifest, stored.length_bits, store.kept(manifest.session_id) is not None)
            if stored.state is KeyStateName.PENDING:
                confirm_stored(store, stored, manifest, keys, link, folder)
            return _finished(folder, dict(stored.result))
        store.drop_old_kept(agreed_terms(manifest).keep_ns)
        recording = as_begun(folder, manifest, store) or recording
        if recording:
            check_parts(agreed_terms(manifest))
        private_key = keys.session_private_key(manifest.session_id)
        pre_shared = pre_shared_of(keys, manifest, store)
        # what is said in public waits in a file without a name, beside the tags: a temporary folder may be in memory
        with (
            tempfile.TemporaryFile(dir=folder) as file,
            TranscriptFile(folder) as transcript,
            link() as channel,  # the other side gets ready meanwhile
        ):
            spool = Spool(file)
            session = GroundSession(
                channel,
                agreed_terms(manifest),
                manifest.session_id,
                pre_shared,
                store,
                source=source_of(manifest),
                random_bytes=public_random(manifest),
                progress=progress,
                spool=spool,
                transcript=transcript,
                parts=MOST_PARTS if recording else 1,
            )
            tape = keys.session_random_tape(manifest.session_id)
            run = SessionRun(folder, manifest, private_key, session, tape, spool, progress, window_s, settle)
            done = _run_result(run, recording)
            made = done.made
            done.watched['transcript'] = transcript.seal()
            result = _figures(manifest, done, window_s)
            store.put(manifest.session_id, made.key_id, made.key, made.epsilon, result, made.refill, made.kept)
            destroy_session_key(keys, manifest, made.secret_bits, made.kept is not None)
            for held in (made.key, made.refill, made.kept):
                if held is not None:
                    held.wipe()
            with confirming(manifest):
                session.confirm()
                store.confirm(manifest.session_id, made.key_id)
    _add_telemetry(folder, done.timed, made)
    return _finished(folder, result)


def _run_result(run: SessionRun, recording: Recording | None) -> RunResult:
    """The key of a session, of all its clicks at once or in parts."""
    if recording is None:
        scanned = run.scan()  # before anything is asked: damage costs no disclosure
        run.session.open()
        return run.make_key(scanned)
    run.session.open()
    return make_key_in_parts(run, recording)


def _figures(manifest: Manifest, done: RunResult, window_s: float) -> dict[str, Any]:
    made, timed = done.made, done.timed
    window = {'sifted_bits_window': sum(made.window_bits), 'window_s': window_s, 'simulated': manifest.simulated}
    rate_hz = manifest.station.source.pulse_rate_hz
    return {
        'timing': timing_figures(timed, done.reports, rate_hz),
        'key': made.figures() | done.watched | window,
    }


def _finished(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Put the result into the manifest, beside the figures that it has by now."""
    made = {part: result[part] for part in ('timing', 'key')}

    def change(manifest: Manifest) -> dict[str, Any]:
        figures = {'tracking': manifest.tracking, 'polarization': manifest.polarization}
        return {'result': {'pass': manifest.pass_info, **figures, **made, 'run': manifest.run}}

    update_manifest(folder, change)
    return made


def _add_telemetry(folder: Path, timed: Timed, made: KeyResult) -> None:
    """Error rate and sync residual against time, for the report."""
    telemetry = load_telemetry(folder) if (folder / TELEMETRY).exists() else Telemetry()
    bins = np.array(made.error_bins, np.int64).reshape(-1, 3)
    sync_ns, sync_rms_ns = sync_series(timed)
    replace(
        telemetry,
        qber_t_ns=timed.utc_ns(bins[:, 0]),
        qber=bins[:, 2] / np.maximum(bins[:, 1], 1),
        qber_bits=bins[:, 1],
        sync_t_ns=sync_ns,
        sync_residual_ns=sync_rms_ns,
    ).save(folder)
