"""The process that serves an action, as its heartbeats tell it."""

from __future__ import annotations

from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.tracking.types import Phase

_NONE = -1  # no process has this number
SERVERS = {
    'track_pass': 'tracker',
    'calibrate': 'calibrator',
    'observe': 'calibrator',
    'park': 'calibrator',
    'tonight': 'evening',
}


class Server:
    """The node that took a goal.

    Parameters
    ----------
    action : str
        Name of the action.
    """

    def __init__(self, action: str) -> None:
        self.name, self.pid = SERVERS[action], 0
        self._asked_pid = 0
        self._restarted_ns = 0

    def see(self, snapshot: Snapshot) -> None:
        """Look for its newest heartbeat."""
        pid = next((node.pid for node in snapshot.nodes if node.name == self.name), 0)
        self._asked_pid = self._asked_pid or pid
        if pid != self.pid and self.pid:
            self._restarted_ns = snapshot.now_ns
        self.pid = pid

    def is_another(self, now_ns: int) -> None:
        """A process that does not know what was asked has answered at `now_ns`, maybe before its heartbeat."""
        self._asked_pid, self._restarted_ns = _NONE, now_ns

    @property
    def restarted(self) -> bool:
        """Whether the process that was asked has died."""
        return self.pid != self._asked_pid

    def has_forgotten(self, snapshot: Snapshot) -> bool:
        """Whether a restarted tracker reports that no pass is under way; it would have continued one."""
        session = snapshot.session
        idle = session is not None and session.phase is Phase.IDLE and session.stamp_ns > self._restarted_ns
        return self.restarted and idle
