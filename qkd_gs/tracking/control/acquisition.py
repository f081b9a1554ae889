"""Acquisition and track filter: spots confirmed as the beacon, then an estimate refined by every further spot."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sin, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.errors import StationError
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.tracking.control.candidates import Candidate, CandidateFilter
from qkd_gs.tracking.control.estimator import Estimator
from qkd_gs.tracking.control.prediction import Prediction
from qkd_gs.tracking.control.tuning import Tuning
from qkd_gs.tracking.types import CameraRole

CENTROID_RAD = 1e-6  # error of one centroid beside the turbulence
NEARBY_RAD = 5e-4  # the guiding camera may disagree so far with the estimate of the tracking camera


@dataclass(frozen=True)
class DirectionMeasurement:
    """Direction of one spot."""

    camera: CameraRole
    stamp_ns: int
    az_rad: float  # of the light, from encoders, mount model and image
    el_rad: float
    error_x_rad: float  # offset from the commanded position: cross-elevation and elevation
    error_y_rad: float


class TrackFilter:
    """Estimate of orbit error and pointing residual, and the camera that feeds it.

    Parameters
    ----------
    tuning : Tuning
        Rules of acquisition, noise.
    prediction : Prediction
        Apparent position of the satellite for an orbit error.
    """

    def __init__(self, tuning: Tuning, prediction: Prediction):
        self._tuning = tuning
        self._prediction = prediction
        self._candidates = {role: CandidateFilter(tuning) for role in CameraRole}
        self.estimator = Estimator(tuning)
        self.source: CameraRole | None = None
        self.known = False  # whether the estimator has ever been started
        self.last_ns = 0  # newest spot that was used
        self._near = 0
        self._near_since_ns = 0

    @property
    def error(self) -> tuple[float, float]:
        """Estimated orbit error: time bias (s), cross-track (m)."""
        return self.estimator.time_bias_s, self.estimator.cross_track_m

    @property
    def settled(self) -> bool:
        """Whether the last spots of the tracking camera were all close to the commanded position, for long enough."""
        span_s = (self.last_ns - self._near_since_ns) * 1e-9
        return (
            self.source is CameraRole.TRACKING
            and self._near >= self._tuning.settle_count
            and span_s >= 0.5 * self._tuning.confirm_span_s
        )

    def pending(self, now_ns: int) -> bool:
        """Whether there are recent candidates that may turn out to be the beacon."""
        return any(candidates.pending(now_ns) for candidates in self._candidates.values())

    def unsettle(self) -> None:
        """The beacon is lost: `settled` is false until new spots settle."""
        self._near = 0
        for candidates in self._candidates.values():
            candidates.clear()

    def forget_source(self) -> None:
        """Restart the search; the estimate is kept as the best guess."""
        self.unsettle()
        self.source = None

    def add(self, measurement: DirectionMeasurement) -> bool:
        """Use one spot; True if it was accepted."""
        if measurement.camera is CameraRole.GUIDING and self.source is CameraRole.TRACKING:
            return self._check_guiding(measurement)
        if measurement.camera is self.source:
            if self._update(measurement):
                return True
            if self._silent_s(measurement) < self._tuning.lost_fine_s:  # the beacon is in view: this is another source
                return False
        return self._collect(measurement)

    def _silent_s(self, measurement: DirectionMeasurement) -> float:
        return (measurement.stamp_ns - self.last_ns) * 1e-9

    def _update(self, measurement: DirectionMeasurement) -> bool:
        error = self.error
        predicted = self._prediction.at(measurement.stamp_ns, error)
        offset = offset_between(predicted.az_rad, predicted.el_rad, measurement.az_rad, measurement.el_rad)
        jacobian = self._prediction.jacobian(measurement.stamp_ns, error)
        extra = CENTROID_RAD if measurement.camera is CameraRole.TRACKING else self._tuning.guiding_sigma_urad * 1e-6
        tilt = self._tuning.tilt_zenith_urad * 1e-6 / sqrt(max(sin(measurement.el_rad), 0.05))
        if not self.estimator.update(measurement.stamp_ns, (float(offset[0]), float(offset[1])), jacobian, tilt, extra):
            self._near = 0
            return False
        self.last_ns = max(self.last_ns, measurement.stamp_ns)
        self._count_near(measurement)
        return True

    def _collect(self, measurement: DirectionMeasurement) -> bool:
        """Collect candidates; once confirmed, continue the estimate if it agrees, else restart it."""
        found = self._confirmed(measurement)
        if found is None:
            return False
        self._near = 0
        self._candidates[measurement.camera].clear()
        if self.known and self._agrees(measurement):
            self.source = CameraRole.TRACKING
            self.last_ns = max(self.last_ns, measurement.stamp_ns)
            return True
        error = (found.time_bias_s, found.cross_track_m)
        sigma = 5e-6 if measurement.camera is CameraRole.TRACKING else self._tuning.guiding_sigma_urad * 1e-6
        self.estimator.start(
            measurement.stamp_ns, *error, self._prediction.jacobian(measurement.stamp_ns, error), sigma
        )
        self.known = True
        self.source = measurement.camera
        self.last_ns = measurement.stamp_ns
        return True

    def _agrees(self, measurement: DirectionMeasurement) -> bool:
        """Whether the spot is where the estimate of an earlier lock predicts it."""
        if measurement.camera is CameraRole.TRACKING:
            return self._update(measurement)
        return self._off_rad(measurement) < NEARBY_RAD

    def _off_rad(self, measurement: DirectionMeasurement) -> float:
        predicted = self._prediction.at(measurement.stamp_ns, self.error)
        x, y = offset_between(predicted.az_rad, predicted.el_rad, measurement.az_rad, measurement.el_rad)
        return hypot(x, y)

    def _check_guiding(self, measurement: DirectionMeasurement) -> bool:
        """Spot of the guiding camera while the tracking camera leads: used only if it stays at another position."""
        if self._silent_s(measurement) < self._tuning.lost_fine_s or self._off_rad(measurement) < NEARBY_RAD:
            return False
        return self._collect(measurement)

    def _confirmed(self, measurement: DirectionMeasurement) -> Candidate | None:
        try:
            bias_s, cross_m = self._prediction.error_of(measurement.stamp_ns, measurement.az_rad, measurement.el_rad)
        except StationError:  # so far off the track that no orbit error explains it: another source
            return None
        scale = _scale(self._prediction.jacobian(measurement.stamp_ns, (bias_s, cross_m)))
        return self._candidates[measurement.camera].add(Candidate(measurement.stamp_ns, bias_s, cross_m), *scale)

    def _count_near(self, measurement: DirectionMeasurement) -> None:
        if hypot(measurement.error_x_rad, measurement.error_y_rad) > self._tuning.settle_radius_urad * 1e-6:
            self._near = 0
            return
        if self._near == 0:
            self._near_since_ns = measurement.stamp_ns
        self._near += 1


def _scale(jacobian: FloatArray) -> tuple[float, float]:
    """Microradians on the sky per second and per metre."""
    urad = np.hypot(jacobian[0], jacobian[1]) * 1e6
    return float(urad[0]), float(urad[1])
