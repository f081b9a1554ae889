"""Tracker node: the action `track_pass`, the 100 Hz loop around `PassRun`, and recovery after a crash."""

from __future__ import annotations

import time
import traceback
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from math import nan
from typing import Any

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from std_msgs.msg import UInt8
from std_srvs.srv import Trigger

import qkd_gs.msg as m
from qkd_gs.action import TrackPass
from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError, in_words
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime import parameters
from qkd_gs.nodes.runtime.actions import conclude, take_or_answer
from qkd_gs.nodes.runtime.base import ABORT_PASS, BY_OPERATOR, IN_THE_LOOP, CoreNode
from qkd_gs.nodes.runtime.camera_requests import CameraRequests
from qkd_gs.nodes.runtime.context import mount_capability, site_of, station_of
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import SENSOR, TRANSIENT_LOCAL
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.pointing.pointing_file import load_pointing
from qkd_gs.session.disk_space import require_space
from qkd_gs.session.manifest import KEY, PENDING, session_path
from qkd_gs.station.loop_timing import Due, LoopWatch
from qkd_gs.tracking.record.current_pass import CurrentPass
from qkd_gs.tracking.record.pass_run import Knowledge, PassRun
from qkd_gs.tracking.record.session_names import session_name, unused_name
from qkd_gs.tracking.types import (
    OVER,
    CameraRole,
    MountTask,
    Phase,
    SpotMeasurement,
    TrackerInputs,
    TrackerOutputs,
)

_STATE_NS = 45_000_000  # since the last state: twenty a second of steps that are 10 ms apart, if there are no spots
_BEACON_NS = 50_000_000
_ANGLE_NS = 20_000_000
_FEEDBACK_NS = 500_000_000
_KEEP_NS = 500_000_000  # a crash loses no more of the locked time than of the tags
_IDLE_S = 0.5
# A pass is not accepted on an older reading of the mount: the last one stays here when the mount's process has died.
# This is a watchdog on the age of a measurement; how long anybody has waited does not matter.
_READING_NS = 500_000_000
_MOST_FAILING = 100  # steps one after the other that end in an error of the program; the mount stands after the first
_SESSION = 'tracker.session'  # fault: the session's manifest is not kept
Result, Feedback = TrackPass.Result, TrackPass.Feedback


class TrackerNode(CoreNode):
    """Tracks one pass at a time."""

    name = 'tracker'
    priority = IN_THE_LOOP

    def __init__(self) -> None:
        super().__init__()
        self._station, self._site = station_of(self), site_of(self)
        parameters.offer(self, self._station.tracking, 'tracking', lambda: self._run is not None)
        self._capability = mount_capability(self)
        self._run: PassRun | None = None
        self._goal: Any = None
        self._aborting = ''
        self._tried_to_resume = self._abort_at_once = False
        self._mount: MountReading | None = None
        self._beacon: BeaconReading | None = None
        self._safety: m.SafetyStatus | None = None
        self._other_task = MountTask.NONE
        self._current = CurrentPass(self.state_dir)
        self._spots: deque[SpotMeasurement] = deque(maxlen=64)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix='manifest')
        self._kept: Future[None] | None = None  # the last update of the manifest
        self._watch = LoopWatch(1 / self._station.tracking.control_rate_hz)
        self._timer = 0
        self._publish_and_listen()
        self._server = ActionServer(
            self,
            TrackPass,
            'track_pass',
            lambda goal: None,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            handle_accepted_callback=self.guarded(self._accept),
            cancel_callback=self._cancel,
        )
        self.create_service(Trigger, ABORT_PASS, self._abort_asked)
        self.every(_IDLE_S, self._publish_idle)
        if self.clock.is_set:
            self.guarded(self.on_clock_set)()

    def _publish_and_listen(self) -> None:
        self._commands = self.publisher(m.MountCommand, 'mount/command')
        self._light = self.publisher(m.BeaconCommand, 'beacon/command')
        self._angles = self.publisher(m.PolarizationAngle, 'hwp/polarization_angle')
        self._states = self.publisher(m.SessionState, 'session/state')
        self._requests = CameraRequests(self)
        self.gather(m.MountState, 'mount/state', self._take_mount, NEWEST)
        self.gather(m.BeaconState, 'beacon/state', self._take_beacon, NEWEST)
        self.gather(m.SafetyStatus, 'safety/status', self._take_safety, NEWEST)
        for role in CameraRole:
            self.gather(
                m.Spot, f'{messages.frame_of(role)}/spot', lambda s: self._spots.append(messages.from_spot(s)), SENSOR
            )
        self.listen(UInt8, 'calibrator/busy', self._take_other_task, TRANSIENT_LOCAL)

    def _take_mount(self, message: m.MountState) -> None:
        first, self._mount = self._mount is None, messages.from_mount_state(message)
        if first:  # whoever has waited until the station is ready may ask for a pass
            self.heartbeat()

    def _take_beacon(self, message: m.BeaconState) -> None:
        self._beacon = messages.from_beacon_state(message)

    def _take_safety(self, status: m.SafetyStatus) -> None:
        self._safety = status

    def _take_other_task(self, message: UInt8) -> None:
        self._other_task = MountTask(message.data)

    @property
    def state_label(self) -> str:
        """Without the mount no pass can be taken."""
        return 'active' if self._mount is not None else 'waiting for the mount'

    # --- beginning and end ---

    def _accept(self, goal: Any) -> None:
        """Take a goal of the action or end it with the reason."""
        take_or_answer(goal, self._take_goal, lambda: self._goal is goal, lambda why: _result(Result.DEVICE_FAULT, why))

    def _take_goal(self, goal: Any) -> None:
        """Returns at once, since rclpy polls a waiting coroutine in a busy loop."""
        self.fetch()
        request, now_ns = goal.request, self.clock.now_ns()
        if self._run is not None or self._other_task is not MountTask.NONE:
            what = 'a pass' if self._run is not None else self._other_task.noun
            return conclude(goal, _result(Result.BUSY, f'{what} is under way'))
        if self._mount is None or now_ns - self._mount.stamp_ns > _READING_NS:
            return conclude(goal, _result(Result.NOT_READY, 'no state of the mount is received'))
        try:
            knowledge = self._knowledge()
        except StationError as error:
            return conclude(goal, _result(Result.NOT_READY, str(error)))
        at_ns = messages.from_time(request.at)
        name = request.session or unused_name(self.sessions_dir, session_name(at_ns, self._site.name))
        options = {'seed': int(self.options['seed']), 'scenario': self.text('scenario') or None}
        run = (options if self.simulated else {}) | {'calibration': knowledge.pointing.summary, KEY: PENDING}
        try:
            folder = session_path(self.sessions_dir, name)
            require_space(self.sessions_dir, self._station.storage.needed_mb)
            self._current.prepare(name, self.clock.identity)
            started = PassRun.begin(folder, at_ns, now_ns, knowledge, self.simulated, run)
            self._current.keep()
        except StationError as error:
            return conclude(goal, _result(Result.REFUSED, str(error)))
        self._goal = goal
        self._start(started)
        return None

    def _knowledge(self) -> Knowledge:
        settings = parameters.read(self, type(self._station.tracking), self._station.tracking, 'tracking')
        station = self._station.model_copy(update={'tracking': settings})
        pointing = load_pointing(self.state_dir)
        if pointing.coarse:
            raise StationError('the pointing is only roughly aligned', hint='run `qkd-gs calibrate`')
        return Knowledge(station, self._site, pointing, self.elements_path(), self._capability)

    def _start(self, run: PassRun) -> None:
        self._run, self._aborting = run, ''
        self._stated_ns, self._beacon_due, self._angle_due = 0, Due(_BEACON_NS), Due(_ANGLE_NS)
        self._feedback_due, self._keep_due = Due(_FEEDBACK_NS), Due(_KEEP_NS)
        self._start_ns, self._started_ns = self.clock.now_ns(), time.monotonic_ns()
        self._spots.clear()
        self._watch.clear()
        self._failing = 0
        self._timer = self.every(1 / self._station.tracking.control_rate_hz, self._attempt, self._watch)
        self.get_logger().info(f'{run.writer.manifest.satellite}: tracking the pass, session {run.writer.folder.name}')
        for note in run.notes:
            self.get_logger().warning(note)

    def _end(self, now_ns: int, code: int, why: str) -> None:
        """End the pass: first what moves and shines, then the goal's client, whatever goes wrong in between."""
        run, self._run = self._run, None
        assert run is not None
        self.cease(self._timer)
        self._stop_devices(now_ns)
        try:
            self._save(run, now_ns)
            self._current.forget()
        except StationError as error:
            code, why = Result.DEVICE_FAULT, str(error)
            self.get_logger().error(why)
        finally:
            self.recovered(_SESSION)
            self._publish_idle(now_ns)
            self.get_logger().info(f'{run.writer.folder.name}: {why or "the pass is over, the mount is parked"}')
            goal, self._goal = self._goal, None
            if goal is not None:
                locked_s = sum(span.end_ns - span.start_ns for span in run.locked) * 1e-9
                conclude(goal, _result(code, why, run.writer.folder.name, locked_s))

    def _save(self, run: PassRun, now_ns: int) -> None:
        self._writer.submit(lambda: None).result()  # no older manifest is written after the final one
        loop = self._watch.figures()
        figures = {
            'control_hz': 1 / self._watch.period_s,
            'steps': loop.steps,
            'missed_share': round(loop.missed_share, 5),
            'period_ms': list(loop.period_ms),
            'latency_ms': list(loop.latency_ms),
            'busy_ms': list(loop.busy_ms),
            'speed': round((now_ns - self._start_ns) / (time.monotonic_ns() - self._started_ns), 3),
        }
        pass_s = (now_ns - parse_utc(run.writer.manifest.created_utc, 'created_utc')) * 1e-9
        run.close(run={'loop': figures, 'pass_s': pass_s} | run.light.part())

    def _cancel(self, goal: Any) -> CancelResponse:
        """Abort the pass of this goal; one that is over, or whose tracker has died, is not that of the present pass."""
        if self._goal is None or goal.goal_id != self._goal.goal_id:
            return CancelResponse.REJECT
        self._abort(BY_OPERATOR)
        return CancelResponse.ACCEPT

    def _abort_asked(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Abort like cancelling the action, for a pass whose goal was lost when this process restarted."""
        self._abort_at_once = not self._tried_to_resume
        response.success = self._run is not None or self._abort_at_once
        if self._abort_at_once:
            response.message = 'a pass that was under way ends once station time is known'
        else:
            response.message = 'beacon off, moving to the park position' if response.success else 'no pass is under way'
        self._abort(BY_OPERATOR)
        return response

    def _abort(self, why: str) -> None:
        if self._run is not None and not self._aborting:
            self._aborting = why
            self._run.tracker.abort()

    def on_clock_set(self) -> None:
        """Resume a pass that was under way when this process died."""
        if self._tried_to_resume or not self.clock.is_set:
            return
        self._tried_to_resume = True
        try:
            folder = self._current.folder(self.clock.identity)
        except StationError as error:
            self.get_logger().error(f'no pass is resumed: {error}')
            return
        if not folder:
            return
        try:
            run = PassRun.resume(self.sessions_dir / folder, self._knowledge())
        except StationError as error:
            self.get_logger().error(f'{folder}: not resumed: {error}')
            self._current.forget()
            return
        if self.clock.now_ns() < run.end_ns:
            self.get_logger().warning(f'{folder}: resumed after a crash')
            self._start(run)
            if self._abort_at_once:
                self._abort(BY_OPERATOR)
        else:
            self._current.forget()

    # --- the loop ---

    def _attempt(self, now_ns: int) -> None:
        """One step; errors are told, and the next step may do better, but nobody waits for a pass that only fails."""
        try:
            self._step(now_ns)
            self._failing = 0
        except Exception as error:
            self._failing += 1
            if self._failing < _MOST_FAILING:
                raise
            self.get_logger().error(traceback.format_exc())
            self._end(now_ns, Result.DEVICE_FAULT, in_words(error))

    def _step(self, now_ns: int) -> None:
        run = self._run
        if run is None or self._mount is None:
            return
        spots = tuple(self._spots)
        self._spots.clear()
        beacon = self._beacon or BeaconReading(now_ns, False, nan, False)
        outputs = run.step(now_ns, TrackerInputs(self._mount, beacon, spots))
        if outputs.mount is not None:
            self._commands.publish(messages.mount_command(outputs.mount, m.MountCommand.TRACKER))
            fresh = [spot.stamp_ns for spot in spots if spot.camera is CameraRole.TRACKING]
            if fresh:
                self._watch.latency((self.clock.now_ns() - fresh[-1]) * 1e-9)
        self._publish(now_ns, run, outputs)
        if run.done:
            locked = bool(run.locked)
            code = Result.ABORTED if self._aborting else Result.DONE if locked else Result.NO_LOCK
            why = self._aborting or ('' if locked else 'the satellite was never locked')
            self._end(now_ns, code, why)
        elif self._keep_due.now(now_ns):
            self._keep(run)

    def _keep(self, run: PassRun) -> None:
        """Update the manifest in the background; a disk that is still busy with the last update is given time."""
        if self._kept is not None:
            if not self._kept.done():
                return
            kept, self._kept = self._kept, None
            try:
                kept.result()
                self.recovered(_SESSION)
            except StationError as error:  # tracking goes on without it
                self.degraded(_SESSION, str(error))
        self._kept = self._writer.submit(run.keep)

    def _publish(self, now_ns: int, run: PassRun, outputs: TrackerOutputs) -> None:
        if self._beacon_due.now(now_ns):
            if (status := self._safety) is not None:
                run.light.step(now_ns, outputs.beacon_on, status.light_permitted, tuple(status.reasons.split()))
            self._light.publish(messages.beacon_command(now_ns, outputs.beacon_on))
        if self._angle_due.now(now_ns):
            follow = outputs.phase not in (Phase.IDLE, *OVER)
            stamp_ns = self._mount.stamp_ns if self._mount is not None else now_ns
            angle = outputs.polarization_angle_rad, outputs.polarization_rate_rad_s
            self._angles.publish(messages.polarization_angle(*angle, stamp_ns, follow))
        self._requests.ask(now_ns, CameraRole.GUIDING, outputs.guiding)
        self._requests.ask(now_ns, CameraRole.TRACKING, outputs.tracking)
        if outputs.error_x_urad == outputs.error_x_urad or now_ns - self._stated_ns >= _STATE_NS:
            self._stated_ns = now_ns
            manifest, folder = run.writer.manifest, run.writer.folder.name
            self._states.publish(
                messages.session_state(
                    now_ns, outputs, manifest.session_id, folder, manifest.satellite, manifest.simulated
                )
            )
        if self._goal is not None and self._feedback_due.now(now_ns):
            self._goal.publish_feedback(self._feedback(now_ns, run, outputs))

    def _feedback(self, now_ns: int, run: PassRun, outputs: TrackerOutputs) -> Any:
        until_s = (run.start_ns - now_ns) * 1e-9
        message = outputs.phase.name.lower()
        if outputs.phase is Phase.WAIT:
            message = f'armed, {run.writer.manifest.satellite} rises in {until_s:.0f} s'
        reading = self._mount
        return Feedback(
            phase=int(outputs.phase),
            message=message,
            until_start_s=until_s,
            el_rad=run.tracker.line_of_sight_el_rad(reading) if reading is not None else nan,
            error_x_urad=outputs.error_x_urad,
            error_y_urad=outputs.error_y_urad,
        )

    def _publish_idle(self, now_ns: int) -> None:
        if self._run is None:
            idle = TrackerOutputs(Phase.IDLE, None, False, nan, nan, None, None, nan, nan, nan, nan)
            self._states.publish(messages.session_state(now_ns, idle, '', '', '', self.simulated))

    def _stop_devices(self, now_ns: int) -> None:
        """Switch the beacon off and stop both cameras."""
        self._light.publish(messages.beacon_command(now_ns, False))
        self._requests.stop(now_ns)

    def wind_down(self) -> None:
        """Switch the beacon off and move towards the park position."""
        self._abort('the station was stopped')
        self.guarded(self._current.forget)()

    @property
    def may_end(self) -> bool:
        """Whether the mount is parked."""
        return self._run is None

    def finish(self) -> None:
        """The process ends: switch the beacon off."""
        self._stop_devices(self.clock.now_ns())
        self._writer.shutdown()


def _result(code: int, why: str, folder: str = '', locked_s: float = 0.0) -> Any:
    return Result(error_code=code, error_msg=why, folder=folder, locked_s=locked_s)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(TrackerNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
