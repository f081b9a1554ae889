"""Client that commands a running station; not a node of the station."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan
from typing import Any

from rclpy.action.client import ActionClient
from std_srvs.srv import Trigger

from qkd_gs.action import Calibrate, TrackPass
from qkd_gs.errors import StationError
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.listener import StationListener
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import ABORT_PASS
from qkd_gs.tracking.types import Phase

_FIND_S = 5.0
_STEP_S = 0.2
_GONE_S = 15.0  # a tracker that died is restarted within seconds
_RESULTS = ('DONE', 'REFUSED', 'BUSY', 'NOT_READY', 'ABORTED', 'DEVICE_FAULT', 'NO_LOCK', 'FAILED')


class Operator(StationListener):
    """Client of the station's actions, for one operator."""

    def track(self, at_ns: int, session: str, show: Callable[[Snapshot, str], None], step_s: float = _STEP_S) -> Any:
        """Track a pass, and wait until the mount is parked.

        Parameters
        ----------
        at_ns : int
            UTC; the pass whose culmination is nearest is tracked.
        session : str
            Name of the session's folder; empty: the station chooses one.
        show : callable
            Called with the status of the station and the tracker's message, every `step_s`.
        step_s : float
            Of real time.

        Returns
        -------
        TrackPass.Result

        Raises
        ------
        StationError
            No station, or it refuses; with the reason.
        """
        goal = TrackPass.Goal(at=messages.to_time(at_ns), session=session)
        return self._do(TrackPass, 'track_pass', goal, show, step_s)

    def calibrate(self, stars: int, show: Callable[[Snapshot, str], None]) -> Any:
        """Calibrate the pointing.

        Raises
        ------
        StationError
            No station, or the calibration failed; with the reason.
        """
        return self._do(Calibrate, 'calibrate', Calibrate.Goal(stars=stars), show)

    def _do(
        self, kind: Any, name: str, goal: Any, show: Callable[[Snapshot, str], None], step_s: float = _STEP_S
    ) -> Any:
        sentence = ['']

        def feedback(message: Any) -> None:
            sentence[0] = message.feedback.message

        with self._client(kind, name) as client:
            handle = self._wait(client.send_goal_async(goal, feedback_callback=feedback), _FIND_S)
            if handle is None or not handle.accepted:
                raise StationError(f'the station does not accept {name}', hint='is its tracker running?')
            future = handle.get_result_async()
            try:
                result = self._until_done(future, show, sentence, step_s)
            except KeyboardInterrupt:
                canceled = self._wait(handle.cancel_goal_async(), _FIND_S)
                if canceled is None or not canceled.goals_canceling:
                    self._abort_pass()  # the tracker that accepted the goal has died; its pass continues
                show(self.listen(0.0), 'stopping: beacon off, moving to the park position')
                result = self._until_done(future, show, sentence, step_s)
        if result.error_code:
            names = {getattr(kind.Result, code): code for code in _RESULTS if hasattr(kind.Result, code)}
            raise StationError(f'{result.error_msg} ({names[result.error_code]})', where=name)
        return result

    def _until_done(
        self, future: Any, show: Callable[[Snapshot, str], None], sentence: list[str], step_s: float
    ) -> Any:
        """Wait for a result; a server that died and was restarted has lost the goal, but publishes its state."""
        quiet_since_s: float | None = None
        busy = False
        while not future.done():
            snapshot = self.listen(step_s)
            show(snapshot, sentence[0])
            if all(node.heartbeat_age_s is None or node.heartbeat_age_s > _GONE_S for node in snapshot.nodes):
                raise StationError('the station is gone', hint='a pass that was under way continues when it is back')
            in_pass = snapshot.session is not None and snapshot.session.phase is not Phase.IDLE
            busy = busy or in_pass
            if in_pass or not busy:
                quiet_since_s = None
            elif quiet_since_s is None:
                quiet_since_s = time.monotonic()
            elif time.monotonic() - quiet_since_s > _GONE_S:
                return _LostGoal()
        return future.result().result

    def _abort_pass(self) -> None:
        client = self._node.create_client(Trigger, ABORT_PASS)
        try:
            until_s = time.monotonic() + _FIND_S
            while not client.service_is_ready() and time.monotonic() < until_s:
                self.listen(_STEP_S)
            self._wait(client.call_async(Trigger.Request()), _FIND_S)
        finally:
            self._node.destroy_client(client)

    def _wait(self, future: Any, patience_s: float) -> Any:
        until_s = time.monotonic() + patience_s
        while not future.done() and time.monotonic() < until_s:
            self.listen(_STEP_S)
        return future.result() if future.done() else None

    @contextmanager
    def _client(self, kind: Any, name: str) -> Iterator[Any]:
        client = ActionClient(self._node, kind, name)
        try:
            until_s = time.monotonic() + _FIND_S
            while not client.server_is_ready():
                if time.monotonic() > until_s:
                    raise StationError(
                        f'no station answers to {name}', hint='start one with `qkd-gs up`, in the same ROS_DOMAIN_ID'
                    )
                self.listen(_STEP_S)
            yield client
        finally:
            client.destroy()


class _LostGoal:
    """Result of a goal whose server was restarted: the pass continued and is over."""

    error_code = 0
    error_msg = ''
    folder = ''


def sentence_of(snapshot: Snapshot, said: str) -> str:
    """One-line status of a pass under way."""
    session = snapshot.session
    parts = [snapshot.readiness.sentence or said]
    if session is not None and session.phase is Phase.FINE and not isnan(snapshot.spot.rms_x_urad):
        parts.append(f'spot {snapshot.spot.rms_x_urad:.1f} / {snapshot.spot.rms_y_urad:.1f} urad')
    if snapshot.counts is not None:
        parts.append(f'{sum(snapshot.counts.counts[:4])} photons/s, {snapshot.counts.counts[4]} sync/s')
    return '  '.join(parts)
