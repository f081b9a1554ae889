"""Timing figures in the result of a session and in its telemetry."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.processing.tag_runs import RunReports
from qkd_gs.processing.timing_stage import NumberedRun, Timed
from qkd_gs.timing.gate import centre_of_light
from qkd_gs.timing.tags import QUANTUM


def timing_figures(timed: Timed, reports: RunReports, pulse_rate_hz: float) -> dict[str, Any]:
    """Part ``timing`` of the result.

    The session's figures are those of its longest run, but the clock's error is that of its worst one.
    """
    runs = timed.runs
    longest = max(runs, key=_pulses)
    pulses = sum(run.clock.pulses for run in runs)
    squares = sum(run.clock.pulses * run.clock.residual_single_ns**2 for run in runs)
    numbered = {run.scanned.report.file: _run_figures(run, pulse_rate_hz) for run in runs}
    return {
        'sync_rms_ns': max(run.clock.sync_rms_ns for run in runs),
        'residual_single_ns': sqrt(squares / pulses),
        'tags': sum(report.tags for report in reports.runs),
        'counted_s': sum(map(_pulses, runs)) / pulse_rate_hz,
        'beacon_pulses': pulses,
        'beacon_outliers': sum(run.clock.outliers for run in runs),
        'pps_rms_ns': longest.scale.rms_ps * 1e-3,
        'gate_ns': longest.gate.width_ps * 1e-3,
        'gate_offset_ns': _offsets_ns(longest),
        'common_offset_ns': longest.gate.offset_ps * 1e-3,
        'noise_fraction': longest.gate.noise_fraction,
        'runs': [report.to_dict() | numbered.get(report.file, {}) for report in reports.runs],
    }


def sync_series(timed: Timed) -> tuple[IntArray, FloatArray]:
    """RMS of single beacon pulses by second, ns, and the UTC of these seconds, ns."""
    utc_ns = [run.scale.first_utc_ns + run.scale.utc_ps(run.clock.series_t_ps) // 1000 for run in timed.runs]
    rms_ns = np.concatenate([run.clock.series_rms_ns for run in timed.runs])
    return np.concatenate(utc_ns), rms_ns.astype(np.float64)


def _run_figures(run: NumberedRun, pulse_rate_hz: float) -> dict[str, Any]:
    return {
        'counted_s': _pulses(run) / pulse_rate_hz,
        'sync_rms_ns': run.clock.sync_rms_ns,
        'gate_offset_ns': _offsets_ns(run),
    }


def _offsets_ns(run: NumberedRun) -> dict[str, float]:
    """Middle of each detector's photons after the calibrated delays are taken off; the gate does not follow it."""
    profile, gate = run.profile, run.gate
    by_detector, inside = profile.by_detector, gate.inside(profile)
    levels = profile.noise_level(by_detector, gate.offset_ps, gate.width_ps)
    away_ps = profile.distance_ps(gate.offset_ps)[inside]
    return {
        channel.name: (gate.offset_ps + centre_of_light(away_ps, counts[inside], level)[0]) * 1e-3
        for channel, counts, level in zip(QUANTUM, by_detector, levels.tolist(), strict=True)
    }


def _pulses(run: NumberedRun) -> int:
    return sum(last - first + 1 for first, last in run.pulse_spans)
