"""A goal of an action as something to look at again and again: nothing blocks, so a node can ask another one."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from action_msgs.msg import GoalStatus
from rclpy.action.client import ClientGoalHandle
from std_srvs.srv import Trigger

from qkd_gs.evening.heard import LOST, Answer
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.server import Server
from qkd_gs.nodes.runtime.base import ABORT_PASS

_CODES = ('DONE', 'REFUSED', 'BUSY', 'NOT_READY', 'ABORTED', 'DEVICE_FAULT', 'NO_LOCK', 'FAILED')
_TRACK = 'track_pass'
_OVER = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED)
_AGAIN = 5  # looks at a goal that is over or may be forgotten, until its result is asked for once more


class ActionCall:
    """One goal: sent when its server is there, ended when it is asked to be, and followed to its end.

    A tracker that dies goes on with its pass when it is back, so the end of that is waited for.  Another server that
    has died has forgotten the goal: its successor says so when it is asked for the result.  Its heartbeat is no proof,
    since the goal may have been given to the successor before that was heard, even before it was answered.  The result
    of a goal whose status says that it is over is asked for again, since the answer to the first question may have been
    lost on a busy machine.

    Parameters
    ----------
    node : Node
        Whoever asks.
    client : ActionClient
        Of the action, of the same node.
    kind, name, goal : Any
        Of the action.
    """

    def __init__(self, node: Any, client: Any, kind: Any, name: str, goal: Any) -> None:
        self._node, self._client, self._kind, self.name, self._goal = node, client, kind, name, goal
        self._server = Server(name)
        self._id = kind.Impl.SendGoalService.Request().goal_id
        self._id.uuid = list(uuid4().bytes)
        self._sent: Any = None
        self._handle: Any = None
        self._unanswered = False  # another process was heard before the goal was answered
        self._unknown = False  # to the process that was asked for its result
        self._results: list[Any] = []  # one for each time that it was asked for
        self._looks = 0  # at a goal that is over or may be forgotten, since then
        self.ending = False
        self._canceled: Any = None
        self._aborter: Any = None  # client of `ABORT_PASS`, once it is needed
        self._told_pid = 0  # the process that was told to abort
        self._folder = ''
        self.said = f'waiting until the station takes {name}'

    @property
    def sent(self) -> bool:
        """Whether the goal is on its way."""
        return self._sent is not None

    @property
    def accepted(self) -> bool:
        """Whether the server has taken the goal."""
        return self._handle is not None

    @property
    def _resumes(self) -> bool:
        """Whether a server that dies goes on with the goal when it is back."""
        return self.name == _TRACK

    @property
    def _died(self) -> str:
        return f'the {self._server.name} has died before it {"answered" if self._unanswered else "was done"}'

    def end(self) -> None:
        """End it; its answer comes when it has ended."""
        if not self.ending:
            self.ending = True
            if self._handle is not None and not (self._server.restarted and self._resumes):
                self._canceled = self._handle.cancel_goal_async()

    def close(self) -> None:
        """Ask no more."""
        if self._aborter is not None:
            self._node.destroy_client(self._aborter)

    def step(self, snapshot: Snapshot) -> Answer | None:
        """Look at it; the answer, or None as long as there is none.

        Parameters
        ----------
        snapshot : Snapshot
            With the heartbeats of the station, and with the state of the tracker.
        """
        self._server.see(snapshot)
        if self._sent is None:
            return self._send()
        if self._handle is None:
            answer = self._take()
            if answer is not None or self._handle is None:
                return answer
        answered = self._answered(snapshot.now_ns)
        if answered is not None:
            return answered
        if snapshot.session is not None:
            self._folder = snapshot.session.folder or self._folder
        if self._resumes and self._server.has_forgotten(snapshot) and (self._unknown or not self._unanswered):
            begun = self._folder or not self._unanswered
            return Answer('DONE', '', {'folder': self._folder}) if begun else Answer(LOST, self._died)
        if self.ending:
            self._keep_ending()
        return None

    def _answered(self, now_ns: int) -> Answer | None:
        for asked in [one for one in self._results if one.done()]:
            self._results.remove(asked)
            response = asked.result()
            if response.status != GoalStatus.STATUS_UNKNOWN:
                return self._of(response.result)
            if self._handle.status in _OVER:
                return Answer(LOST, f'the {self._server.name} does not know any more how it ended')
            if not self._resumes:
                return Answer(LOST, self._died)
            self._unknown = True
            self._server.is_another(now_ns)
        may_be_lost = not self._unknown and (self._unanswered or not self._resumes)
        if self._handle.status in _OVER or (self._server.restarted and may_be_lost):
            self._looks += 1
            if self._looks % _AGAIN == 1:
                self._results.append(self._handle.get_result_async())
        return None

    def _send(self) -> Answer | None:
        if self.ending:
            return Answer('ABORTED', 'ended before the station has taken it')
        if self._client.server_is_ready() and self._server.pid:
            self._sent = self._client.send_goal_async(self._goal, feedback_callback=self._hear, goal_uuid=self._id)
        return None

    def _hear(self, message: Any) -> None:
        self.said = message.feedback.message

    def _take(self) -> Answer | None:
        """See whether the server has taken the goal; a successor may have, so it is asked for the result."""
        if self._sent.done():
            handle = self._sent.result()
        elif self._server.restarted:
            self._unanswered = True
            taken = self._kind.Impl.SendGoalService.Response(accepted=True)
            handle = ClientGoalHandle(self._client, self._id, taken)
        else:
            return None
        if not handle.accepted:
            return Answer('REFUSED', f'the station does not take {self.name}')
        self._handle = handle
        self._results.append(handle.get_result_async())
        if self.ending:
            self._canceled = handle.cancel_goal_async()
        return None

    def _keep_ending(self) -> None:
        """Without a server that has obeyed (it had died, or another one does not know the goal), abort the pass."""
        canceled = self._canceled
        asked = not self._server.restarted and canceled is not None
        if asked and (not canceled.done() or canceled.result().goals_canceling):
            return
        if not self._resumes or self._told_pid == self._server.pid:
            return
        if self._aborter is None:
            self._aborter = self._node.create_client(Trigger, ABORT_PASS)
        if self._aborter.service_is_ready():
            self._told_pid = self._server.pid
            self._aborter.call_async(Trigger.Request())

    def _of(self, result: Any) -> Answer:
        names = {getattr(self._kind.Result, code): code for code in _CODES if hasattr(self._kind.Result, code)}
        values = {name: getattr(result, name) for name in result.get_fields_and_field_types()}
        sentence = values.pop('error_msg')
        code = names[values.pop('error_code')]
        return Answer(code, sentence or str(values.get('summary', '')), values)
