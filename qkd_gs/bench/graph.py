"""What every node of the station costs while it tracks at real time, and how well the fast loops keep their periods."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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

_FROM_EL_DEG = 42.0
_LOOK_S = 0.25
_READY_S = 120.0
_SETTLED_S = 5.0  # of tracking, before anything is counted
_WINDOW_S = 45.0
_LOOPS = ('mount', 'tracker')


def run() -> dict[str, Any]:
    """Track the satellite of the demo in real time for 45 s.

    Returns
    -------
    dict
        ``cpu_percent``, of one core: all processes together, over the window; ``nodes``: by node ``cpu_percent`` and
        ``memory_mb`` (resident, of which ``shared_mb`` in common with others); ``loops``: for mount and tracker
        ``period_ms`` (50, 95 and 99 %, of station time) and ``missed_share``, from the start of the node (mount) or
        of the pass (tracker) to the end of the window; ``window_s``, of real time.
    """
    with tempfile.TemporaryDirectory(prefix='qkd_gs-bench-') as folder:
        place = Path(folder)
        os.environ['QKD_GS_KEYS'] = str(KeyFolder.create(place / 'keys').path)
        station = StationProcesses(
            DemoStation(_FROM_EL_DEG, speed=1.0).prepare(place, place / 'sessions'), place / 'logs', lambda *_: None
        )
        operator: Operator | None = None
        try:
            station.start()
            operator = Operator()
            _until_ready(operator, station)
            window = Window(lambda: used(station.pids()))
            _pass_with(window, operator, station)
        finally:
            station.stop()
            if operator is not None:
                operator.close()
    return window.figures()


@dataclass(frozen=True)
class Used:
    """What a process has used so far."""

    cpu_s: float
    memory_mb: float
    shared_mb: float


def used(pids: dict[str, int]) -> dict[str, Used]:
    """Processor time and memory by node, as the kernel tells them."""
    tick_s, page = os.sysconf('SC_CLK_TCK'), os.sysconf('SC_PAGE_SIZE')
    found = {}
    for name, pid in pids.items():
        fields = Path(f'/proc/{pid}/stat').read_text(encoding='ascii').rsplit(')', 1)[1].split()
        resident, shared = map(int, Path(f'/proc/{pid}/statm').read_text(encoding='ascii').split()[1:3])
        found[name] = Used((int(fields[11]) + int(fields[12])) / tick_s, resident * page / 1e6, shared * page / 1e6)
    return found


class Window:
    """Told the station as it is some times a second; counts from some seconds after the satellite is held.

    Parameters
    ----------
    costs : callable
        What each node has used so far.
    settled_s, window_s : float
        For so long it is held before anything is counted, and so long it is counted.

    Attributes
    ----------
    done : bool
        The window is over.
    """

    def __init__(
        self, costs: Callable[[], dict[str, Used]], settled_s: float = _SETTLED_S, window_s: float = _WINDOW_S
    ) -> None:
        self._costs, self._settled_s, self._window_s = costs, settled_s, window_s
        self._held_s: float | None = None
        self._begin_s = self._end_s = 0.0
        self._before: dict[str, Used] = {}
        self._after: dict[str, Used] = {}
        self._loops: dict[str, dict[str, Any]] = {}
        self.done = False

    def see(self, now_s: float, snapshot: Snapshot) -> None:
        """The station at a moment of any steady clock."""
        held = snapshot.session is not None and snapshot.session.phase is Phase.FINE
        if not held:  # lost again: it begins once more
            self._held_s, self._before = None, {}
            return
        if self._held_s is None:
            self._held_s = now_s
        if not self._before and now_s - self._held_s >= self._settled_s:
            self._before, self._begin_s = self._costs(), now_s
        if self._before and now_s - self._begin_s >= self._window_s:
            self._after, self._end_s = self._costs(), now_s
            self._loops = {
                node.name: {'period_ms': list(node.period_ms), 'missed_share': round(node.missed_share, 5)}
                for node in snapshot.nodes
                if node.name in _LOOPS
            }
            self.done = True

    def figures(self) -> dict[str, Any]:
        """What `run` gives."""
        window_s = self._end_s - self._begin_s
        nodes = {
            name: {
                'cpu_percent': round(100 * (after.cpu_s - self._before[name].cpu_s) / window_s, 1),
                'memory_mb': round(after.memory_mb),
                'shared_mb': round(after.shared_mb),
            }
            for name, after in sorted(self._after.items(), key=lambda item: self._before[item[0]].cpu_s - item[1].cpu_s)
        }
        return {
            'cpu_percent': round(sum(node['cpu_percent'] for node in nodes.values()), 1),
            'nodes': nodes,
            'loops': self._loops,
            'window_s': round(window_s, 1),
        }


class _Enough(Exception):
    """All is measured; the pass need not be waited for."""


def _until_ready(operator: Operator, station: StationProcesses) -> None:
    end_s = monotonic() + _READY_S
    while (snapshot := operator.listen(_LOOK_S)).readiness.level is not Level.OK:
        station.watch(monotonic())
        if monotonic() > end_s:
            raise StationError(f'the station has not become ready: {snapshot.readiness.sentence}')


def _pass_with(window: Window, operator: Operator, station: StationProcesses) -> None:
    def look(snapshot: Snapshot, said: str) -> None:
        station.watch(monotonic())
        window.see(monotonic(), snapshot)
        if window.done:
            raise _Enough

    try:
        operator.track(parse_utc(AT, 'at'), 'graph', look, step_s=_LOOK_S)
    except _Enough:
        return
    raise StationError('the pass was over before the satellite was held for long enough')
