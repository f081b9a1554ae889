"""Times until a station of real processes is ready, has back what was killed in mid-pass, and has ended.

Every node but the twin's world is killed once while the satellite is held, the next one when it is held again.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from statistics import median
from time import monotonic
from typing import Any

from qkd_gs.bench.live_pass import LivePass, demo_processes
from qkd_gs.errors import StationError
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.tracking.types import Phase

_FROM_EL_DEG = 30.0
_LOOK_S = 0.05
_KEEPS_OUT = ('world',)  # the twin's physical state: no process of a station


def run() -> dict[str, Any]:
    """Take the pass of the demo in real time and kill one node after the other.

    Returns
    -------
    dict
        Wall time in seconds: ``ready_s`` from start until the station is ready; ``back_s`` by node, from its death
        until another process is active under its name; ``held_again_s`` by node, from its death until the satellite
        is held and the node is back; ``stop_s`` from Ctrl-C in mid-pass until no process is left.
    """
    with demo_processes(_FROM_EL_DEG) as place:
        station = place.processes
        begin_s = monotonic()
        operator: Operator | None = None
        try:
            station.start()
            operator = Operator()
            live = LivePass(station, operator, _LOOK_S)
            ready_s = live.until_ready() - begin_s
            killing = Killing(station.pids, [name for name in station.pids() if name not in _KEEPS_OUT])
            if not live.track('recovery', killing):
                raise StationError('the pass was over before every node had been killed')
        finally:
            end_s = monotonic()
            station.stop()
            stop_s = monotonic() - end_s
            if operator is not None:
                operator.close()
    return _figures(killing, ready_s, stop_s)


class Killing:
    """Told the station as it is some times a second, kills a node whenever all is well; `done` at the end.

    Parameters
    ----------
    pids : callable
        Process of each node now.
    names : list of str
        In this order.
    """

    def __init__(
        self,
        pids: Callable[[], dict[str, int]],
        names: list[str],
        kill: Callable[[int, int], None] = os.kill,
    ) -> None:
        self._pids, self._names, self._kill = pids, list(names), kill
        self._victim, self._pid, self._killed_s = '', 0, 0.0
        self._heard_ns = 0  # stamp of the newest state of the pass that was heard before the dead node was back
        self.back_s: dict[str, float] = {}
        self.held_again_s: dict[str, float] = {}

    @property
    def done(self) -> bool:
        """Every node was killed and is back."""
        return not self._names and not self._victim

    def see(self, now_s: float, snapshot: Snapshot) -> None:
        """The station at a moment of any steady clock."""
        if self._victim and self._victim not in self.back_s:
            self._look_for_the_new_one(now_s, snapshot)
        session = snapshot.session
        if session is None:
            return
        if self._victim and self._victim not in self.back_s:
            self._heard_ns = session.stamp_ns
            return
        if session.phase is not Phase.FINE or session.stamp_ns <= self._heard_ns:  # the last word of a dead tracker
            return
        if self._victim:
            self.held_again_s[self._victim] = now_s - self._killed_s
            self._victim = ''
        if self._names:
            self._victim = self._names.pop(0)
            self._heard_ns = session.stamp_ns
            self._pid, self._killed_s = self._pids()[self._victim], now_s
            self._kill(self._pid, signal.SIGKILL)

    def _look_for_the_new_one(self, now_s: float, snapshot: Snapshot) -> None:
        for node in snapshot.nodes:
            ours = node.name == self._victim and node.pid not in (0, self._pid)
            if ours and node.heartbeat_age_s is not None and node.state == 'active' and not node.faults:
                self.back_s[node.name] = now_s - node.heartbeat_age_s - self._killed_s


def _figures(killing: Killing, ready_s: float, stop_s: float) -> dict[str, Any]:
    def seconds(found: dict[str, float]) -> dict[str, float]:
        return {name: round(value, 2) for name, value in found.items()}

    return {
        'ready_s': round(ready_s, 1),
        'back_s': seconds(killing.back_s),
        'back_median_s': round(median(killing.back_s.values()), 2),
        'back_worst_s': round(max(killing.back_s.values()), 2),
        'held_again_s': seconds(killing.held_again_s),
        'stop_s': round(stop_s, 2),
    }
