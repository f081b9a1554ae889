"""Metrics of a tracked pass, from samples of the truth (in the twin) and from the station's own measurements.

Every sample counts from the first lock on while the satellite is above the elevation of data, except those with the
satellite's beacon off; samples without lock count like any other.  A sample represents the time until the next one,
`LONGEST_HOLD_S` at most: gaps are not counted.  `rms_*`: line of sight minus commanded direction.  The commanded
direction is that of the 850 nm photons: the beacon's apparent direction lowered by the dispersion, 9.4 urad at 20 deg.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from qkd_gs.arrays import BoolArray, FloatArray, IntArray

LONGEST_HOLD_S = 0.1  # the tracker tells its phase at least every 0.05 s


@dataclass(frozen=True)
class PassSamples:
    """Dense samples of a pass; arrays (n,), NaN where unknown."""

    t_ns: IntArray
    x_rad: FloatArray  # line of sight minus commanded direction: cross-elevation (azimuth times cos el)
    y_rad: FloatArray  # and elevation
    el_rad: FloatArray  # of the satellite
    locked: BoolArray  # the tracker's phase is FINE
    ended: BoolArray  # the pass is over: END or PARK
    lit: BoolArray  # the satellite's beacon is on (and not behind a cloud of a scenario)
    in_guiding_field: BoolArray


@dataclass(frozen=True)
class Offsets:
    """Offsets of single exposures; arrays (n,)."""

    t_ns: IntArray
    x_rad: FloatArray
    y_rad: FloatArray


@dataclass(frozen=True)
class TrackingMetrics:
    """Metrics of a pass; NaN where nothing was counted, e.g. without a lock."""

    rms_x_urad: float
    rms_y_urad: float
    spot_rms_x_urad: float
    spot_rms_y_urad: float
    floor_x_urad: float
    floor_y_urad: float
    peak_urad: float  # largest radial error
    acquire_s: float  # from the beacon's first presence in the guiding field to the first lock
    locked_s: float
    locked_fraction: float  # of the counted time
    losses: int  # locks that ended while counting, other than with the pass


def tracking_metrics(samples: PassSamples, spots: Offsets, tilt: Offsets, data_el_rad: float) -> TrackingMetrics:
    """Metrics of one pass.

    Parameters
    ----------
    samples : PassSamples
        From before the first detection to the end of the pass.
    spots : Offsets
        Spots in the tracking camera minus their commanded position, from the tracker.
    tilt : Offsets
        Turbulence tilt averaged over each exposure of the tracking camera: the residual of an ideal mount.
    data_el_rad : float
        Elevation above which data are taken.
    """
    counted = counted_samples(samples, data_el_rad)
    x, y, locked = samples.x_rad[counted], samples.y_rad[counted], samples.locked[counted]
    held = held_s(samples.t_ns)[counted]
    spot_x, spot_y = _rms_while_counted(spots, samples.t_ns, counted)
    floor_x, floor_y = _rms_while_counted(tilt, samples.t_ns, counted)
    return TrackingMetrics(
        rms_x_urad=_rms_urad(x),
        rms_y_urad=_rms_urad(y),
        spot_rms_x_urad=spot_x,
        spot_rms_y_urad=spot_y,
        floor_x_urad=floor_x,
        floor_y_urad=floor_y,
        peak_urad=float(np.hypot(x, y).max() * 1e6) if len(x) else nan,
        acquire_s=acquisition_time_s(samples),
        locked_s=float(held[locked].sum()),
        locked_fraction=float(held[locked].sum() / held.sum()) if len(locked) else nan,
        losses=int(np.sum(samples.locked[:-1] & ~(samples.locked | samples.ended)[1:] & counted[1:])),
    )


def held_s(t_ns: IntArray) -> FloatArray:
    """Time that each sample represents, s; the last one the median."""
    if len(t_ns) < 2:
        return np.zeros(len(t_ns))
    steps = np.diff(t_ns) * 1e-9
    held: FloatArray = np.minimum(np.append(steps, np.median(steps)), LONGEST_HOLD_S)
    return held


def counted_samples(samples: PassSamples, data_el_rad: float) -> BoolArray:
    """Samples that count, (n,)."""
    counted: BoolArray = np.maximum.accumulate(samples.locked) & (samples.el_rad >= data_el_rad) & samples.lit
    return counted


def acquisition_time_s(samples: PassSamples) -> float:
    """Time from the beacon's first presence in the guiding field to the first lock; NaN without a lock."""
    present = np.flatnonzero(samples.lit & samples.in_guiding_field)
    locked = np.flatnonzero(samples.locked)
    if not len(present) or not len(locked):
        return nan
    return float(samples.t_ns[locked[0]] - samples.t_ns[present[0]]) * 1e-9


def _rms_while_counted(offsets: Offsets, t_ns: IntArray, counted: BoolArray) -> tuple[float, float]:
    if not len(t_ns):
        return nan, nan
    index = np.clip(np.searchsorted(t_ns, offsets.t_ns), 0, len(t_ns) - 1)
    inside = counted[index] & (offsets.t_ns >= t_ns[0]) & (offsets.t_ns <= t_ns[-1])
    inside &= np.isfinite(offsets.x_rad) & np.isfinite(offsets.y_rad)
    return _rms_urad(offsets.x_rad[inside]), _rms_urad(offsets.y_rad[inside])


def _rms_urad(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))) * 1e6) if len(values) else nan
