"""Separate the beacon from stars, ghosts and noise: only the satellite keeps one time bias and cross-track offset."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import hypot

from qkd_gs.tracking.control.tuning import Tuning


@dataclass(frozen=True)
class Candidate:
    """A detection, as the orbit error that explains it."""

    t_ns: int
    time_bias_s: float
    cross_track_m: float


class CandidateFilter:
    """Recent unconfirmed detections of one camera.

    A star moves relative to the prediction like a satellite whose time bias changes by one second per second, and
    noise is random; so a few candidates that agree within the seeing are the beacon.
    """

    def __init__(self, tuning: Tuning):
        self._tuning = tuning
        self._recent: deque[Candidate] = deque(maxlen=64)

    def clear(self) -> None:
        """Drop all candidates."""
        self._recent.clear()

    def pending(self, now_ns: int) -> bool:
        """Whether there is a recent candidate: a search should wait for its confirmation."""
        return bool(self._recent) and (now_ns - self._recent[-1].t_ns) * 1e-9 < 0.5

    def add(self, candidate: Candidate, urad_per_s: float, urad_per_m: float) -> Candidate | None:
        """Mean of the candidates that confirm this one, or None if there are too few.

        `urad_per_s`, `urad_per_m`: shift of the apparent direction per unit of time bias and cross-track offset.
        """
        self._recent.append(candidate)
        tuning = self._tuning
        agreeing = []
        for other in self._recent:
            age_s = (candidate.t_ns - other.t_ns) * 1e-9
            along = (other.time_bias_s - candidate.time_bias_s) * urad_per_s
            across = (other.cross_track_m - candidate.cross_track_m) * urad_per_m
            if age_s <= tuning.confirm_within_s and hypot(along, across) <= tuning.confirm_radius_urad:
                agreeing.append(other)
        span_s = (candidate.t_ns - agreeing[0].t_ns) * 1e-9
        if len(agreeing) < tuning.confirm_count or span_s < tuning.confirm_span_s:
            return None
        count = len(agreeing)
        return Candidate(
            candidate.t_ns,
            sum(other.time_bias_s for other in agreeing) / count,
            sum(other.cross_track_m for other in agreeing) / count,
        )
