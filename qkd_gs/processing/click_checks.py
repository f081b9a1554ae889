"""Looks at the clicks of a session before a key is made of them, and what their flaws cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.processing.anomalies import Anomaly, afterpulse_share, bunching_of, find_anomalies
from qkd_gs.processing.balance import find_imbalances
from qkd_gs.processing.hidden_light import hidden_light
from qkd_gs.processing.profile_anomalies import find_profile_anomalies
from qkd_gs.processing.receiver_report import receiver_report
from qkd_gs.processing.timing_stage import Timed
from qkd_gs.qkd.finite_key.counts import KeyCounts, Receiver
from qkd_gs.session.manifest import Manifest
from qkd_gs.settings.station import StationSettings
from qkd_gs.timing.balance import imbalances
from qkd_gs.timing.spans import pulses_in


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


def examination(manifest: Manifest, timed: Timed) -> Callable[[KeyCounts], str]:
    """Last look at the clicks, once it is known in which pulses nothing was sent."""
    source, key = manifest.station.source, manifest.station.key
    gate_share = key.gate_ns * 1e-9 * source.pulse_rate_hz
    admitted = int(timed.admitted.sum())
    return lambda counts: hidden_light(
        counts, timed.clicks, admitted, gate_share, source.p_vacuum, key.max_light_outside
    )


def receiver_of(manifest: Manifest, timed: Timed) -> Receiver:
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
