"""Client that commands a running station; not a node of the station."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from qkd_gs.station.signals import signals_afterwards
from qkd_gs.tracking.types import Phase

_STEP_S = 0.2
_SERVERS = {'track_pass': 'tracker', 'calibrate': 'calibrator'}
_RESULTS = ('DONE', 'REFUSED', 'BUSY', 'NOT_READY', 'ABORTED', 'DEVICE_FAULT', 'NO_LOCK', 'FAILED')


class Operator(StationListener):
    """Client of the station's actions, for one operator."""

    def track(
        self,
        at_ns: int,
        session: str,
        show: Callable[[Snapshot, str], None],
        step_s: float = _STEP_S,
        aborts: bool = True,
    ) -> Any:
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
        aborts : bool
            A signal to stop (Ctrl-C) aborts the pass, which is waited for; a second one ends the waiting.  False: the
            caller stops the whole station, and nothing is waited for.

        Returns
        -------
        TrackPass.Result

        Raises
        ------
        StationError
            No station, or it refuses; with the reason.
        """
        goal = TrackPass.Goal(at=messages.to_time(at_ns), session=session)
        return self._do(TrackPass, 'track_pass', goal, show, step_s, aborts)

    def calibrate(self, stars: int, show: Callable[[Snapshot, str], None]) -> Any:
        """Calibrate the pointing.

        Raises
        ------
        StationError
            No station, or the calibration failed; with the reason.
        """
        return self._do(Calibrate, 'calibrate', Calibrate.Goal(stars=stars), show)

    def next_pass_ns(self) -> int:
        """UTC of the culmination of the pass that comes next, as the planner says it.

        Raises
        ------
        StationError
            No station, or no pass within a day.
        """
        while not self.planned:
            self._listen_to_station()
        coming = self.listen(0.0).coming
        if coming is None:
            raise StationError('the station knows of no pass')
        return coming.culmination_ns

    def _do(
        self,
        kind: Any,
        name: str,
        goal: Any,
        show: Callable[[Snapshot, str], None],
        step_s: float = _STEP_S,
        aborts: bool = True,
    ) -> Any:
        sentence = [f'waiting until the station takes {name}']

        def feedback(message: Any) -> None:
            sentence[0] = message.feedback.message

        def look() -> Snapshot:
            snapshot = self._listen_to_station(step_s)
            show(snapshot, sentence[0])
            return snapshot

        client = ActionClient(self._node, kind, name)
        server = _Server(_SERVERS[name])
        try:
            with signals_afterwards() as came:  # a signal neither loses the goal nor comes before its acceptance
                while not client.server_is_ready() or not server.pid:
                    server.see(look())
                    _interrupt_if(came)
                future = client.send_goal_async(goal, feedback_callback=feedback)
                while not future.done():
                    server.see(look())
                    _interrupt_if(came and not aborts)
                    if server.restarted:
                        raise StationError(
                            f'the {server.name} has died before it answered', hint='it comes back: try again'
                        )
                handle = future.result()
                if not handle.accepted:
                    raise StationError(f'the station does not take {name}')
                result_future = handle.get_result_async()
                result = self._until_done(result_future, server, look, came)
                _interrupt_if(result is None and not aborts)
                if result is None:
                    came.clear()  # obeyed from here on; another signal ends the waiting
                    canceled = None if server.restarted else handle.cancel_goal_async()
            if result is None:
                self._cancel(canceled, server)
                show(self.listen(0.0), 'stopping: beacon off, moving to the park position')
                result = self._until_done(result_future, server, look)
        finally:
            client.destroy()
        if result.error_code:
            names = {getattr(kind.Result, code): code for code in _RESULTS if hasattr(kind.Result, code)}
            raise StationError(f'{result.error_msg} ({names[result.error_code]})', where=name)
        return result

    def _listen_to_station(self, seconds: float = _STEP_S) -> Snapshot:
        """Listen; a station that is not there at all need not be waited for."""
        snapshot = self.listen(seconds)
        if self.gone:
            raise StationError(
                'no station runs here', hint='start one with `qkd-gs up`, in the same ROS_DOMAIN_ID and namespace'
            )
        return snapshot

    @staticmethod
    def _until_done(future: Any, server: _Server, look: Callable[[], Snapshot], came: Sequence[int] = ()) -> Any:
        """Wait for a result, or for a signal (None).

        A restarted server does not know this goal, but publishes its state.
        """
        while not future.done():
            if came:
                return None
            snapshot = look()
            server.see(snapshot)
            if server.restarted and server.name != _SERVERS['track_pass']:
                raise StationError(f'the {server.name} has died before it was done', hint='it comes back: try again')
            if server.has_forgotten(snapshot):
                return _LostGoal()
        return future.result().result

    def _cancel(self, canceled: Any | None, server: _Server) -> None:
        """Wait for the answer to a cancellation; without a server that answers (None: it had died), abort the pass."""
        if canceled is not None:
            answer = self._answer(canceled, server)
            if answer is not None and answer.goals_canceling:
                return
        client = self._node.create_client(Trigger, ABORT_PASS)
        try:
            answer = None
            while answer is None:
                while not client.service_is_ready():
                    self._listen_to_station()
                server.see(self.listen(0.0))
                answer = self._answer(client.call_async(Trigger.Request()), server)
        finally:
            self._node.destroy_client(client)

    def _answer(self, future: Any, server: _Server) -> Any:
        """What a server answers; None if it died first."""
        pid = server.pid
        while not future.done() and server.pid == pid:
            server.see(self._listen_to_station())
        return future.result() if future.done() else None


def _interrupt_if(asked: object) -> None:
    if asked:
        raise KeyboardInterrupt


class _Server:
    """The process that took a goal, as its heartbeats tell it."""

    def __init__(self, name: str) -> None:
        self.name, self.pid = name, 0
        self._asked_pid = 0
        self._restarted_ns = 0

    def see(self, snapshot: Snapshot) -> None:
        """Look for its newest heartbeat."""
        pid = next((node.pid for node in snapshot.nodes if node.name == self.name), 0)
        self._asked_pid = self._asked_pid or pid
        if pid != self.pid and self.pid:
            self._restarted_ns = snapshot.now_ns
        self.pid = pid

    @property
    def restarted(self) -> bool:
        """Whether the process that was asked has died."""
        return self.pid != self._asked_pid

    def has_forgotten(self, snapshot: Snapshot) -> bool:
        """Whether a restarted tracker reports that no pass is under way; it would have continued one."""
        session = snapshot.session
        idle = session is not None and session.phase is Phase.IDLE and session.stamp_ns > self._restarted_ns
        return self.restarted and idle


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
