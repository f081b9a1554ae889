"""The object that takes a pass: phases, search, estimate and commands, one pure step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, nan, radians, sin

import numpy as np

from qkd_gs.devices.camera import Roi
from qkd_gs.devices.mount import MountCommand, MountMode, MountReading
from qkd_gs.orbit.target import TargetState
from qkd_gs.orbit.trajectory import Trajectory
from qkd_gs.pointing.camera_geometry import CameraGeometry
from qkd_gs.pointing.mount_model import AxisMotion, MountModel
from qkd_gs.pointing.plan import PassPlan
from qkd_gs.pointing.sky_offsets import offset_between
from qkd_gs.settings.station import StationSettings
from qkd_gs.tracking.control.acquisition import Lock, Look
from qkd_gs.tracking.control.encoder_history import EncoderHistory
from qkd_gs.tracking.control.estimator import Residual
from qkd_gs.tracking.control.measured_polarization import measured_polarization_angle
from qkd_gs.tracking.control.prediction import Prediction
from qkd_gs.tracking.control.requests import field_around, requests
from qkd_gs.tracking.control.search import BeaconSearch
from qkd_gs.tracking.control.setpoints import Controller
from qkd_gs.tracking.control.tuning import Tuning
from qkd_gs.tracking.types import CameraRole, Phase, SpotMeasurement, TrackerInputs, TrackerOutputs

LIT = (Phase.ACQUIRE, Phase.COARSE, Phase.FINE, Phase.LOST)  # our beacon shines
SEARCH_STEP_NS = 100_000_000
AFTER_END_NS = 2_000_000_000  # the satellite may be late
RELOCK_S = 3.0  # after a zenith gap
ON_AIM_RAD = 5e-4  # a slew has arrived
AT_REST_RAD = radians(0.01)


class Tracker:
    """Take one pass: slew, wait, search, hold, coast, end, park.

    Parameters
    ----------
    station : StationSettings
        Limits, cameras, beacon, elevations.
    trajectory : Trajectory
        Prediction from the elements.
    model : MountModel
        The mount as calibrated.
    plan : PassPlan
        From the rise to `start_el_deg` to the setting below `end_el_deg`: turn of azimuth, zenith gaps.
    tuning : Tuning, optional
        What is assumed of air, mount and satellite.
    """

    def __init__(
        self,
        station: StationSettings,
        trajectory: Trajectory,
        model: MountModel,
        plan: PassPlan,
        tuning: Tuning | None = None,
    ):
        self._station, self._model, self._plan = station, model, plan
        self._tuning = tuning or Tuning()
        self._gaps = plan.gaps
        self._prediction = Prediction(trajectory)
        self._controller = Controller(station.mount, self._tuning)
        fastest = max(station.mount.azimuth.max_acc_deg_s2, station.mount.elevation.max_acc_deg_s2)
        self._history = EncoderHistory(radians(fastest))
        self._geometries = {
            CameraRole.GUIDING: CameraGeometry.of(station.guiding_camera),
            CameraRole.TRACKING: CameraGeometry.of(station.tracking_camera),
        }
        self._lock = Lock(self._tuning, self._prediction)
        self._search = self._new_search()
        self._searched_ns: int | None = None
        self._change = {
            Phase.SLEW: self._slewing,
            Phase.WAIT: self._waiting,
            Phase.ACQUIRE: self._acquiring,
            Phase.COARSE: self._centring,
            Phase.FINE: self._holding,
            Phase.LOST: self._coasting,
            Phase.END: self._ending,
            Phase.PARK: self._parking,
        }
        self.phase = Phase.SLEW
        self.losses = 0  # times that a lock was lost, zenith gaps included

    @property
    def done(self) -> bool:
        """The pass is over and the mount is parked."""
        return self.phase is Phase.IDLE

    def abort(self) -> None:
        """Give the pass up: light off, park."""
        if self.phase is not Phase.IDLE:
            self.phase = Phase.PARK

    def step(self, now_ns: int, inputs: TrackerInputs) -> TrackerOutputs:
        """Advance to `now_ns`: take in what is new, decide, command.

        Works on any order and number of spots, late and missing ones included; a mount that stopped or failed
        gets no command until it holds again.
        """
        self._history.add(inputs.mount)
        reading = self._history.newest or inputs.mount
        seen = [look for spot in inputs.spots if (look := self._look(spot)) is not None]
        error_x, error_y = self._take(now_ns, reading, seen)
        at_ns = self._controller.time_of(now_ns)
        state = self._prediction.at(self._within_plan(at_ns), self._aimed_error(now_ns, inputs, reading))
        self._change_phase(now_ns, state, reading)
        command = self._command(at_ns, inputs.mount.mode, reading, state)
        frame, frame_rate = measured_polarization_angle(self._model, reading, state)
        _, looks_el, roll = self._model.line_of_sight(reading.az_rad, reading.el_rad)
        guiding, tracking = requests(
            self.phase, self._station.guiding_camera, self._station.tracking_camera, self._field(now_ns, roll, state)
        )
        return TrackerOutputs(
            phase=self.phase,
            mount=command,
            beacon_on=self._beacon_on(inputs, looks_el),
            polarization_angle_rad=frame,
            polarization_rate_rad_s=frame_rate,
            guiding=guiding,
            tracking=tracking,
            time_bias_s=self._lock.error[0],
            cross_track_m=self._lock.error[1],
            error_x_urad=error_x * 1e6,
            error_y_urad=error_y * 1e6,
        )

    def looks_el_rad(self, reading: MountReading) -> float:
        """Apparent elevation of the line of sight at a reading."""
        return self._model.apparent(reading.az_rad, reading.el_rad)[1]

    # --- what the cameras say ---

    def _look(self, spot: SpotMeasurement) -> Look | None:
        """A spot as a direction, with the axes where they were at mid-exposure."""
        axes = self._history.at(spot.stamp_ns) if spot.found else None
        if axes is None:
            return None
        x, y = self._geometries[spot.camera].angles(spot.x_px, spot.y_px)
        az, el = self._model.apparent(*axes, x, y)
        roll = self._model.roll(*axes)
        across = x * cos(roll) - y * sin(roll)
        along = x * sin(roll) + y * cos(roll)
        return Look(spot.camera, spot.stamp_ns, az, el, across, along - self._prediction.dispersion(el))

    def _take(self, now_ns: int, reading: MountReading, seen: Sequence[Look]) -> tuple[float, float]:
        error_x = error_y = nan
        if self.phase not in LIT:
            return error_x, error_y
        self._lock.estimator.advance(now_ns, _axis_rate(reading))
        for look in seen:
            if self._lock.take(look) and look.camera is CameraRole.TRACKING:
                error_x, error_y = look.error_x_rad, look.error_y_rad
        return error_x, error_y

    # --- phases ---

    def _change_phase(self, now_ns: int, state: TargetState[float], reading: MountReading) -> None:
        if self.phase in LIT or self.phase is Phase.WAIT:
            end_el = radians(self._station.tracking.end_el_deg)
            down = state.el_rate_rad_s < 0 and state.el_rad < end_el
            if down or now_ns > self._plan.end_ns + AFTER_END_NS:
                self.phase = Phase.END
                return
        if self.phase in self._change:
            self.phase = self._change[self.phase](now_ns, reading)

    def _slewing(self, now_ns: int, reading: MountReading) -> Phase:
        if now_ns > self._plan.end_ns:
            return Phase.END
        if self._controller.distance_rad(reading) > ON_AIM_RAD:
            return Phase.SLEW
        return Phase.WAIT

    def _waiting(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.ACQUIRE if now_ns >= self._plan.start_ns else Phase.WAIT

    def _acquiring(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.ACQUIRE if self._lock.source is None else Phase.COARSE

    def _centring(self, now_ns: int, reading: MountReading) -> Phase:
        if self._lock.settled:
            return Phase.FINE
        return self._lose(now_ns, self._tuning.lost_coarse_s, Phase.COARSE)

    def _holding(self, now_ns: int, reading: MountReading) -> Phase:
        if self._in_gap(now_ns):
            self._lock.unsettle()
            phase = Phase.LOST
        else:
            phase = self._lose(now_ns, self._tuning.lost_fine_s, Phase.FINE)
        self.losses += phase is not Phase.FINE
        return phase

    def _coasting(self, now_ns: int, reading: MountReading) -> Phase:
        if self._in_gap(now_ns):
            self._lock.unsettle()
            return Phase.LOST
        if self._lock.settled:
            return Phase.FINE
        if self._lock.source is CameraRole.GUIDING and self._silent_s(now_ns) < self._tuning.lost_coarse_s:
            return Phase.COARSE
        if self._silent_s(now_ns) < self._tuning.search_after_s or self._in_gap(now_ns, RELOCK_S):
            return Phase.LOST
        self._lock.forget_source()
        self._search = self._new_search()
        return Phase.ACQUIRE

    def _ending(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.PARK

    def _parking(self, now_ns: int, reading: MountReading) -> Phase:
        parked = self._parked(now_ns)
        away = hypot(reading.az_rad - parked.az_rad, reading.el_rad - parked.el_rad)
        return Phase.IDLE if away < AT_REST_RAD and _axis_rate(reading) < AT_REST_RAD else Phase.PARK

    def _lose(self, now_ns: int, patience_s: float, phase: Phase) -> Phase:
        if self._silent_s(now_ns) <= patience_s:
            return phase
        self._lock.unsettle()
        return Phase.LOST

    def _silent_s(self, now_ns: int) -> float:
        return (now_ns - self._lock.last_ns) * 1e-9

    # --- where to look ---

    def _new_search(self) -> BeaconSearch:
        tracking = self._station.tracking
        return BeaconSearch(
            self._tuning,
            limits=(tracking.time_bias_limit_s, tracking.cross_track_limit_m),
            half_angle_rad=0.5e-3 * self._station.beacon.divergence_mrad,
            centre=self._lock.error,
            found_before=self._lock.known,
        )

    def _aimed_error(self, now_ns: int, inputs: TrackerInputs, reading: MountReading) -> tuple[float, float]:
        """Orbit error (s, m) that the aim assumes."""
        if self.phase is not Phase.ACQUIRE or self._lock.source is not None:
            return self._lock.error
        due = self._searched_ns is None or now_ns - self._searched_ns >= SEARCH_STEP_NS
        if due:
            dt_s = (now_ns - self._searched_ns) * 1e-9 if self._searched_ns is not None else 0.0
            self._searched_ns = now_ns
            jacobian = self._prediction.jacobian(now_ns, self._search.aim)
            looked = self._beam(reading) if inputs.beacon.emitting else (nan, nan)
            self._search.step(min(dt_s, 0.2), looked, jacobian, self._lock.pending(now_ns))
        return self._search.aim

    def _beam(self, reading: MountReading) -> tuple[float, float]:
        """Orbit error at which our beam points, linear around the aim: the beam is wide."""
        az, el = self._model.apparent(reading.az_rad, reading.el_rad)
        here = self._prediction.at(reading.stamp_ns, self._search.aim)
        jacobian = self._prediction.jacobian(reading.stamp_ns, self._search.aim)
        off = np.linalg.solve(jacobian, np.array(offset_between(here.az_rad, here.el_rad, az, el)))
        return self._search.aim[0] + float(off[0]), self._search.aim[1] + float(off[1])

    def _within_plan(self, t_ns: int) -> int:
        """Time of the place to look at: before the satellite is up, where it will come up."""
        return min(max(t_ns, self._plan.start_ns), self._plan.end_ns + AFTER_END_NS)

    # --- commands ---

    def _command(
        self, at_ns: int, mode: MountMode, reading: MountReading, state: TargetState[float]
    ) -> MountCommand | None:
        if self.phase is Phase.IDLE or mode not in (MountMode.HOLD, MountMode.TRACK):
            self._controller.release()
            return None
        return self._controller.step(reading, self._aim(at_ns, reading, state))

    def _aim(self, at_ns: int, reading: MountReading, state: TargetState[float]) -> AxisMotion[float]:
        if self.phase in (Phase.END, Phase.PARK):
            return self._parked(at_ns)
        residual = self._lock.estimator.residual(_axis_rate(reading)) if self._lock.known else Residual()
        motion = self._model.encoder_command(self._prediction.aim(state, residual))
        motion = self._plan.command(motion, self._lock.error[0])
        if at_ns < self._plan.start_ns:  # the state is that of the start: stand there
            return AxisMotion(at_ns, motion.az_rad, motion.el_rad, 0.0, 0.0, 0.0, 0.0)
        return motion

    def _in_gap(self, t_ns: int, after_s: float = 0.0) -> bool:
        """Whether an axis is off the track at `t_ns`, or was no more than `after_s` before."""
        planned_ns = t_ns + round(self._lock.error[0] * 1e9)
        return any(start <= planned_ns <= end + after_s * 1e9 for start, end in self._gaps)

    def _parked(self, at_ns: int) -> AxisMotion[float]:
        mount = self._station.mount
        return AxisMotion(at_ns, radians(mount.park_az_deg), radians(mount.park_el_deg), 0.0, 0.0, 0.0, 0.0)

    def _beacon_on(self, inputs: TrackerInputs, looks_el_rad: float) -> bool:
        high = looks_el_rad >= radians(self._station.beacon.on_above_el_deg)
        return self.phase in LIT and high and inputs.beacon.interlock_closed

    # --- regions ---

    def _field(self, now_ns: int, roll_rad: float, state: TargetState[float]) -> Roi | None:
        """Region in which the spot must be, while locked and through short fades."""
        held = self.phase is Phase.FINE or (self.phase is Phase.LOST and self._silent_s(now_ns) < 1.0)
        if not held or self._in_gap(now_ns, RELOCK_S):
            return None
        lift = self._prediction.dispersion(state.el_rad)
        return field_around(self._station.tracking_camera, lift * sin(roll_rad), lift * cos(roll_rad))


def _axis_rate(reading: MountReading) -> float:
    return hypot(reading.az_rate_rad_s, reading.el_rate_rad_s)
