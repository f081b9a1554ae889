"""Log of a simulated pass: the record of the station and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import NamedTuple

import numpy as np

from qkd_gs.arrays import FloatArray, IntArray
from qkd_gs.session.manifest import LockedSpan
from qkd_gs.session.telemetry import Telemetry
from qkd_gs.sim.physics.plant import Interval, Plant, pointing_error_rad
from qkd_gs.timing.live import CountBin
from qkd_gs.timing.tags import Channel
from qkd_gs.tracking.record.lock_log import LockLog
from qkd_gs.tracking.types import Phase, TrackerOutputs

_HWP_EVERY = 10  # polarization errors are logged at a tenth of the control rate


class Step(NamedTuple):
    """One control step."""

    t_ns: int
    az_rad: float  # true apparent direction of the line of sight
    el_rad: float
    x_urad: float  # line of sight minus commanded direction; NaN while the satellite is not tabulated
    y_urad: float
    phase: int
    lit: float  # satellite's beacon: 0 or 1


@dataclass(frozen=True)
class StationStatus:
    """Newest status published by a station in other processes: the logged part of `TrackerOutputs`."""

    phase: Phase = Phase.IDLE
    time_bias_s: float = nan
    cross_track_m: float = nan
    error_x_urad: float = nan
    error_y_urad: float = nan


class PassLog:
    """Samples of a pass.

    Attributes
    ----------
    last_error_urad : (float, float)
        Newest offset of the spot on the tracking camera, NaN before the first.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.last_error_urad = (nan, nan)
        self.time_bias_s, self.cross_track_m = 0.0, 0.0
        self._rows: list[Step] = []
        self._spots: list[tuple[int, float, float]] = []
        self._hwp: list[tuple[int, float]] = []
        self._counts: list[CountBin] = []
        self._locks = LockLog()

    def add(self, now_ns: int, interval: Interval, outputs: TrackerOutputs | StationStatus) -> None:
        """One control step."""
        lit = float(interval.lit[-1]) if len(interval.t_ns) else 0.0
        x, y = pointing_error_rad(interval) if len(interval.t_ns) else (nan, nan)
        az, el = self._plant.line_of_sight()
        self._rows.append(Step(now_ns, az, el, x * 1e6, y * 1e6, int(outputs.phase), lit))
        if outputs.error_x_urad == outputs.error_x_urad:  # a new spot: not NaN
            self.last_error_urad = (outputs.error_x_urad, outputs.error_y_urad)
            self._spots.append((now_ns, *self.last_error_urad))
        self._locks.note(now_ns, outputs.phase is Phase.FINE)
        if outputs.phase is Phase.FINE:
            self.time_bias_s, self.cross_track_m = outputs.time_bias_s, outputs.cross_track_m
        if len(self._rows) % _HWP_EVERY == 0 and len(interval.t_ns) and np.isfinite(x):
            self._hwp.append((now_ns, float(self._plant.polarization_error_rad(interval)[-1])))

    def count(self, full: CountBin) -> None:
        """Add a bin of counts."""
        self._counts.append(full)

    @property
    def end_ns(self) -> int:
        """Time of the last control step."""
        return self._rows[-1].t_ns

    def locked_spans(self) -> list[LockedSpan]:
        """Spans of UTC in which the tracking camera was locked on the satellite."""
        return self._locks.spans()

    def times(self) -> IntArray:
        """Times of the control steps."""
        return np.array([row.t_ns for row in self._rows], np.int64)

    def column(self, name: str) -> FloatArray:
        """A field of `Step` over all control steps."""
        index = Step._fields.index(name)
        return np.array([row[index] for row in self._rows], float)

    def hwp(self) -> tuple[IntArray, FloatArray]:
        """Times and true polarization errors (rad)."""
        return np.array([row[0] for row in self._hwp], np.int64), np.array([row[1] for row in self._hwp])

    def spots(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Times and offsets (urad) of the spots on the tracking camera."""
        table = np.array([row[1:] for row in self._spots], float).reshape(-1, 2)
        return np.array([row[0] for row in self._spots], np.int64), table[:, 0], table[:, 1]

    def telemetry(self) -> Telemetry:
        """Telemetry for the session."""
        spot_t_ns, spot_x, spot_y = self.spots()
        hwp_t_ns, hwp_rad = self.hwp()
        counts = np.array([full.counts for full in self._counts], np.int64).reshape(-1, len(Channel)).T
        return Telemetry(
            t_ns=self.times(),
            az_rad=np.unwrap(self.column('az_rad')),
            el_rad=self.column('el_rad'),
            error_x_urad=self.column('x_urad'),
            error_y_urad=self.column('y_urad'),
            phase=self.column('phase').astype(np.uint8),
            spot_t_ns=spot_t_ns,
            spot_x_urad=spot_x,
            spot_y_urad=spot_y,
            hwp_t_ns=hwp_t_ns,
            polarization_error_deg=np.degrees(hwp_rad),
            count_t_ns=np.array([full.start_ns for full in self._counts], np.int64),
            counts=counts[:4],
            beacon_counts=counts[Channel.BEACON - 1],
        )
