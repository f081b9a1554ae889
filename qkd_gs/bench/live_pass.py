"""The demo's pass on the real processes of a station, watched until a benchmark has seen enough."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.listener import is_ready
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.station.demo_station import AT, SITE, DemoStation
from qkd_gs.station.processes import StationProcesses


class Observer(Protocol):
    """Sees the station some times a second."""

    @property
    def done(self) -> bool:
        """Whether enough was seen."""

    def see(self, now_s: float, snapshot: Snapshot) -> None:
        """Look at the station at a moment of a steady clock."""


@dataclass(frozen=True)
class Place:
    """A prepared station, with its folders of sessions and keys."""

    processes: StationProcesses
    sessions: Path
    keys: Path


@contextmanager
def demo_processes(
    from_el_deg: float,
    say: Callable[[str, str], None] = lambda *_: None,
    site: str = SITE,
    at: str = AT,
    speed: float = 1.0,
) -> Iterator[Place]:
    """Prepare a station for the demo's pass above an elevation, in a folder that goes away.

    Parameters
    ----------
    say : callable
        Told each line of output of a node, and what is said about it.
    site, at : str
        Another place, and a UTC near the culmination of another pass.
    speed : float
        Of station time; 1 is real time.
    """
    with tempfile.TemporaryDirectory(prefix='qkd_gs-bench-') as folder:
        place = Path(folder)
        os.environ['QKD_GS_KEYS'] = str(KeyFolder.create(place / 'keys').path)
        graph = DemoStation(from_el_deg, speed=speed, site=site, at=at).prepare(place, place / 'sessions')
        yield Place(StationProcesses(graph, place / 'logs', say), place / 'sessions', place / 'keys')


@dataclass(frozen=True)
class LivePass:
    """A started station, and the operator who has it track the pass.

    Parameters
    ----------
    look_s : float
        Real time between two looks at the station.
    """

    station: StationProcesses
    operator: Operator
    look_s: float

    def until_ready(self) -> float:
        """Wait; returns when the station is ready (steady clock, s).

        Raises
        ------
        StationError
            A node refuses to start.
        """
        self.operator.listen_until(is_ready, lambda _: self.station.watch(monotonic()), self.look_s)
        return monotonic()

    def track(self, session: str, observer: Observer) -> bool:
        """Track the pass until the observer is done; False: the pass was over before."""

        def look(snapshot: Snapshot, said: str) -> None:
            self.station.watch(monotonic())
            observer.see(monotonic(), snapshot)
            if observer.done:
                raise _Enough

        try:
            self.operator.track(parse_utc(AT, 'at'), session, look, step_s=self.look_s, aborts=False)
        except _Enough:
            return True
        return False


class _Enough(Exception):
    """All is measured; the pass need not be waited for."""
