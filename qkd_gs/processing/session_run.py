"""One run over a session: its clicks numbered, announced, and made into a key, all of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from qkd_gs.keys.random_tape import RandomTape
from qkd_gs.processing.agreement import tie_breaker_of
from qkd_gs.processing.click_checks import click_figures, examination, receiver_of
from qkd_gs.processing.tag_runs import RunReports, Scanned, scan_session
from qkd_gs.processing.timing_stage import SatelliteLog, Timed, number_clicks
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.result import KeyResult
from qkd_gs.qkd.protocol.satellite_sifting import DISCLOSED_NS
from qkd_gs.qkd.sifting.random_bits import RandomBits
from qkd_gs.session.manifest import Manifest
from qkd_gs.timing.sealed.hybrid import SealingKey

_log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class RunResult:
    """A key, and what is told of the clicks that it was made of."""

    timed: Timed
    reports: RunReports
    made: KeyResult
    watched: dict[str, Any]


@dataclass(frozen=True)
class SessionRun:
    """Resources of a run.

    Attributes
    ----------
    private_key : SealingKey
        Opens the tags.
    tape : RandomTape
        Random bits of the session, kept before they are announced.
    spool : Spool
        Storage of what is said in public.
    settle : callable
        Returns once the UTC, ns, has come from which on the satellite discloses public pulses.
    """

    folder: Path
    manifest: Manifest
    private_key: SealingKey
    session: GroundSession
    tape: RandomTape
    spool: Spool
    progress: Progress
    window_s: float
    settle: Callable[[int], None]

    def scan(self) -> Scanned:
        """Read the tags through once, before anything is asked: damage costs no disclosure."""
        self.progress('reading the sealed tags', 0.0)
        return scan_session(self.folder, self.manifest, self.private_key)

    def make_key(self, scanned: Scanned) -> RunResult:
        """Make the key of all clicks at once."""
        source = self.manifest.station.source
        if source.public_pulses:  # a later run must be told the same, so that it announces the same
            self.settle(scanned.log_span_ns[1] + DISCLOSED_NS)
            log: SatelliteLog = self.session.request_public_log(*scanned.log_span_ns)
        else:
            log = self.session.request_beacon_log(*scanned.log_span_ns, source.beacon_rate_hz)
        timed = self.numbered(self.manifest, scanned, log, tie_breaker_of(self.manifest, self.tape))
        del log
        report_unused(scanned.reports)
        self.progress('looking for anomalies', 0.0)
        watched = click_figures(self.manifest, timed)
        made = self.session.make_key(
            timed.detections,
            timed.pulse_spans,
            [self.window(timed)],
            examination(self.manifest, timed),
            receiver_of(self.manifest, timed),
        )
        return RunResult(timed, scanned.reports, made, watched)

    def numbered(
        self,
        manifest: Manifest,
        scanned: Scanned,
        log: SatelliteLog,
        tie_breaker: RandomBits,
        offsets_ps: Mapping[str, int] = MappingProxyType({}),
    ) -> Timed:
        """Numbered clicks; the random decisions in them are on the disk when this returns."""
        timed = number_clicks(
            manifest,
            scanned,
            log,
            tie_breaker,
            self.spool,
            lambda step: self.progress(step, 0.0),
            offsets_ps,
        )
        self.tape.save()
        return timed

    def window(self, timed: Timed) -> tuple[int, int]:
        """Pulses that arrive within half a window of culmination."""
        half_ns, culmination_ns = round(self.window_s * 5e8), self.manifest.culmination_ns
        first, last = timed.pulse_at_utc(np.array([culmination_ns - half_ns, culmination_ns + half_ns], np.int64))
        return int(first), int(last)


def report_unused(reports: RunReports) -> None:
    """Tell which runs of the TDC are not used, and why."""
    for report in reports.runs:
        if report.unused:
            _log.warning('%s is not used: %s', report.file, report.unused)
