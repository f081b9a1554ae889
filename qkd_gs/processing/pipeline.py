"""One session from sealed tags to a stored key."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.entries import KeyEntry, KeyStateName, Side
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SimulatedPreSharedKey
from qkd_gs.keys.random_tape import RandomTape
from qkd_gs.keys.refilled import RefilledKey
from qkd_gs.keys.store import KeyStore
from qkd_gs.processing.anomalies import Anomaly, afterpulse_share, bunching_of, find_anomalies
from qkd_gs.processing.balance import find_imbalances, imbalances
from qkd_gs.processing.hidden_light import hidden_light
from qkd_gs.processing.profile_anomalies import find_profile_anomalies
from qkd_gs.processing.receiver_report import receiver_report
from qkd_gs.processing.tag_runs import RunReports, Scanned, scan_session
from qkd_gs.processing.timing_metrics import sync_series, timing_figures
from qkd_gs.processing.timing_stage import SatelliteLog, Timed, number_clicks
from qkd_gs.qkd.finite_key.counts import KeyCounts, Receiver
from qkd_gs.qkd.link.channel import Channel
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol.confirmation import confirm_again
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.result import KeyResult
from qkd_gs.qkd.protocol.satellite_side import SETTLED_NS
from qkd_gs.qkd.sifting.random_bits import RandomBits, seeded_bits
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.session.manifest import FILE_NAME, Manifest, load_manifest, update_manifest
from qkd_gs.session.telemetry import FILE_NAME as TELEMETRY
from qkd_gs.session.telemetry import Telemetry, load_telemetry
from qkd_gs.settings.station import SourceSettings, StationSettings
from qkd_gs.timing.pulse_period import PulsePeriod
from qkd_gs.timing.spans import pulses_in

_log = logging.getLogger(__name__)

Link = Callable[[], AbstractContextManager[Channel]]
Progress = Callable[[str, float], None]
_FEW_RUNS = 10
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
    _check_never_simulated(keys, manifest)
    with keys.store(manifest.simulated) as store:
        stored = store.entry(manifest.session_id)
        if stored is not None:
            _destroy_session_key(keys, manifest, stored.length_bits, store.kept(manifest.session_id) is not None)
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
                source=_source(manifest),
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
                timed.detections, timed.pulse_spans, windows, _examination(manifest, timed), _receiver(manifest, timed)
            )
            watched['transcript'] = transcript.seal()
            result = _figures(manifest, timed, scanned.reports, made, watched, window_s)
            store.put(manifest.session_id, made.key_id, made.key, made.epsilon, result, made.refill, made.kept)
            _destroy_session_key(keys, manifest, made.secret_bits, made.kept is not None)
            for held in (made.key, made.refill, made.kept):
                if held is not None:
                    held.wipe()
            with confirming(manifest):
                session.confirm()
                store.confirm(manifest.session_id, made.key_id)
    _add_telemetry(folder, timed, made)
    return _finished(folder, result)


def _check_never_simulated(keys: KeyFolder, manifest: Manifest) -> None:
    """Refuse a real session that a run took for a simulated one: what that disclosed is in no real account."""
    if manifest.simulated or Side.GROUND not in keys.sides(simulated=True):
        return
    with keys.store(simulated=True) as store:
        if store.has_announced(manifest.session_id):
            raise StationError('was processed as a simulated session', where=f'session {manifest.session_id}')


def _satellite_log(
    session: GroundSession, scanned: Scanned, source: SourceSettings, settle: Callable[[int], None]
) -> SatelliteLog:
    if source.public_pulses:
        settle(scanned.log_span_ns[1] + SETTLED_NS)  # a later run must be told the same, so that it announces the same
        return session.request_public_log(*scanned.log_span_ns)
    return session.request_beacon_log(*scanned.log_span_ns, source.beacon_rate_hz)


def confirm_stored(
    store: KeyStore, stored: KeyEntry, manifest: Manifest, keys: KeyFolder, link: Link, folder: Path
) -> None:
    """Confirm a key whose confirmation was lost when it was made."""
    with confirming(manifest), TranscriptFile(folder) as transcript, link() as channel:
        pre_shared = pre_shared_of(keys, manifest, store)
        confirm_again(channel, agreed_terms(manifest), stored.session_id, stored.key_id, pre_shared, transcript)
        store.confirm(stored.session_id, stored.key_id)


def _destroy_session_key(keys: KeyFolder, manifest: Manifest, secret_bits: int, kept: bool) -> None:
    """Destroy the key to the tags of a real session once they are made into a key, or its sifted bits are kept.

    The tags of a simulated session are no secret.
    """
    if (secret_bits or kept) and not manifest.simulated:
        keys.destroy_session_key(manifest.session_id)


@contextmanager
def confirming(manifest: Manifest) -> Iterator[None]:
    """Context in which a failed confirmation is a warning: the key is stored, and waits for the next processing."""
    try:
        yield
    except DeviceFault as fault:
        _log.warning(
            'session %s: the satellite has not confirmed the key (%s); it is not handed out until the session is'
            ' processed again',
            manifest.session_id,
            fault,
        )


def _source(manifest: Manifest) -> str:
    """Transmitter whose pulses are booked; each simulated session has a satellite of its own."""
    return manifest.session_id if manifest.simulated else manifest.satellite


def agreed_terms(manifest: Manifest) -> Terms:
    """Terms to be agreed with the satellite.

    Raises
    ------
    StationError
        The source's settings contradict each other.
    """
    try:
        return Terms.of_station(manifest.station)
    except ValidationError as error:
        raise StationError(f'station.source: {error.errors()[0]["msg"]}', where=FILE_NAME) from error


def click_figures(manifest: Manifest, timed: Timed) -> dict[str, Any]:
    """Figures and anomalies of the clicks, for the result.

    Raises
    ------
    StationError
        The detectors do not meet the assumptions of the security proof: no key is made.
    """
    station, where = manifest.station, f'session {manifest.session_id}'
    source = station.source
    bunching = bunching_of(
        (source.mu_signal, source.mu_decoy, source.mu_vacuum), (source.p_signal, source.p_decoy, source.p_vacuum)
    )
    anomalies = _timing_anomalies(timed, station)
    anomalies += find_imbalances(
        timed.clicks.counts - timed.clicks.outside,
        station.key.max_efficiency_mismatch,
        station.detectors.relative_efficiency,
        station.detectors.efficiency_uncertainty,
    )
    anomalies += find_anomalies(timed.clicks, round(source.pulse_rate_hz), bunching)
    balance = imbalances(timed.admitted)
    fatal = [anomaly for anomaly in anomalies if anomaly.fatal]
    if fatal:
        raise StationError(
            f'{"; ".join(f"{anomaly.kind}: {anomaly.detail}" for anomaly in fatal)}: no key is made',
            where=where,
            hint='the security proof does not cover such clicks; look at the detectors, and at what shone into them',
        )
    return {
        'efficiency_mismatch': float(np.max(np.abs(balance[:2]))),
        'basis_imbalance': float(balance[2]),
        'anomalies': [anomaly.to_dict() for anomaly in anomalies],
        'detections': int(timed.admitted.sum()),
        'held_clicks': timed.held_clicks,
        'double_clicks': timed.double_clicks,
        'cross_clicks': timed.cross_clicks,
        'afterpulse_share': afterpulse_share(timed.clicks),
    }


def _settled_ns(manifest: Manifest, timed: Timed, log: SatelliteLog) -> int:
    """UTC from which on the satellite answers for the last pulse that was counted."""
    sent_ps = PulsePeriod(manifest.station.source.pulse_rate_hz).time_ps(np.array([timed.pulse_spans[-1][1] + 1]))
    return log.epoch_utc_ns + int(sent_ps[0]) // 1000 + SETTLED_NS


def _examination(manifest: Manifest, timed: Timed) -> Callable[[KeyCounts], str]:
    """Last look at the clicks, once it is known in which pulses nothing was sent."""
    source, key = manifest.station.source, manifest.station.key
    gate_share = key.gate_ns * 1e-9 * source.pulse_rate_hz
    admitted = int(timed.admitted.sum())
    return lambda counts: hidden_light(
        counts, timed.clicks, admitted, gate_share, source.p_vacuum, key.max_light_outside
    )


def _receiver(manifest: Manifest, timed: Timed) -> Receiver:
    """Flaws of the receiver that the key must pay for."""
    return receiver_report(manifest.station, timed.clicks, timed.cross_clicks, pulses_in(timed.pulse_spans))


def _timing_anomalies(timed: Timed, station: StationSettings) -> list[Anomaly]:
    """Anomalies of where in the slot the clicks lie, of all runs."""
    uncertainty_ps = station.detectors.delay_uncertainty_ns * 1e3
    return [
        anomaly
        for run in timed.runs
        for anomaly in find_profile_anomalies(run.profile, run.gate, uncertainty_ps, station.key.max_light_outside)
    ]


def pre_shared_of(keys: KeyFolder, manifest: Manifest, store: KeyStore) -> RefilledKey:
    """Pre-shared bits of the ground; warns when there are few left."""
    if manifest.simulated:
        return RefilledKey(SimulatedPreSharedKey(_seed(manifest), manifest.session_id), store)
    pre_shared = RefilledKey(keys.pre_shared_key(), store)
    if pre_shared.runs_left < _FEW_RUNS:
        _log.warning(
            'the pre-shared key is enough for %d more runs; a pass that makes a key gives back what it used, one'
            ' without a key does not: bring a new one to both sides',
            pre_shared.runs_left,
        )
    return pre_shared


def public_random(manifest: Manifest) -> Callable[[int], bytes]:
    """Unpredictable bytes; in a simulated session reproducible ones, so that the same seed gives the same key."""
    if not manifest.simulated:
        return secrets.token_bytes
    return np.random.default_rng([_seed(manifest), 1]).bytes


def tie_breaker_of(manifest: Manifest, tape: RandomTape) -> RandomBits:
    """Source of the bits and bases of pulses with several clicks.

    Those of a real run come from the system's generator, and are kept on the tape, so a repeated run announces the
    same.  Bits expanded from a key would not do: the bases of cross clicks are announced, and whoever guesses the key
    that fits them knows the bits, too.
    """
    if manifest.simulated:
        return seeded_bits(np.random.default_rng([_seed(manifest), 2]))
    return tape.bits


def _seed(manifest: Manifest) -> int:
    if manifest.seed is None:
        raise StationError('is marked as simulated but has no seed', where='session.json')
    return manifest.seed


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
