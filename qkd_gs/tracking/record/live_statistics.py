"""Tracking metrics as the station measures them itself, from the messages of its topics.

Messages are added in any order: by a node during the pass, or later from a bag.  Only stamps and contents count, not
arrival times, so the same messages give the same metrics, to the last digit.

The definitions are those of `statistics`.  Metrics that need the truth are NaN (`rms_*`, `floor_*`, `peak_urad`).  A
satellite whose beacon is off or behind a cloud looks like one that was lost, so such time counts as not locked.
"""

from __future__ import annotations

from array import array
from math import nan

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray, IntArray
from qkd_gs.tracking.record.statistics import Offsets, PassSamples, TrackingMetrics, tracking_metrics
from qkd_gs.tracking.types import OVER, Phase

_URAD = 1e-6
_FOLLOWING = (Phase.ACQUIRE, Phase.COARSE, Phase.FINE, Phase.LOST)


class Columns:
    """Rows of a time (ns) and some numbers, stored compactly and returned in order of time."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._times, self._values = array('q'), array('d')

    def add(self, t_ns: int, *values: float) -> None:
        """One row."""
        self._times.append(t_ns)
        self._values.extend(values)

    def sorted(self) -> tuple[IntArray, FloatArray]:
        """Times (n,), ascending, and values (width, n); of rows with the same time the last."""
        times = np.array(self._times, np.int64)
        values = np.array(self._values, float).reshape(-1, self._width)
        found, from_the_end = np.unique(times[::-1], return_index=True)
        return found, values[::-1][from_the_end].T


class RunningMetrics:
    """Metrics of a pass from the messages so far.

    Parameters
    ----------
    data_el_rad : float
        Elevation above which data are taken.
    """

    def __init__(self, data_el_rad: float) -> None:
        self._data_el_rad = data_el_rad
        self._states, self._elevation, self._guide = Columns(3), Columns(1), Columns(1)

    def state(self, t_ns: int, phase: int, error_x_urad: float, error_y_urad: float) -> None:
        """State of the tracker: phase, and offset of a new spot on the tracking camera or NaN."""
        self._states.add(t_ns, phase, error_x_urad, error_y_urad)

    def target(self, t_ns: int, el_rad: float) -> None:
        """Predicted elevation of the satellite, at least once per second."""
        self._elevation.add(t_ns, el_rad)

    def guide(self, t_ns: int, found: bool) -> None:
        """One image of the guiding camera."""
        self._guide.add(t_ns, float(found))

    def metrics(self) -> TrackingMetrics:
        """Metrics so far; `acquire_s` starts at the first spot of the guiding camera during acquisition."""
        t_ns, (phase, x_urad, y_urad) = self._states.sorted()
        el_t_ns, (el_rad,) = self._elevation.sorted()
        following = np.isin(phase, _FOLLOWING)
        height = np.interp(t_ns, el_t_ns, el_rad, left=nan, right=nan) if len(el_t_ns) else np.full(len(t_ns), nan)
        unknown = np.full(len(t_ns), nan)
        samples = PassSamples(
            t_ns=t_ns,
            x_rad=unknown,
            y_rad=unknown,
            el_rad=np.where(following, height, nan),
            locked=phase == Phase.FINE,
            ended=np.isin(phase, OVER),
            lit=np.ones(len(t_ns), bool),
            in_guiding_field=self._seen_by(t_ns, following),
        )
        spots = Offsets(t_ns, x_urad * _URAD, y_urad * _URAD)
        nothing = Offsets(t_ns[:0], unknown[:0], unknown[:0])
        return tracking_metrics(samples, spots, nothing, self._data_el_rad)

    def _seen_by(self, t_ns: IntArray, following: BoolArray) -> BoolArray:
        """Whether the guiding camera had found a spot by then, since the start of the acquisition."""
        guide_t_ns, (found,) = self._guide.sorted()
        start_ns = t_ns[following][0] if following.any() else 0
        finds = guide_t_ns[(found > 0) & (guide_t_ns >= start_ns)]
        seen: BoolArray = following & (t_ns >= finds[0]) if len(finds) else np.zeros(len(t_ns), bool)
        return seen
