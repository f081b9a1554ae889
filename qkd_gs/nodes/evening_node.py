"""Evening node: the action `tonight` does the work of an evening by the actions of the other nodes.

It moves nothing itself: whatever becomes of this process, tracker and calibrator end what they do, and mount and beacon
stop without them.
"""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from sensor_msgs.msg import NavSatFix, TimeReference
from std_msgs.msg import UInt8
from std_srvs.srv import Trigger

import qkd_gs.msg as m
from qkd_gs.action import Tonight
from qkd_gs.devices.mount import MountReading
from qkd_gs.errors import StationError
from qkd_gs.evening.choice import LEAST_BITS, choose_passes
from qkd_gs.evening.dawn import dark_from_ns, next_dawn_ns
from qkd_gs.evening.evening import Evening
from qkd_gs.evening.heard import Choose, End, Heard, WeatherWatch
from qkd_gs.evening.journal import Journal, new_journal, unfinished_journal
from qkd_gs.evening.sequence import EveningSequence, Progress, Status
from qkd_gs.evening.station_steps import StationFiles, StationSteps
from qkd_gs.evening.steps import require_skippable, steps_of
from qkd_gs.monitoring.health import EVENING
from qkd_gs.monitoring.status_collector import StatusCollector
from qkd_gs.nodes.clients.station_asks import StationAsks
from qkd_gs.nodes.conversions import messages, monitoring
from qkd_gs.nodes.runtime.actions import conclude, take_or_answer
from qkd_gs.nodes.runtime.base import ABORT_EVENING, BY_OPERATOR, CoreNode
from qkd_gs.nodes.runtime.context import site_of, station_of
from qkd_gs.nodes.runtime.gathered import NEWEST
from qkd_gs.nodes.runtime.process import run
from qkd_gs.nodes.runtime.qos import DEEP, TRANSIENT_LOCAL
from qkd_gs.orbit.elements import load_elements
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.station.graph import nodes_of
from qkd_gs.station.loop_timing import Due
from qkd_gs.tracking.record.current_pass import OF_AN_EVENING, CurrentPass
from qkd_gs.tracking.types import MountTask

_STEP_S = 0.2
_FEEDBACK_NS = 10**9
_JOURNAL = 'evening.journal'  # fault: the journal is not kept
Result, Feedback = Tonight.Result, Tonight.Feedback


class EveningNode(CoreNode):
    """Performs one evening at a time; resumes it after a crash."""

    name = 'evening'

    def __init__(self) -> None:
        super().__init__()
        self._station, self._site = station_of(self), site_of(self)
        self._elements = load_elements(self.elements_path())
        self._current = CurrentPass(self.state_dir, OF_AN_EVENING)
        self._nodes = tuple(spec.name for spec in nodes_of(self.simulated, bool(self.options['record'])))
        files = StationFiles(self._site, self._station, self.state_dir, self.sessions_dir, self._nodes)
        self._steps = StationSteps(files)
        self._left_behind = False  # what a process that died has asked for may go on
        self._ends_behind = False  # that is ended
        self._sequence: EveningSequence[Heard] | None = None
        self._goal: Any = None
        self._early: list[Any] = []  # goals that came before station time was known
        self._tried_to_resume = self._abort_at_once = False
        self._said = ''
        self._board = StatusCollector()
        self._mount: MountReading | None = None  # while an evening is under way; it comes a hundred times a second
        self._mount_states: Any = None
        self._fix: NavSatFix | None = None
        self._pps: TimeReference | None = None
        self._task: MountTask | None = None  # of the calibrator; None: not heard yet
        self._reasons: tuple[str, ...] = ()
        self._asks = StationAsks(self, self._choose)
        self._listen()
        self._server = ActionServer(
            self,
            Tonight,
            'tonight',
            lambda goal: None,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            handle_accepted_callback=self.guarded(self._accept),
            cancel_callback=self._cancel,
        )
        self.create_service(Trigger, ABORT_EVENING, self._abort_asked)
        self.every(_STEP_S, self._step)
        if self.clock.is_set:
            self.guarded(self.on_clock_set)()

    def _listen(self) -> None:
        board = self._board
        self.gather(DiagnosticArray, '/diagnostics', self._take_heartbeats, DEEP, raw=True)
        self.listen(DiagnosticStatus, 'readiness', self._take_readiness, TRANSIENT_LOCAL)
        self.listen(
            m.NextPass, 'next_pass', lambda got: board.update_coming(messages.from_next_pass(got)), TRANSIENT_LOCAL
        )
        self.listen(
            m.KeyState, 'key/state', lambda got: board.update_key(monitoring.from_key_state(got)), TRANSIENT_LOCAL
        )
        self.listen(UInt8, 'calibrator/busy', self._take_task, TRANSIENT_LOCAL)
        self.listen(NavSatFix, 'gps/fix', self._take_fix)
        self.listen(TimeReference, 'gps/time', self._take_pps)
        self.gather(
            m.SessionState,
            'session/state',
            lambda got: board.update_session(monitoring.from_session_state(got)),
            NEWEST,
        )
        self.gather(m.SafetyStatus, 'safety/status', self._take_safety, NEWEST)

    def _take_heartbeats(self, data: bytes) -> None:
        for health in monitoring.from_diagnostics(data, self.get_namespace()):
            self._board.update_node(health, time.monotonic())

    def _take_readiness(self, message: DiagnosticStatus) -> None:
        self._board.update_readiness(monitoring.from_readiness(message), time.monotonic())

    def _take_task(self, message: UInt8) -> None:
        self._task = MountTask(message.data)

    def _take_fix(self, message: NavSatFix) -> None:
        self._fix = message

    def _take_pps(self, message: TimeReference) -> None:
        self._pps = message

    def _take_mount(self, message: m.MountState) -> None:
        self._mount = messages.from_mount_state(message)

    def _take_safety(self, message: m.SafetyStatus) -> None:
        self._reasons = tuple(message.reasons.split())

    # --- beginning ---

    def _accept(self, goal: Any) -> None:
        take_or_answer(goal, self._take_goal, lambda: self._goal is goal, lambda why: _result(Result.FAILED, why))

    def _take_goal(self, goal: Any) -> None:
        """Begin an evening, go on with an unfinished one, or go on watching the one under way."""
        request, now_ns = goal.request, self.clock.now_ns()
        if not self.clock.is_set:
            self._early.append(goal)
            return goal.publish_feedback(Feedback(message='waits until station time is known'))
        if goal.is_cancel_requested:
            return conclude(goal, _result(Result.ABORTED, BY_OPERATOR))
        if self._sequence is not None and (request.anew or self._sequence.aborting):
            ending = 'is being ended' if self._sequence.aborting else 'is under way: `qkd-gs tonight --abort` ends it'
            return conclude(goal, _result(Result.BUSY, f'an evening {ending}'))
        try:
            skip, repeat = require_skippable(steps_of(request.skip)), steps_of(request.repeat)
            journal = self._journal(request, now_ns) if self._sequence is None else None
        except StationError as error:
            return conclude(goal, _result(Result.REFUSED, str(error)))
        try:
            if journal is not None:
                self._begin(journal, now_ns)
        except StationError as error:
            return conclude(goal, _result(Result.FAILED, str(error)))
        before, self._goal = self._goal, goal
        assert self._sequence is not None
        self._sequence.evening.skip(skip)
        self._sequence.evening.repeat(repeat)
        if request.least_bits:
            self._sequence.evening.expect(request.least_bits)
        if before is not None:
            conclude(before, _result(Result.BUSY, 'another operator goes on with the evening'))
        return None

    def _journal(self, request: Any, now_ns: int) -> Journal:
        """The journal to go on with, or a new one.

        Raises
        ------
        StationError
            A damaged one, a time that has gone by, or no dawn.
        """
        found = None if request.anew else unfinished_journal(self.state_dir, self._site, now_ns, self.simulated)
        if found is not None:
            return found
        until_ns = messages.from_time(request.until) or next_dawn_ns(self._site, now_ns)
        if until_ns <= now_ns:
            raise StationError(f'{format_utc(until_ns, 0)} has gone by: station time is {format_utc(now_ns, 0)}')
        return new_journal(self._site, now_ns, until_ns, self.simulated, request.least_bits or LEAST_BITS)

    def _begin(self, journal: Journal, now_ns: int) -> None:
        """Write the journal and the note that an evening is under way, and begin.

        Raises
        ------
        StationError
            They cannot be written, or the sky is not dark within a day.
        """
        self._dark_ns = dark_from_ns(self._site, now_ns)
        journal.save(self.state_dir)
        self._current.prepare(journal.path(self.state_dir).name, self.clock.identity)
        self._current.keep()
        shutter = self._station.enclosure.shutter.watch
        self._weather = WeatherWatch(self._station.enclosure.weather.settle_s if shutter else 0.0)
        self._feedback_due = Due(_FEEDBACK_NS)
        self._said = ''
        self._ends_behind = False  # what moves from now on may be this evening's own
        self._mount_states = self.gather(m.MountState, 'mount/state', self._take_mount, NEWEST)
        self._sequence = EveningSequence(Evening(journal, self._save), self._steps.perform)
        self.get_logger().info(f'evening of {journal.begun_utc}, until {journal.until_utc}')

    def _save(self, journal: Journal) -> None:
        """Keep the journal; the evening goes on without it, as on a full disk."""
        try:
            journal.save(self.state_dir)
            self.recovered(_JOURNAL)
        except StationError as error:
            self.degraded(_JOURNAL, str(error))

    def on_clock_set(self) -> None:
        """Resume an evening that was under way when this process died, and take what was asked for before."""
        if self._tried_to_resume or not self.clock.is_set:
            return
        self._tried_to_resume = True
        try:
            self._resume()
        except StationError as error:
            self.get_logger().error(f'no evening is resumed: {error}')
        while self._early:
            self._accept(self._early.pop(0))

    def _resume(self) -> None:
        if self._sequence is not None or not self._current.folder(self.clock.identity):
            return
        now_ns = self.clock.now_ns()
        journal = unfinished_journal(self.state_dir, self._site, now_ns, self.simulated, late=True)
        if journal is None:
            self._current.forget()
            return
        self.get_logger().warning('resumed after a crash')
        self._begin(journal, now_ns)
        self._left_behind = True
        if self._abort_at_once:
            self._abort(BY_OPERATOR)

    # --- the evening ---

    def _choose(self, what: Choose) -> list[dict[str, Any]]:
        return choose_passes(self._elements, self._site, self._station, what.measured, what.span_ns, what.least_bits)

    def _heard(self, now_ns: int) -> Heard:
        snapshot = self._board.snapshot(now_ns, time.monotonic(), self.clock.speed)
        self._asks.step(snapshot)
        return Heard(
            snapshot,
            self._weather.step(now_ns, self._reasons),
            self._dark_ns,
            self._task or MountTask.NONE,
            messages.from_gps(self._fix, self._pps) if self._fix is not None and self._pps is not None else None,
            self._mount,
            self._asks.said,
            self._asks.answer,
            self._asks.chosen,
        )

    def _step(self, now_ns: int) -> None:
        sequence = self._sequence
        if sequence is None and not self._ends_behind:
            return self._asks.keep_ending()
        heard = self._heard(now_ns)
        if self._left_behind:
            self._look_behind(heard)
        if sequence is None:
            return None
        progress = sequence.advance(now_ns, heard, heard.conditions)
        if progress.ask is not None:
            self._asks.ask(progress.ask)
        self._tell(now_ns, sequence, progress)
        if progress.status is not Status.GOES_ON:
            self._end(progress)
        return None

    def _look_behind(self, heard: Heard) -> None:
        """An abort also ends what a process that died has asked for, when it is heard, though the evening has ended."""
        if heard.moving is not None and self._ends_behind:
            self._asks.ask(End(heard.moving))
        elif (
            heard.moving is not None or self._task is None or not (heard.snapshot.session and heard.works(self._nodes))
        ):
            return  # it goes on, or not everybody was heard yet
        self._left_behind = self._ends_behind = False

    def _tell(self, now_ns: int, sequence: EveningSequence[Heard], progress: Progress) -> None:
        changed = progress.sentence != self._said
        if changed and (progress.ended is not None or progress.status is not Status.GOES_ON or not progress.step):
            self.get_logger().info(progress.sentence)
        self._said = progress.sentence
        self.metrics = {EVENING: progress.sentence}
        if self._goal is not None and (changed or self._feedback_due.now(now_ns)):
            self._goal.publish_feedback(
                Feedback(message=progress.sentence, step=progress.step, share=float(sequence.share))
            )

    def _end(self, progress: Progress) -> None:
        sequence, self._sequence = self._sequence, None
        assert sequence is not None
        self.gather_no_more(self._mount_states)
        self._mount = None
        self._asks.forget()
        self.metrics = {}
        self.guarded(self._current.forget)()
        self.recovered(_JOURNAL)
        goal, self._goal = self._goal, None
        if goal is None:
            return
        over = progress.status is Status.OVER
        result = _result(Result.DONE if over else Result.ABORTED, '' if over else progress.sentence)
        result.summary = progress.sentence
        result.journal = str(sequence.evening.journal.path(self.state_dir))
        conclude(goal, result)

    # --- its end ---

    def _abort(self, why: str) -> None:
        """End the step under way; a process that dies meanwhile does not go on with the evening."""
        if self._sequence is not None:
            self._sequence.abort(why)
            self._ends_behind = self._left_behind
            self.guarded(self._current.forget)()

    def _cancel(self, goal: Any) -> CancelResponse:
        """Abort the evening of this goal; one that is over, or whose process has died, is not the present one."""
        if any(goal.goal_id == early.goal_id for early in self._early):
            return CancelResponse.ACCEPT
        if self._goal is None or goal.goal_id != self._goal.goal_id:
            return CancelResponse.REJECT
        self._abort(BY_OPERATOR)
        return CancelResponse.ACCEPT

    def _abort_asked(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Abort like cancelling the action, for an evening whose client or goal is gone."""
        self._abort_at_once = not self._tried_to_resume
        response.success = self._sequence is not None or self._abort_at_once
        if self._abort_at_once:
            response.message = 'an evening that was under way ends once station time is known'
        else:
            response.message = 'the step under way is ended' if response.success else 'no evening is under way'
        self._abort(BY_OPERATOR)
        return response

    def wind_down(self) -> None:
        """The station is stopped: end the step under way."""
        self._abort('the station was stopped')

    @property
    def may_end(self) -> bool:
        """Whether no step is under way."""
        return self._sequence is None


def _result(code: int, why: str) -> Any:
    return Result(error_code=code, error_msg=why)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run(EveningNode, arguments)


if __name__ == '__main__':
    raise SystemExit(main())
