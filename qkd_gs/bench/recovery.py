"""How soon a station of real processes is ready, has back what was killed in mid-pass, and has ended.

Every node but the twin's world is killed once while the satellite is held, the next one when it is held again.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.monitoring.readiness import Level
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.station.demo_station import AT, DemoStation
from qkd_gs.station.processes import StationProcesses
from qkd_gs.tracking.types import Phase

_FROM_EL_DEG = 30.0
_LOOK_S = 0.05
_READY_S = 120.0
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
    with tempfile.TemporaryDirectory(prefix='qkd_gs-bench-') as folder:
        place = Path(folder)
        os.environ['QKD_GS_KEYS'] = str(KeyFolder.create(place / 'keys').path)
        station = StationProcesses(
            DemoStation(_FROM_EL_DEG, speed=1.0).prepare(place, place / 'sessions'), place / 'logs', lambda *_: None
        )
        begin_s = monotonic()
        operator: Operator | None = None
        try:
            station.start()
            operator = Operator()
            ready_s = _until_ready(operator, station) - begin_s
            killing = Killing(station.pids, [name for name in station.pids() if name not in _KEEPS_OUT])
            _pass_with(killing, operator, station)
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
        held = snapshot.session is not None and snapshot.session.phase is Phase.FINE
        if not held or (self._victim and self._victim not in self.back_s):
            return
        if self._victim:
            self.held_again_s[self._victim] = now_s - self._killed_s
            self._victim = ''
        if self._names:
            self._victim = self._names.pop(0)
            self._pid, self._killed_s = self._pids()[self._victim], now_s
            self._kill(self._pid, signal.SIGKILL)

    def _look_for_the_new_one(self, now_s: float, snapshot: Snapshot) -> None:
        for node in snapshot.nodes:
            ours = node.name == self._victim and node.pid not in (0, self._pid)
            if ours and node.heartbeat_age_s is not None and node.state == 'active' and not node.fault:
                self.back_s[node.name] = now_s - node.heartbeat_age_s - self._killed_s


class _Enough(Exception):
    """All is measured; the pass need not be waited for."""


def _until_ready(operator: Operator, station: StationProcesses) -> float:
    end_s = monotonic() + _READY_S
    while (snapshot := operator.listen(_LOOK_S)).readiness.level is not Level.OK:
        station.watch(monotonic())
        if monotonic() > end_s:
            raise StationError(f'the station has not become ready: {snapshot.readiness.sentence}')
    return monotonic()


def _pass_with(killing: Killing, operator: Operator, station: StationProcesses) -> None:
    def look(snapshot: Snapshot, said: str) -> None:
        station.watch(monotonic())
        killing.see(monotonic(), snapshot)
        if killing.done:
            raise _Enough

    try:
        operator.track(parse_utc(AT, 'at'), 'recovery', look, step_s=_LOOK_S)
    except _Enough:
        return
    raise StationError('the pass was over before every node had been killed')


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
