"""What the satellite's light has told: first sightings, then an estimate that every spot sharpens."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sin, sqrt

import numpy as np

from qkd_gs.arrays import FloatArray
from qkd_gs.errors import StationError
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.tracking.control.candidates import Sighting, Sightings
from qkd_gs.tracking.control.estimator import Estimator
from qkd_gs.tracking.control.prediction import Prediction
from qkd_gs.tracking.control.tuning import Tuning
from qkd_gs.tracking.types import CameraRole

CENTROID_RAD = 1e-6  # error of one centroid beside the turbulence
NEARBY_RAD = 5e-4  # the guiding camera may be so far off what the tracking camera has told


@dataclass(frozen=True)
class Look:
    """One spot as a direction."""

    camera: CameraRole
    stamp_ns: int
    az_rad: float  # where the light comes from, by encoders, mount model and picture
    el_rad: float
    error_x_rad: float  # from where the spot shall be: across and along elevation
    error_y_rad: float


class Lock:
    """The estimate of orbit error and residual, and which camera feeds it.

    Parameters
    ----------
    tuning : Tuning
        What may be called the beacon, and noise.
    prediction : Prediction
        Where the satellite is for an orbit error.
    """

    def __init__(self, tuning: Tuning, prediction: Prediction):
        self._tuning = tuning
        self._prediction = prediction
        self._sightings = {role: Sightings(tuning) for role in CameraRole}
        self.estimator = Estimator(tuning)
        self.source: CameraRole | None = None
        self.known = False  # whether the estimator has ever been started
        self.last_ns = 0  # newest spot that was taken in
        self._near = 0
        self._near_since_ns = 0

    @property
    def error(self) -> tuple[float, float]:
        """Estimated orbit error: time bias (s), cross-track (m)."""
        return self.estimator.time_bias_s, self.estimator.cross_track_m

    @property
    def settled(self) -> bool:
        """The last spots of the tracking camera all lay where they shall, for long enough."""
        span_s = (self.last_ns - self._near_since_ns) * 1e-9
        return (
            self.source is CameraRole.TRACKING
            and self._near >= self._tuning.settle_count
            and span_s >= 0.5 * self._tuning.confirm_span_s
        )

    def pending(self, now_ns: int) -> bool:
        """Whether something was seen lately that may prove to be the beacon."""
        return any(sightings.pending(now_ns) for sightings in self._sightings.values())

    def unsettle(self) -> None:
        """The light has gone: settle anew when it is back."""
        self._near = 0
        for sightings in self._sightings.values():
            sightings.clear()

    def forget_source(self) -> None:
        """Search anew; the estimate stays as the best guess."""
        self.unsettle()
        self.source = None

    def take(self, look: Look) -> bool:
        """Use one spot; True if it was believed and taken in."""
        if look.camera is CameraRole.GUIDING and self.source is CameraRole.TRACKING:
            return self._second_opinion(look)
        if look.camera is self.source:
            if self._update(look):
                return True
            if self._silent_s(look) < self._tuning.lost_fine_s:  # the beacon is in sight: this is something else
                return False
        return self._sight(look)

    def _silent_s(self, look: Look) -> float:
        return (look.stamp_ns - self.last_ns) * 1e-9

    def _update(self, look: Look) -> bool:
        error = self.error
        predicted = self._prediction.at(look.stamp_ns, error)
        offset = offset_between(predicted.az_rad, predicted.el_rad, look.az_rad, look.el_rad)
        jacobian = self._prediction.jacobian(look.stamp_ns, error)
        extra = CENTROID_RAD if look.camera is CameraRole.TRACKING else self._tuning.guiding_sigma_urad * 1e-6
        tilt = self._tuning.tilt_zenith_urad * 1e-6 / sqrt(max(sin(look.el_rad), 0.05))
        if not self.estimator.update(look.stamp_ns, (float(offset[0]), float(offset[1])), jacobian, tilt, extra):
            self._near = 0
            return False
        self.last_ns = max(self.last_ns, look.stamp_ns)
        self._count_near(look)
        return True

    def _sight(self, look: Look) -> bool:
        """Collect evidence; when it suffices go on with the estimate if it agrees, else start it anew."""
        found = self._confirmed(look)
        if found is None:
            return False
        self._near = 0
        self._sightings[look.camera].clear()
        if self.known and self._agrees(look):
            self.source = CameraRole.TRACKING
            self.last_ns = max(self.last_ns, look.stamp_ns)
            return True
        error = (found.time_bias_s, found.cross_track_m)
        sigma = 5e-6 if look.camera is CameraRole.TRACKING else self._tuning.guiding_sigma_urad * 1e-6
        self.estimator.start(look.stamp_ns, *error, self._prediction.jacobian(look.stamp_ns, error), sigma)
        self.known = True
        self.source = look.camera
        self.last_ns = look.stamp_ns
        return True

    def _agrees(self, look: Look) -> bool:
        """Whether the light is where the estimate of an earlier lock has it."""
        return self._update(look) if look.camera is CameraRole.TRACKING else self._off_rad(look) < NEARBY_RAD

    def _off_rad(self, look: Look) -> float:
        predicted = self._prediction.at(look.stamp_ns, self.error)
        x, y = offset_between(predicted.az_rad, predicted.el_rad, look.az_rad, look.el_rad)
        return hypot(x, y)

    def _second_opinion(self, look: Look) -> bool:
        """The guiding camera while the tracking camera leads: heard only if it insists on another place."""
        if self._silent_s(look) < self._tuning.lost_fine_s or self._off_rad(look) < NEARBY_RAD:
            return False
        return self._sight(look)

    def _confirmed(self, look: Look) -> Sighting | None:
        try:
            bias_s, cross_m = self._prediction.error_of(look.stamp_ns, look.az_rad, look.el_rad)
        except StationError:  # so far off the track that no orbit error explains it: something else
            return None
        scale = _scale(self._prediction.jacobian(look.stamp_ns, (bias_s, cross_m)))
        return self._sightings[look.camera].add(Sighting(look.stamp_ns, bias_s, cross_m), *scale)

    def _count_near(self, look: Look) -> None:
        if hypot(look.error_x_rad, look.error_y_rad) > self._tuning.settle_radius_urad * 1e-6:
            self._near = 0
            return
        if self._near == 0:
            self._near_since_ns = look.stamp_ns
        self._near += 1


def _scale(jacobian: FloatArray) -> tuple[float, float]:
    """Microradians on the sky by second and by metre."""
    urad = np.hypot(jacobian[0], jacobian[1]) * 1e6
    return float(urad[0]), float(urad[1])
