"""Calibrator node: what moves the mount between two passes.

The action `calibrate` visits stars, fits and stores the pointing model; `observe` finds the orientation, or measures
the light of stars and sky; `park` parks the mount.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from std_msgs.msg import UInt8

import qkd_gs.msg as m
from qkd_gs.action import Calibrate, Observe, Park
from qkd_gs.calibration.calibrator import STARS, CalibrationInputs, CalibrationState
from qkd_gs.calibration.observing.begin import begin_observation
from qkd_gs.calibration.observing.observation import ObservationKind, ObservationState, Observed, Place
from qkd_gs.calibration.observing.requires import lacking
from qkd_gs.calibration.plate_solving.catalogues import GAIA_EPOCH, gaia
from qkd_gs.calibration.plate_solving.solver import TetraSolver
from qkd_gs.devices.mount import MountCommand, MountReading
from qkd_gs.errors import StationError, in_words
from qkd_gs.monitoring.health import FOCUS
from qkd_gs.nodes.clients.observation_run import Movers, ObservationRun
from qkd_gs.nodes.clients.star_calibration import StarCalibration, calibration_result
from qkd_gs.nodes.clients.station_focuser import StationFocuser
from qkd_gs.nodes.clients.station_light import StationHwp, StationLight
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.actions import conclude, take_or_answer
from qkd_gs.nodes.runtime.base import CoreNode
from qkd_gs.nodes.runtime.camera_requests import CameraRequests
from qkd_gs.nodes.runtime.context import site_of, station_of
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import SENSOR, TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import FILE_NAME, compass_pointing, load_pointing
from qkd_gs.station.loop_timing import Due
from qkd_gs.tracking.control.parking import Parking, ParkState, away_rad, require_no_sun
from qkd_gs.tracking.control.requests import GUIDING_STARS, TRACKING_STARS
from qkd_gs.tracking.types import CALIBRATION_LIGHT, CameraRole, MountTask, Phase, SpotMeasurement

_FEEDBACK_NS = 500_000_000
_WAIT_S = 0.1
_FOCUSER_S = 5.0  # between two readings: its temperature says when to focus again
_LIGHT_S = 0.5  # between two readings of the calibration light, which must be off
Result, Feedback = Calibrate.Result, Calibrate.Feedback


class CalibratorNode(CoreNode):
    """Runs one calibration or park at a time, and none during a pass."""

    name = 'calibrator'

    def __init__(self) -> None:
        super().__init__()
        self._station, self._site = station_of(self), site_of(self)
        self._calibration: StarCalibration | None = None
        self._parking: Parking | None = None
        self._observing: ObservationRun | None = None
        self._goal: Any = None
        self._mount: MountReading | None = None
        self._in_pass = False
        self._spots: dict[CameraRole, list[SpotMeasurement]] = {role: [] for role in CameraRole}
        self._timer = 0
        self._chosen = self.devices.chosen()
        self._focuser = StationFocuser(self, self._station)
        if self._focuser.exists:
            self.every(_FOCUSER_S, self._look_at_focuser)
        self._light, self._hwp = StationLight(self, self._station), StationHwp(self)
        if self._light.exists:
            self.every(_LIGHT_S, self._light.read)
        self._commands = self.publisher(m.MountCommand, 'mount/command')
        self._requests = CameraRequests(self)
        self._busy = self.publisher(UInt8, 'calibrator/busy', TRANSIENT_LOCAL)
        self._tell(MountTask.NONE)
        self.gather(m.MountState, 'mount/state', self._take_mount, NEWEST)
        self.gather(m.SessionState, 'session/state', self._take_session, NEWEST)
        self._hears: list[Any] = []  # spots, while stars are looked at
        self._server = (
            self._serve(Calibrate, 'calibrate', self._take_goal),
            self._serve(Observe, 'observe', self._take_observe),
            self._serve(Park, 'park', self._take_park),
        )
        self._waiting = self.every(_WAIT_S, self._wait_for_mount)

    def _look_at_focuser(self, now_ns: int) -> None:
        self._focuser.read(now_ns)
        self.warning = self._focuser.advice()
        self.metrics = {FOCUS: self.warning}

    def own_warning(self) -> str:
        """Reason to focus again, or trouble of focuser or calibration light."""
        return self.warning or self._light.trouble

    def finish(self) -> None:
        """The process ends: the focuser halts, the calibration light goes off."""
        self._light.close()
        self._focuser.close()

    def _serve(self, kind: Any, name: str, take: Callable[[Any], None]) -> ActionServer:
        def start(goal: Any) -> None:
            take_or_answer(goal, take, lambda: self._goal is goal, lambda why: _failed(kind.Result, why))

        return ActionServer(
            self,
            kind,
            name,
            lambda goal: None,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            handle_accepted_callback=self.guarded(start),
            cancel_callback=self._cancel,
        )

    @property
    def state_label(self) -> str:
        """Without the mount no star can be visited."""
        return 'active' if self._mount is not None else 'waiting for the mount'

    def _take_mount(self, message: m.MountState) -> None:
        first, self._mount = self._mount is None, messages.from_mount_state(message)
        if first:
            self.heartbeat()

    def _wait_for_mount(self, now_ns: int) -> None:
        """Each call has fetched what was published; an idle node fetches nothing once the mount is known."""
        if self._mount is not None:
            self.cease(self._waiting)

    def _take_session(self, message: m.SessionState) -> None:
        self._in_pass = message.phase != Phase.IDLE
        if self._in_pass and self._observing is not None and self._observing.observation.task in CALIBRATION_LIGHT:
            self._observing.observation.abort('a pass has begun')

    def _take_spot(self, message: m.Spot) -> None:
        self._spots[CameraRole(message.camera)].append(messages.from_spot(message))

    def _why_not(self) -> tuple[int, str] | None:
        """Code and reason why nothing can move the mount now; the codes of both actions are the same."""
        self.fetch()
        if self._in_pass or self._goal is not None:
            return Result.BUSY, 'a pass, a calibration or a park is under way'
        if self._mount is None:
            return Result.NOT_READY, 'no state of the mount is received'
        return None

    def _take_goal(self, goal: Any) -> None:
        why_not = self._why_not()
        if why_not is not None:
            return conclude(goal, calibration_result(*why_not))
        count, warn = goal.request.stars or STARS, self.get_logger().warning
        try:
            self._calibration = StarCalibration(
                self._station, self._site, self.state_dir, self.clock.now_ns(), count, warn
            )
        except StationError as error:
            return conclude(goal, calibration_result(Result.NOT_READY, str(error)))
        return self._begin(goal, Calibrate, MountTask.CALIBRATING, self._step)

    def _take_observe(self, goal: Any) -> None:
        why_not, kinds = self._why_not(), [int(kind) for kind in ObservationKind]
        if why_not is None and goal.request.task not in kinds:
            why_not = Observe.Result.REFUSED, f'task {goal.request.task} is none of {kinds}'
        if why_not is not None:
            return conclude(goal, Observe.Result(error_code=why_not[0], error_msg=why_not[1]))
        kind, folder = ObservationKind(goal.request.task), self.state_dir
        lacks = lacking(kind, self._station, self._chosen)
        if lacks:
            return conclude(goal, Observe.Result(error_code=Observe.Result.REFUSED, error_msg=lacks))
        try:
            known, camera, now_ns = (folder / FILE_NAME).exists(), self._station.guiding_camera, self.clock.now_ns()
            pointing = load_pointing(folder) if known else compass_pointing(camera, format_utc(now_ns))
            place = Place(self._site, self._station, pointing, folder)
            observation = begin_observation(kind, place, TetraSolver(gaia, GAIA_EPOCH), now_ns)
        except StationError as error:
            return conclude(goal, Observe.Result(error_code=Observe.Result.NOT_READY, error_msg=str(error)))
        movers = Movers(self._focuser, self._light, self._hwp)
        self._observing = ObservationRun(self, observation, place.refined, movers)
        return self._begin(goal, Observe, observation.task, self._step_observe)

    def _take_park(self, goal: Any) -> None:
        why_not = self._why_not()
        if why_not is not None:
            return conclude(goal, Park.Result(error_code=why_not[0], error_msg=why_not[1]))
        now_ns, model, mount = self.clock.now_ns(), self._known_model(), self._mount
        if model is not None and mount is not None:
            try:
                require_no_sun(self._station, self._site, model, mount, now_ns)
            except StationError as error:
                return conclude(goal, Park.Result(error_code=Park.Result.NOT_READY, error_msg=str(error)))
        self._parking = Parking(self._station.mount, now_ns)
        return self._begin(goal, Park, MountTask.PARKING, self._step_park)

    def _known_model(self) -> MountModel | None:
        """Model of the mount; None: the supervisor alone keeps a park away from the Sun."""
        try:
            return load_pointing(self.state_dir).model
        except StationError as error:
            self.get_logger().warning(f'parked all the same: {error}')
            return None

    def _begin(self, goal: Any, kind: Any, task: MountTask, step: Callable[[int], None]) -> None:
        self._goal = goal
        if self._parking is None:
            self._hears = [
                self.gather(m.Spot, f'{messages.frame_of(role)}/spot', self._take_spot, SENSOR) for role in CameraRole
            ]
        self._feedback_due = Due(_FEEDBACK_NS)
        self._tell(task)

        def attempt(now_ns: int) -> None:
            try:
                step(now_ns)
            except Exception as error:  # noqa: BLE001  nobody waits for what cannot go on, and the mount can be parked
                self.get_logger().error(traceback.format_exc())
                self._give_up(now_ns, goal, _failed(kind.Result, in_words(error)))

        self._timer = self.every(1 / self._station.tracking.control_rate_hz, attempt)

    def _give_up(self, now_ns: int, goal: Any, result: Any) -> None:
        """End what is under way after an error of the program."""
        observing, self._observing = self._observing, None
        self._calibration = self._parking = None
        if self._goal is goal:
            self._freed()
        conclude(goal, result)
        self._requests.stop(now_ns)
        if observing is not None:
            observing.close(now_ns)

    def _tell(self, task: MountTask) -> None:
        self._task = task
        self._busy.publish(UInt8(data=task))

    def _cancel(self, goal: Any) -> CancelResponse:
        """End what this goal has begun; one that is over, or of a process that has died, is not that of the present."""
        if self._goal is None or goal.goal_id != self._goal.goal_id:
            return CancelResponse.REJECT
        observation = self._observing.observation if self._observing is not None else None
        for task in (self._calibration, self._parking, observation):
            if task is not None:
                task.abort()
        return CancelResponse.ACCEPT

    def _step_park(self, now_ns: int) -> None:
        parking, mount = self._parking, self._mount
        if parking is None or mount is None:
            return
        command = parking.step(now_ns, mount)
        if command is not None:
            self._commands.publish(messages.mount_command(command, m.MountCommand.CALIBRATOR))
        if self._feedback_due.now(now_ns):
            left_rad = away_rad(self._station.mount, mount)
            self._goal.publish_feedback(Park.Feedback(message=parking.message, left_rad=left_rad))
        if parking.state is not ParkState.MOVING:
            self._parking = None
            code = {ParkState.PARKED: Park.Result.DONE, ParkState.ABORTED: Park.Result.ABORTED}
            result = Park.Result(error_code=code.get(parking.state, Park.Result.FAILED))
            result.error_msg = parking.message if result.error_code else ''
            self.get_logger().info(f'park: {parking.message}')
            conclude(self._freed(), result)

    def _step_observe(self, now_ns: int) -> None:
        observing, mount = self._observing, self._mount
        if observing is None or mount is None:
            return
        out = observing.step(now_ns, mount, *self._taken_spots())
        if observing.observation.task is not self._task:
            self._tell(observing.observation.task)
        if out.axes is not None:
            command = MountCommand(**vars(out.axes))
            self._commands.publish(messages.mount_command(command, m.MountCommand.CALIBRATOR))
        for role in CameraRole:
            self._requests.ask(now_ns, role, observing.observation.requests.get(role))
        if self._feedback_due.now(now_ns):
            self._goal.publish_feedback(Observe.Feedback(message=out.message))
        if out.state is not ObservationState.RUNNING:
            self._end_observation(now_ns, observing, out)

    def _end_observation(self, now_ns: int, observing: ObservationRun, out: Observed) -> None:
        """Keep what was found; stop cameras, counting and motion in any case."""
        self._observing = None
        observing.close(now_ns)
        self._requests.stop(now_ns)
        goal, result = self._freed(), Observe.Result(error_code=Observe.Result.FAILED, error_msg=out.message)
        if goal.is_cancel_requested:
            result.error_code = Observe.Result.ABORTED
        elif out.state is ObservationState.DONE:
            try:
                result = Observe.Result(error_code=Observe.Result.DONE, summary=observing.observation.keep(now_ns))
            except StationError as error:
                result.error_msg = str(error)
        self.get_logger().info(f'observation: {result.error_msg or result.summary}')
        conclude(goal, result)

    def _taken_spots(self) -> tuple[tuple[SpotMeasurement, ...], ...]:
        """Spots of the guiding and of the tracking camera since the last call."""
        taken = tuple(tuple(self._spots[role]) for role in CameraRole)
        for spots in self._spots.values():
            spots.clear()
        return taken

    def _freed(self) -> Any:
        """Nothing moves the mount any more; the goal under way, to be concluded."""
        self.cease(self._timer)
        while self._hears:
            self.gather_no_more(self._hears.pop())
        self._taken_spots()
        self._tell(MountTask.NONE)
        goal, self._goal = self._goal, None
        return goal

    def _step(self, now_ns: int) -> None:
        calibration = self._calibration
        if calibration is None or self._mount is None:
            return
        outputs = calibration.step(now_ns, CalibrationInputs(self._mount, *self._taken_spots()))
        if outputs.axes is not None:
            command = MountCommand(**vars(outputs.axes))
            self._commands.publish(messages.mount_command(command, m.MountCommand.CALIBRATOR))
        self._requests.ask(now_ns, CameraRole.GUIDING, GUIDING_STARS)
        self._requests.ask(now_ns, CameraRole.TRACKING, TRACKING_STARS)
        if self._feedback_due.now(now_ns):
            self._goal.publish_feedback(Feedback(message=outputs.message, visited=outputs.visited, total=outputs.total))
        if outputs.state is not CalibrationState.RUNNING:
            self._end(now_ns, calibration, outputs.message)

    def _end(self, now_ns: int, calibration: StarCalibration, message: str) -> None:
        """Store a good model, discard a bad one, stop both cameras."""
        self._calibration = None
        self._requests.stop(now_ns)
        goal = self._freed()
        result = calibration.result(now_ns, goal.is_cancel_requested, message)
        self.get_logger().info(f'calibration: {result.error_msg}' if result.error_code else result.summary)
        conclude(goal, result)


def _failed(kind: Any, why: str) -> Any:
    return kind(error_code=kind.FAILED, error_msg=why)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(CalibratorNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
