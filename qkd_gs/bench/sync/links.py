"""Links of the synchronization benchmark: where the light goes, and the clocks at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, IntArray
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.processing.light_path import FixedDelay, LightPath
from qkd_gs.settings.site import load_site
from qkd_gs.share import share_path
from qkd_gs.sim.photons.clocks import DriftingClock
from qkd_gs.timing.clocks.clock import ClockFit

SECONDS, MARGIN_S = 60, 2
PS = 10**12
STATION_RATE = 3e-8  # frequency error of the time tagger
CULMINATION_NS = parse_utc('2018-10-03T15:56:42Z')
_PPS_JITTER_PS = 15_000.0
_BENCH_DELAY_PS = 20_000_000


@dataclass(frozen=True)
class LinkCase:
    """A link, and what is not as predicted."""

    orbit: bool = False
    delay_error_us: float = 0.0
    drift_ns_s: float = 0.0
    swing_ns: float = 0.0  # of the delay, with a period of 20 s
    clock_rate: float = 2e-8  # frequency error of the transmitter


def start_of() -> int:
    """UTC at which the recording begins, ns."""
    return CULMINATION_NS - SECONDS * 10**9 // 2


def transmitter_clock(case: LinkCase, since_ps: int) -> DriftingClock:
    """The transmitter's clock, 0.2 us off where the recording begins."""
    return DriftingClock(since_ps, 2e5, case.clock_rate, 1e-10)


def paths(case: LinkCase, start_ns: int) -> tuple[LightPath, LightPath]:
    """The link as the station predicts it, and as it is without its drift."""
    ends_ns = start_ns - 30 * 10**9, start_ns + (SECONDS + 30) * 10**9
    if not case.orbit:
        predicted = FixedDelay(*ends_ns, _BENCH_DELAY_PS + round(case.delay_error_us * 1e6))
        return predicted, FixedDelay(*ends_ns, _BENCH_DELAY_PS)
    orbit = load_elements(share_path('config', 'elements', 'micius.tle')).nearest(CULMINATION_NS)
    site = load_site('shanghai')
    predicted_orbit = Trajectory.predict(orbit, site, *ends_ns)
    return predicted_orbit, Trajectory.predict(orbit, site, *ends_ns, along_track_s=0.21, cross_track_m=-700.0)


def arrival(case: LinkCase, truth: LightPath, emission_ps: IntArray) -> IntArray:
    """Arrival times, the drift of a fibre included."""
    since_s = (emission_ps - emission_ps[0]) * 1e-12
    extra_ps = 1e3 * (case.drift_ns_s * since_s + case.swing_ns * np.sin(2 * np.pi * since_s / 20.0))
    arrival: IntArray = truth.arrival_ps(emission_ps) + np.rint(extra_ps).astype(np.int64)
    return arrival


def tagged(arrival_ps: IntArray) -> IntArray:
    """Times that the station's time tagger gives, by its own frequency."""
    times: IntArray = arrival_ps + np.rint(arrival_ps * STATION_RATE).astype(np.int64)
    return times


def in_session(arrival_ps: IntArray) -> BoolArray:
    """Mask of the arrivals within the time that a session counts."""
    inside: BoolArray = np.abs(arrival_ps - SECONDS * PS // 2) < (SECONDS // 2 - MARGIN_S) * PS
    return inside


def clock_figures(clock: ClockFit, tags: int, arrival_ps: IntArray, emission_ps: IntArray) -> dict[str, Any]:
    """Figures of a recovered clock on itself, and its error at pulses whose true times are known."""
    error_ns = (clock.to_satellite(tagged(arrival_ps)) - emission_ps) * 1e-3
    return {
        'tags': tags,
        'sync_rms_ns': clock.sync_rms_ns,
        'true_rms_ns': float(np.std(error_ns)),
        'constant_ns': float(np.mean(error_ns)),
        'residual_single_ns': clock.residual_single_ns,
    }


def pps_pulses(rng: np.random.Generator) -> IntArray:
    """PPS tags of the station's time tagger."""
    second_ps = np.arange(1, SECONDS) * PS
    tags: IntArray = second_ps + np.rint(
        second_ps * STATION_RATE + rng.standard_normal(len(second_ps)) * _PPS_JITTER_PS
    ).astype(np.int64)
    return tags
