"""Does what the evening asks for: actions of other nodes without blocking, and the choice of passes in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.action.client import ActionClient
from std_srvs.srv import Trigger

from qkd_gs.action import Calibrate, Observe, Park, TrackPass
from qkd_gs.errors import StationError
from qkd_gs.evening.heard import Action, Answer, Ask, Choose, End
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.action_call import ActionCall
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import ABORT_PASS
from qkd_gs.nodes.runtime.in_thread import InThread

Choice = list[dict[str, Any]] | StationError
_KINDS: dict[Action, Any] = {
    Action.CALIBRATE: Calibrate,
    Action.OBSERVE: Observe,
    Action.TRACK: TrackPass,
    Action.PARK: Park,
}
_OF_THE_CALIBRATOR = (Action.CALIBRATE, Action.OBSERVE, Action.PARK)


class StationAsks:
    """One thing at a time: what is asked for last is what `answer` and `chosen` tell of.

    Parameters
    ----------
    node : Node
        Whoever asks.
    choose : callable
        Forecasts and chooses passes; called in a thread of its own, because it takes seconds.
    """

    def __init__(self, node: Any, choose: Callable[[Choose], list[dict[str, Any]]]) -> None:
        self._node, self._choose = node, choose
        self._clients = {action: ActionClient(node, kind, str(action)) for action, kind in _KINDS.items()}
        cancel = {action: f'{action}/_action/cancel_goal' for action in _OF_THE_CALIBRATOR}
        self._cancelers = {action: node.create_client(CancelGoal, name) for action, name in cancel.items()}
        self._aborter = node.create_client(Trigger, ABORT_PASS)
        self._call: ActionCall | None = None
        self._ending: Action | None = None  # what others have asked for is ended, as soon as it can be
        self._choosing: InThread[list[dict[str, Any]]] | None = None
        self.answer: Answer | None = None

    def ask(self, what: Ask | End | Choose) -> None:
        """Take what a performance asks for."""
        if isinstance(what, Choose):
            self._choosing = InThread('the forecast', lambda: self._choose(what))
        elif isinstance(what, End):
            self._end(what.action)
        else:
            self._begin(what)

    @property
    def said(self) -> str:
        """Progress of the action asked for last."""
        return self._call.said if self._call is not None else ''

    @property
    def chosen(self) -> Choice | None:
        """Result of the choice asked for last; None: it goes on."""
        return self._choosing.result if self._choosing is not None else None

    def step(self, snapshot: Snapshot) -> None:
        """Look whether there is an answer."""
        self.keep_ending()
        if self._call is not None:
            self.answer = self._call.step(snapshot)
            if self.answer is not None:
                self.forget()

    def keep_ending(self) -> None:
        """End what others have asked for, if that could not be done yet."""
        if self._ending is not None and self._end_of_others(self._ending):
            self._ending = None

    def forget(self) -> None:
        """The answer is not waited for any more."""
        if self._call is not None:
            self._call.close()
            self._call = None

    def _begin(self, what: Ask) -> None:
        self.forget()
        kind, goal = _KINDS[what.action], _KINDS[what.action].Goal()
        if what.action is Action.TRACK:
            goal.at = messages.to_time(what.at_ns)
        elif what.action is Action.OBSERVE:
            assert what.kind is not None
            goal.task = int(what.kind)
        self.answer, self._ending = None, None
        self._call = ActionCall(self._node, self._clients[what.action], kind, str(what.action), goal)

    def _end(self, action: Action) -> None:
        if self._call is not None and self._call.name == action:
            self._call.end()
        else:
            self._ending = action
            self.keep_ending()

    def _end_of_others(self, action: Action) -> bool:
        """Cancel every goal of an action, of whichever client; whether it could be asked for."""
        if action is Action.TRACK:
            if not self._aborter.service_is_ready():
                return False
            self._aborter.call_async(Trigger.Request())
            return True
        if not self._cancelers[action].service_is_ready():
            return False
        self._cancelers[action].call_async(CancelGoal.Request())  # neither goal nor time: all of them
        return True
