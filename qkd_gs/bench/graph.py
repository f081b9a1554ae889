"""Cost of every node of the station while it tracks, and how well the fast loops keep their periods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qkd_gs.bench.live_pass import LivePass, demo_processes
from qkd_gs.errors import StationError
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.station.usage import Usage, usage_of
from qkd_gs.tracking.types import Phase

_FROM_EL_DEG = 42.0
_LOOK_S = 0.25
_SETTLED_S = 5.0  # of tracking, before anything is counted
_WINDOW_S = 45.0
_LOOPS = ('mount', 'tracker')


def run(speed: float = 1.0) -> dict[str, Any]:
    """Track the satellite of the demo for 45 s of real time.

    Parameters
    ----------
    speed : float
        Of station time; 1 is real time.

    Returns
    -------
    dict
        ``cpu_percent``, of one core: all processes together, over the window; ``nodes``: by node ``cpu_percent`` and
        ``memory_mb`` (resident, of which ``shared_mb`` in common with others); ``loops``: for mount and tracker
        ``period_ms`` (50, 95 and 99 %, of station time) and ``missed_share``, from the start of the node (mount) or
        of the pass (tracker) to the end of the window; ``window_s``, of real time; ``speed``, as given.
    """
    with demo_processes(_FROM_EL_DEG, speed=speed) as place:
        station = place.processes
        operator: Operator | None = None
        try:
            station.start()
            operator = Operator()
            live = LivePass(station, operator, _LOOK_S)
            live.until_ready()
            window = Window(lambda: {name: usage_of(pid) for name, pid in station.pids().items()})
            if not live.track('graph', window):
                raise StationError('the pass was over before the satellite was held for long enough')
        finally:
            station.stop()
            if operator is not None:
                operator.close()
    return window.figures() | {'speed': speed}


class Window:
    """Told the station as it is some times a second; counts from some seconds after the satellite is held.

    Parameters
    ----------
    costs : callable
        Processor time of each node so far.
    settled_s, window_s : float
        For so long it is held before anything is counted, and so long it is counted.

    Attributes
    ----------
    done : bool
        The window is over.
    """

    def __init__(
        self, costs: Callable[[], dict[str, Usage]], settled_s: float = _SETTLED_S, window_s: float = _WINDOW_S
    ) -> None:
        self._costs, self._settled_s, self._window_s = costs, settled_s, window_s
        self._held_s: float | None = None
        self._begin_s = self._end_s = 0.0
        self._before: dict[str, Usage] = {}
        self._after: dict[str, Usage] = {}
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
        """Figures of `run`."""
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
