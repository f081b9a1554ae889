"""Tracks a pass: phases, search, estimate and commands, one pure step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, nan, radians, sin

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
from qkd_gs.tracking.control.acquisition import DirectionMeasurement, TrackFilter
from qkd_gs.tracking.control.encoder_history import EncoderHistory
from qkd_gs.tracking.control.estimator import Residual
from qkd_gs.tracking.control.gap_planner import GapPlanner
from qkd_gs.tracking.control.measured_polarization import measured_polarization_angle
from qkd_gs.tracking.control.parking import axis_rate, is_parked, parked_aim
from qkd_gs.tracking.control.prediction import Prediction
from qkd_gs.tracking.control.requests import field_around, requests
from qkd_gs.tracking.control.search import BeaconSearch
from qkd_gs.tracking.control.setpoints import Controller
from qkd_gs.tracking.control.tuning import Tuning
from qkd_gs.tracking.types import OVER, CameraRole, Phase, SpotMeasurement, TrackerInputs, TrackerOutputs

LIT = (Phase.ACQUIRE, Phase.COARSE, Phase.FINE, Phase.LOST)  # our beacon is on
SEARCH_STEP_NS = 100_000_000
AFTER_END_NS = 2_000_000_000  # the satellite may be late
RELOCK_S = 3.0  # after a zenith gap
ON_AIM_RAD = 5e-4  # a slew has arrived


class Tracker:
    """Track one pass: slew, wait, search, hold, coast, end, park.

    Parameters
    ----------
    station : StationSettings
        Limits, cameras, beacon, elevations.
    trajectory : Trajectory
        Prediction from the elements.
    model : MountModel
        The mount as calibrated.
    plan : PassPlan
        From `start_el_deg` after rise to `end_el_deg` before set: azimuth turn, zenith gaps.
    tuning : Tuning, optional
        Assumptions about atmosphere, mount and satellite.
    """

    def __init__(
        self,
        station: StationSettings,
        trajectory: Trajectory,
        model: MountModel,
        plan: PassPlan,
        tuning: Tuning | None = None,
    ):
        self._station, self._model = station, model
        self._gaps = GapPlanner(plan, trajectory, model, station.mount)
        self._tuning = tuning or Tuning()
        self._prediction = Prediction(trajectory)
        self._controller = Controller(station.mount, self._tuning)
        fastest = max(station.mount.azimuth.max_acc_deg_s2, station.mount.elevation.max_acc_deg_s2)
        self._history = EncoderHistory(radians(fastest))
        self._geometries = {
            CameraRole.GUIDING: CameraGeometry.of(station.guiding_camera),
            CameraRole.TRACKING: CameraGeometry.of(station.tracking_camera),
        }
        self._track_filter = TrackFilter(self._tuning, self._prediction)
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

    @property
    def done(self) -> bool:
        """The pass is over and the mount is parked."""
        return self.phase is Phase.IDLE

    @property
    def gaps_ns(self) -> list[tuple[int, int]]:
        """Gaps at the zenith as planned last: UTC of the elements, first and last."""
        return self._gaps.gaps

    def abort(self) -> None:
        """Abort the pass: beacon off, park."""
        if self.phase is not Phase.IDLE:
            self.phase = Phase.PARK

    def step(self, now_ns: int, inputs: TrackerInputs) -> TrackerOutputs:
        """Advance to `now_ns`: process new inputs, decide, command.

        Spots may come in any order and number, late or not at all; a mount that stopped or failed gets no command
        until it holds again.
        """
        self._history.add(inputs.mount)
        reading = self._history.newest or inputs.mount
        measurements = [measurement for spot in inputs.spots if (measurement := self._measure(spot)) is not None]
        error_x, error_y = self._update_filter(now_ns, reading, measurements)
        at_ns = self._controller.time_of(now_ns)
        state = self._prediction.at(self._within_plan(at_ns), self._aimed_error(now_ns, inputs, reading))
        self._change_phase(now_ns, state, reading)
        command = self._command(at_ns, inputs.mount.mode, reading, state)
        angle, angle_rate = measured_polarization_angle(self._model, reading, state)
        _, line_of_sight_el, roll = self._model.line_of_sight(reading.az_rad, reading.el_rad)
        guiding, tracking = requests(
            self.phase, self._station.guiding_camera, self._station.tracking_camera, self._field(now_ns, roll, state)
        )
        return TrackerOutputs(
            phase=self.phase,
            mount=command,
            beacon_on=self._beacon_on(inputs, line_of_sight_el),
            polarization_angle_rad=angle,
            polarization_rate_rad_s=angle_rate,
            guiding=guiding,
            tracking=tracking,
            time_bias_s=self._track_filter.error[0],
            cross_track_m=self._track_filter.error[1],
            error_x_urad=error_x * 1e6,
            error_y_urad=error_y * 1e6,
        )

    def line_of_sight_el_rad(self, reading: MountReading) -> float:
        """Apparent elevation of the line of sight at a reading."""
        return self._model.apparent(reading.az_rad, reading.el_rad)[1]

    # --- measurements ---

    def _measure(self, spot: SpotMeasurement) -> DirectionMeasurement | None:
        """Direction of a spot, from the axis angles at mid-exposure."""
        axes = self._history.at(spot.stamp_ns) if spot.found else None
        if axes is None:
            return None
        x, y = self._geometries[spot.camera].angles(spot.x_px, spot.y_px)
        az, el = self._model.apparent(*axes, x, y)
        roll = self._model.roll(*axes)
        across = x * cos(roll) - y * sin(roll)
        along = x * sin(roll) + y * cos(roll)
        return DirectionMeasurement(spot.camera, spot.stamp_ns, az, el, across, along - self._prediction.dispersion(el))

    def _update_filter(
        self, now_ns: int, reading: MountReading, measurements: Sequence[DirectionMeasurement]
    ) -> tuple[float, float]:
        error_x = error_y = nan
        if self.phase not in LIT:
            return error_x, error_y
        self._track_filter.estimator.advance(now_ns, axis_rate(reading))
        for measurement in measurements:
            if self._track_filter.add(measurement) and measurement.camera is CameraRole.TRACKING:
                error_x, error_y = measurement.error_x_rad, measurement.error_y_rad
        if self._track_filter.settled:
            self._gaps.update(now_ns, self._track_filter.error)
        return error_x, error_y

    # --- phases ---

    def _change_phase(self, now_ns: int, state: TargetState[float], reading: MountReading) -> None:
        if self.phase in LIT or self.phase is Phase.WAIT:
            end_el = radians(self._station.tracking.end_el_deg)
            down = state.el_rate_rad_s < 0 and state.el_rad < end_el
            if down or now_ns > self._gaps.plan.end_ns + AFTER_END_NS:
                self.phase = Phase.END
                return
        if self.phase in self._change:
            self.phase = self._change[self.phase](now_ns, reading)

    def _slewing(self, now_ns: int, reading: MountReading) -> Phase:
        if now_ns > self._gaps.plan.end_ns:
            return Phase.END
        if self._controller.distance_rad(reading) > ON_AIM_RAD:
            return Phase.SLEW
        return Phase.WAIT

    def _waiting(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.ACQUIRE if now_ns >= self._gaps.plan.start_ns else Phase.WAIT

    def _acquiring(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.ACQUIRE if self._track_filter.source is None else Phase.COARSE

    def _centring(self, now_ns: int, reading: MountReading) -> Phase:
        if self._track_filter.settled:
            return Phase.FINE
        return self._lose(now_ns, self._tuning.lost_coarse_s, Phase.COARSE)

    def _holding(self, now_ns: int, reading: MountReading) -> Phase:
        if self._in_gap(now_ns):
            self._track_filter.unsettle()
            return Phase.LOST
        return self._lose(now_ns, self._tuning.lost_fine_s, Phase.FINE)

    def _coasting(self, now_ns: int, reading: MountReading) -> Phase:
        if self._in_gap(now_ns):
            self._track_filter.unsettle()
            return Phase.LOST
        if self._track_filter.settled:
            return Phase.FINE
        if self._track_filter.source is CameraRole.GUIDING and self._silent_s(now_ns) < self._tuning.lost_coarse_s:
            return Phase.COARSE
        if self._silent_s(now_ns) < self._tuning.search_after_s or self._in_gap(now_ns, RELOCK_S):
            return Phase.LOST
        self._track_filter.forget_source()
        self._search = self._new_search()
        return Phase.ACQUIRE

    def _ending(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.PARK

    def _parking(self, now_ns: int, reading: MountReading) -> Phase:
        return Phase.IDLE if is_parked(self._station.mount, reading) else Phase.PARK

    def _lose(self, now_ns: int, patience_s: float, phase: Phase) -> Phase:
        if self._silent_s(now_ns) <= patience_s:
            return phase
        self._track_filter.unsettle()
        return Phase.LOST

    def _silent_s(self, now_ns: int) -> float:
        return (now_ns - self._track_filter.last_ns) * 1e-9

    # --- aim ---

    def _new_search(self) -> BeaconSearch:
        tracking = self._station.tracking
        return BeaconSearch(
            self._tuning,
            limits=(tracking.time_bias_limit_s, tracking.cross_track_limit_m),
            half_angle_rad=0.5e-3 * self._station.beacon.divergence_mrad,
            centre=self._track_filter.error,
            found_before=self._track_filter.known,
        )

    def _aimed_error(self, now_ns: int, inputs: TrackerInputs, reading: MountReading) -> tuple[float, float]:
        """Orbit error (s, m) assumed for the aim."""
        if self.phase is not Phase.ACQUIRE or self._track_filter.source is not None:
            return self._track_filter.error
        due = self._searched_ns is None or now_ns - self._searched_ns >= SEARCH_STEP_NS
        if due:
            dt_s = (now_ns - self._searched_ns) * 1e-9 if self._searched_ns is not None else 0.0
            self._searched_ns = now_ns
            jacobian = self._prediction.jacobian(now_ns, self._search.aim)
            beam = self._beam(reading) if inputs.beacon.emitting else (nan, nan)
            self._search.step(min(dt_s, 0.2), beam, jacobian, self._track_filter.pending(now_ns))
        return self._search.aim

    def _beam(self, reading: MountReading) -> tuple[float, float]:
        """Orbit error at which our beam points, linearized about the aim: the beam is wide."""
        az, el = self._model.apparent(reading.az_rad, reading.el_rad)
        here = self._prediction.at(reading.stamp_ns, self._search.aim)
        jacobian = self._prediction.jacobian(reading.stamp_ns, self._search.aim)
        off = np.linalg.solve(jacobian, np.array(offset_between(here.az_rad, here.el_rad, az, el)))
        return self._search.aim[0] + float(off[0]), self._search.aim[1] + float(off[1])

    def _within_plan(self, t_ns: int) -> int:
        """Time of the position to aim at; before the satellite rises, that of its rise."""
        return min(max(t_ns, self._gaps.plan.start_ns), self._gaps.plan.end_ns + AFTER_END_NS)

    # --- commands ---

    def _command(
        self, at_ns: int, mode: MountMode, reading: MountReading, state: TargetState[float]
    ) -> MountCommand | None:
        if self.phase is Phase.IDLE or mode not in (MountMode.HOLD, MountMode.TRACK):
            self._controller.release()
            return None
        return self._controller.step(reading, self._aim(at_ns, reading, state))

    def _aim(self, at_ns: int, reading: MountReading, state: TargetState[float]) -> AxisMotion[float]:
        if self.phase in OVER:
            return parked_aim(self._station.mount, at_ns)
        residual = self._track_filter.estimator.residual(axis_rate(reading)) if self._track_filter.known else Residual()
        motion = self._model.encoder_command(self._prediction.aim(state, residual))
        motion = self._gaps.command(motion, self._track_filter.error[0])
        if at_ns < self._gaps.plan.start_ns:  # the state is that of the start: hold there
            return AxisMotion(at_ns, motion.az_rad, motion.el_rad, 0.0, 0.0, 0.0, 0.0)
        return motion

    def _in_gap(self, t_ns: int, after_s: float = 0.0) -> bool:
        """Whether an axis is off the track at `t_ns`, or was no more than `after_s` before."""
        return self._gaps.in_gap(t_ns, self._track_filter.error[0], after_s)

    def _beacon_on(self, inputs: TrackerInputs, line_of_sight_el_rad: float) -> bool:
        high = line_of_sight_el_rad >= radians(self._station.beacon.on_above_el_deg)
        return self.phase in LIT and high and inputs.beacon.interlock_closed

    # --- regions ---

    def _field(self, now_ns: int, roll_rad: float, state: TargetState[float]) -> Roi | None:
        """Region of the image that must contain the spot, while locked and through short fades."""
        held = self.phase is Phase.FINE or (self.phase is Phase.LOST and self._silent_s(now_ns) < 1.0)
        if not held or self._in_gap(now_ns, RELOCK_S):
            return None
        lift = self._prediction.dispersion(state.el_rad)
        return field_around(self._station.tracking_camera, lift * sin(roll_rad), lift * cos(roll_rad))
