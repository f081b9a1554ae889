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
from qkd_gs.processing.agreement import agreed_terms, pre_shared_of, public_random, source_of, tie_breaker_of
from qkd_gs.processing.click_checks import click_figures, examination, receiver_of
from qkd_gs.processing.stored_keys import (
    Link,
    check_never_simulated,
    confirm_stored,
    confirming,
    destroy_session_key,
)
from qkd_gs.processing.tag_runs import RunReports, Scanned, scan_session
from qkd_gs.processing.timing_metrics import sync_series, timing_figures
from qkd_gs.processing.timing_stage import SatelliteLog, Timed, number_clicks
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.result import KeyResult
from qkd_gs.qkd.protocol.satellite_side import SETTLED_NS
from qkd_gs.session.manifest import Manifest, load_manifest, update_manifest
from qkd_gs.session.telemetry import FILE_NAME as TELEMETRY
from qkd_gs.session.telemetry import Telemetry, load_telemetry
from qkd_gs.settings.station import SourceSettings
from qkd_gs.timing.pulse_period import PulsePeriod

_log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
DEFAULT_WINDOW_S = 78.0  # efficient time of the Shanghai pass of 2018-10-03 in Table 1 of the paper


def process_session(
    folder: Path,
    keys: KeyFolder,
    link: Link,
    progress: Progress,
    window_s: float = DEFAULT_WINDOW_S,
    settle: Callable[[int], None] = lambda _: None,
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
        Called before the detections are announced with the UTC, ns, from which on the satellite answers for them;
        returns once it has come.

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
        private_key = keys.session_private_key(manifest.session_id)
        pre_shared = pre_shared_of(keys, manifest, store)
        # what is said in public waits in a file without a name, beside the tags: a temporary folder may be in memory
        with (
            tempfile.TemporaryFile(dir=folder) as file,
            TranscriptFile(folder) as transcript,
            link() as channel,  # the other side gets ready meanwhile
        ):
            spool = Spool(file)
            progress('reading the sealed tags', 0.0)  # before anything is asked: damage costs no disclosure
            scanned = scan_session(folder, manifest, private_key)
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
            )
            session.open()
            log = _satellite_log(session, scanned, manifest.station.source, settle)
            tape = keys.session_random_tape(manifest.session_id)
            tie_breaker = tie_breaker_of(manifest, tape)
            timed = number_clicks(manifest, scanned, log, tie_breaker, spool, lambda step: progress(step, 0.0))
            tape.save()
            settled_ns = _settled_ns(manifest, timed, log)
            del log
            for report in scanned.reports.runs:
                if report.unused:
                    _log.warning('%s is not used: %s', report.file, report.unused)
            progress('looking for anomalies', 0.0)
            watched = click_figures(manifest, timed)
            windows = [_window(manifest, timed, window_s)]
            settle(settled_ns)
            made = session.make_key(
                timed.detections, timed.pulse_spans, windows, examination(manifest, timed), receiver_of(manifest, timed)
            )
            watched['transcript'] = transcript.seal()
            result = _figures(manifest, timed, scanned.reports, made, watched, window_s)
            store.put(manifest.session_id, made.key_id, made.key, made.epsilon, result, made.refill, made.kept)
            destroy_session_key(keys, manifest, made.secret_bits, made.kept is not None)
            for held in (made.key, made.refill, made.kept):
                if held is not None:
                    held.wipe()
            with confirming(manifest):
                session.confirm()
                store.confirm(manifest.session_id, made.key_id)
    _add_telemetry(folder, timed, made)
    return _finished(folder, result)


def _satellite_log(
    session: GroundSession, scanned: Scanned, source: SourceSettings, settle: Callable[[int], None]
) -> SatelliteLog:
    if source.public_pulses:
        settle(scanned.log_span_ns[1] + SETTLED_NS)  # a later run must be told the same, so that it announces the same
        return session.request_public_log(*scanned.log_span_ns)
    return session.request_beacon_log(*scanned.log_span_ns, source.beacon_rate_hz)


def _settled_ns(manifest: Manifest, timed: Timed, log: SatelliteLog) -> int:
    """UTC from which on the satellite answers for the last pulse that was counted."""
    sent_ps = PulsePeriod(manifest.station.source.pulse_rate_hz).time_ps(np.array([timed.pulse_spans[-1][1] + 1]))
    return log.epoch_utc_ns + int(sent_ps[0]) // 1000 + SETTLED_NS


def _window(manifest: Manifest, timed: Timed, window_s: float) -> tuple[int, int]:
    """Pulses that arrive within half a window of culmination."""
    half_ns = round(window_s * 5e8)
    first, last = timed.pulse_at_utc(
        np.array([manifest.culmination_ns - half_ns, manifest.culmination_ns + half_ns], np.int64)
    )
    return int(first), int(last)


def _figures(
    manifest: Manifest,
    timed: Timed,
    reports: RunReports,
    made: KeyResult,
    watched: dict[str, Any],
    window_s: float,
) -> dict[str, Any]:
    key = (
        made.figures()
        | watched
        | {
            'sifted_bits_window': made.window_bits[0],
            'window_s': window_s,
            'simulated': manifest.simulated,
        }
    )
    return {'timing': timing_figures(timed, reports, manifest.station.source.pulse_rate_hz), 'key': key}


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
