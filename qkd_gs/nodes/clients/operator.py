"""Client that commands a running station; not a node of the station."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

from rclpy.action.client import ActionClient
from std_srvs.srv import Trigger

from qkd_gs.action import Calibrate, Park, Tonight, TrackPass
from qkd_gs.errors import StationError
from qkd_gs.evening.heard import LOST, Answer
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.action_call import ActionCall
from qkd_gs.nodes.clients.listener import StationListener
from qkd_gs.nodes.conversions import messages
from qkd_gs.nodes.runtime.base import ABORT_EVENING
from qkd_gs.station.signals import signals_afterwards
from qkd_gs.tracking.types import Phase

_STEP_S = 0.2
_STOPPING = {
    'track_pass': 'stopping: beacon off, moving to the park position',
    'calibrate': 'stopping: the mount brakes',
    'park': 'stopping: the mount brakes',
    'tonight': 'stopping: the step under way is ended',
}  # while an action is aborted


class Lost(StationError):
    """The process that was asked has died."""


class Operator(StationListener):
    """Client of the station's actions, for one operator."""

    def track(
        self,
        at_ns: int,
        session: str,
        show: Callable[[Snapshot, str], None],
        step_s: float = _STEP_S,
        aborts: bool = True,
    ) -> Answer:
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
        Answer
            With ``folder`` and ``locked_s`` among its values.

        Raises
        ------
        StationError
            No station, or it refuses; with the reason.
        """
        goal = TrackPass.Goal(at=messages.to_time(at_ns), session=session)
        return self._do(TrackPass, 'track_pass', goal, show, step_s, aborts)

    def calibrate(self, stars: int, show: Callable[[Snapshot, str], None]) -> Answer:
        """Calibrate the pointing; ``rms_rad`` and ``heldout_rms_rad`` are among the values of the answer.

        Raises
        ------
        StationError
            No station, or the calibration failed; with the reason.
        """
        return self._do(Calibrate, 'calibrate', Calibrate.Goal(stars=stars), show)

    def park(self, show: Callable[[Snapshot, str], None]) -> None:
        """Move the telescope to its park position.

        Raises
        ------
        StationError
            No station, or it does not arrive; with the reason.
        """
        self._do(Park, 'park', Park.Goal(), show)

    def tonight(self, goal: Any, show: Callable[[Snapshot, str], None]) -> Answer:
        """Let the station do the work of an evening, or go on with it; ``journal`` is among the values of the answer.

        An evening node that dies goes on by itself when it is back, and so does this call.

        Parameters
        ----------
        goal : Tonight.Goal
        show : callable
            Called with the status of the station and what the evening does, again and again.

        Raises
        ------
        StationError
            No station, or it refuses, or the evening was aborted; with the reason.
        """
        while True:
            try:
                return self._do(Tonight, 'tonight', goal, show)
            except Lost:
                goal = Tonight.Goal()  # as it goes on by itself

    def abort_evening(self) -> str:
        """Let the evening end the step under way, and begin no other; what the station says to that.

        Raises
        ------
        StationError
            No station.
        """
        client = self._node.create_client(Trigger, ABORT_EVENING)
        try:
            while not client.service_is_ready():
                self._listen_to_station()
            answer = client.call_async(Trigger.Request())
            while not answer.done():
                self._listen_to_station()
        finally:
            self._node.destroy_client(client)
        return str(answer.result().message)

    def next_pass_ns(self) -> int:
        """UTC of the culmination of the pass that comes next, as the planner says it.

        Raises
        ------
        StationError
            No station, or no pass within a day.
        """
        while not (snapshot := self._listen_to_station()).planned:
            pass
        if snapshot.coming is None:
            raise StationError('the station knows of no pass')
        return snapshot.coming.culmination_ns

    def _do(
        self,
        kind: Any,
        name: str,
        goal: Any,
        show: Callable[[Snapshot, str], None],
        step_s: float = _STEP_S,
        aborts: bool = True,
    ) -> Answer:
        client = ActionClient(self._node, kind, name)
        call = ActionCall(self._node, client, kind, name, goal)

        def look() -> Snapshot:
            snapshot = self._listen_to_station(step_s)
            show(snapshot, call.said)
            return snapshot

        try:
            with signals_afterwards() as came:  # a signal neither loses the goal nor comes before its acceptance
                while (answer := call.step(look())) is None:
                    if came and (not aborts or not call.sent):
                        raise KeyboardInterrupt
                    if came and call.accepted:
                        call.end()
                        came.clear()  # obeyed from here on; another signal ends the waiting
                        break
            if answer is None:
                show(self.listen(0.0), _STOPPING[name])
                while (answer := call.step(look())) is None:
                    pass
        finally:
            call.close()
            client.destroy()
        if answer.code == LOST and not call.ending:
            raise Lost(answer.sentence, hint='it comes back: try again')
        if answer.code != 'DONE':
            raise StationError(f'{answer.sentence} ({answer.code})', where=name)
        return answer

    def _listen_to_station(self, seconds: float = _STEP_S) -> Snapshot:
        """Listen; a station that is not there at all need not be waited for."""
        snapshot = self.listen(seconds)
        if self.gone:
            raise StationError(
                'no station runs here', hint='start one with `qkd-gs up`, in the same ROS_DOMAIN_ID and namespace'
            )
        return snapshot


def sentence_of(snapshot: Snapshot, said: str) -> str:
    """One-line status of a pass under way."""
    session = snapshot.session
    parts = [snapshot.readiness.sentence or said]
    if session is not None and session.phase is Phase.FINE and not isnan(snapshot.spot.rms_x_urad):
        parts.append(f'spot {snapshot.spot.rms_x_urad:.1f} / {snapshot.spot.rms_y_urad:.1f} urad')
    if snapshot.counts is not None:
        parts.append(f'{sum(snapshot.counts.counts[:4])} photons/s, {snapshot.counts.counts[4]} sync/s')
    return '  '.join(parts)
