"""Tell the beacon from stars, ghosts and noise: only the satellite keeps one time bias and cross-track offset."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import hypot

from qkd_gs.tracking.control.tuning import Tuning


@dataclass(frozen=True)
class Sighting:
    """A spot as the orbit error that would explain it."""

    t_ns: int
    time_bias_s: float
    cross_track_m: float


class Sightings:
    """Recent spots of one camera, not yet believed.

    A star moves against the prediction like a satellite whose time bias runs at one second a second, and noise
    agrees with nothing; so a handful of sightings that agree within the seeing is the beacon.
    """

    def __init__(self, tuning: Tuning):
        self._tuning = tuning
        self._recent: deque[Sighting] = deque(maxlen=64)

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()

    def pending(self, now_ns: int) -> bool:
        """Whether something was seen lately: a search should not move on yet."""
        return bool(self._recent) and (now_ns - self._recent[-1].t_ns) * 1e-9 < 0.5

    def add(self, sighting: Sighting, urad_per_s: float, urad_per_m: float) -> Sighting | None:
        """Mean of the sightings that confirm this one, or None if there are too few.

        `urad_per_s`, `urad_per_m`: how far the apparent place moves with time bias and cross-track offset.
        """
        self._recent.append(sighting)
        tuning = self._tuning
        agreeing = []
        for other in self._recent:
            age_s = (sighting.t_ns - other.t_ns) * 1e-9
            along = (other.time_bias_s - sighting.time_bias_s) * urad_per_s
            across = (other.cross_track_m - sighting.cross_track_m) * urad_per_m
            if age_s <= tuning.confirm_within_s and hypot(along, across) <= tuning.confirm_radius_urad:
                agreeing.append(other)
        span_s = (sighting.t_ns - agreeing[0].t_ns) * 1e-9
        if len(agreeing) < tuning.confirm_count or span_s < tuning.confirm_span_s:
            return None
        count = len(agreeing)
        return Sighting(
            sighting.t_ns,
            sum(other.time_bias_s for other in agreeing) / count,
            sum(other.cross_track_m for other in agreeing) / count,
        )
