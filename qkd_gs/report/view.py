"""A session as the report sees it: manifest, telemetry, and figures found wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.report.paper import Published, published_for
from qkd_gs.report.style import seconds_from
from qkd_gs.session.manifest import Manifest
from qkd_gs.session.telemetry import Telemetry
from qkd_gs.tracking.types import Phase


@dataclass(frozen=True)
class Plot:
    """A figure with what a reader needs to understand it."""

    name: str  # of its file
    title: str
    figure: Figure
    caption: str  # plain words; may hold what the paper has beside it
    alt: str  # for those who cannot see it
    square: bool = False


@dataclass(frozen=True)
class SessionView:
    """Everything known of a session."""

    manifest: Manifest
    telemetry: Telemetry
    pointing: StoredPointing | None = None  # as calibrated before the pass

    @property
    def key(self) -> dict[str, Any]:
        """The key's figures; empty if not processed."""
        return _part(self.manifest.result, 'key')

    @property
    def timing(self) -> dict[str, Any]:
        """The synchronization's figures; empty if not processed."""
        return _part(self.manifest.result, 'timing')

    @property
    def joined(self) -> SessionView | None:
        """The session with the key that it was joined to with others in the place of its own; None if it was not."""
        part = _part(self.manifest.result, 'joined')
        return replace(self, manifest=self.manifest.model_copy(update={'result': {'key': part}})) if part else None

    @property
    def processed(self) -> bool:
        """True if there is a result."""
        return self.manifest.result is not None

    @property
    def published(self) -> Published:
        """The paper's figures for this pass, or all its passes."""
        return published_for(
            self.manifest.place, self.manifest.culmination_ns, number(self.manifest.pass_info, 'max_elevation_deg')
        )

    def seconds(self, times_ns: IntArray) -> FloatArray:
        """Seconds from culmination."""
        return seconds_from(times_ns, self.manifest.culmination_ns)

    def locked(self, times_ns: IntArray) -> BoolArray:
        """Whether the tracking camera held the satellite, at each time."""
        inside = np.zeros(len(times_ns), np.bool_)
        for span in self.manifest.locked:
            inside |= (times_ns >= span.start_ns) & (times_ns <= span.end_ns)
        return inside

    @property
    def lock_was_lost(self) -> bool:
        """Whether the lock was lost in between, as in a gap at the zenith, where the satellite is milliradians off."""
        return number(self.manifest.tracking, 'locked_fraction') not in (None, 1.0)

    def elevation_at(self, times_ns: IntArray) -> FloatArray:
        """Elevation of the line of sight, rad; NaN where it was not recorded."""
        t = self.telemetry
        if len(t.el_rad) < 2:
            return np.full(len(times_ns), np.nan)
        zero = t.t_ns[0]
        seconds, known = (times_ns - zero) * 1e-9, (t.t_ns - zero) * 1e-9
        return np.asarray(np.interp(seconds, known, t.el_rad, left=np.nan, right=np.nan))

    def above(self, times_ns: IntArray) -> BoolArray:
        """Times that count for statistics: locked, and above the elevation where data are taken."""
        limit_rad = np.deg2rad(self.manifest.station.tracking.data_el_deg)
        elevation = self.elevation_at(times_ns)
        high_enough: BoolArray = np.isnan(elevation) | (elevation >= limit_rad)
        return self.locked(times_ns) & high_enough

    def lock_ns(self) -> int | None:
        """First time of lock; None if never."""
        t = self.telemetry
        if len(t.phase):
            fine = np.flatnonzero(t.phase == Phase.FINE)
            return int(t.t_ns[fine[0]]) if len(fine) else None
        return self.manifest.locked[0].start_ns if self.manifest.locked else None


Maker = Callable[[SessionView], Plot | None]


def number(part: dict[str, Any], name: str) -> float | None:
    """A figure of a part of the manifest; None if it is not there or not a number."""
    value = part.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def rms(values: FloatArray) -> float:
    """Root mean square of the finite values; NaN if there is none."""
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if len(finite) else float('nan')


def _part(result: dict[str, Any] | None, name: str) -> dict[str, Any]:
    part = (result or {}).get(name)
    return part if isinstance(part, dict) else {}
