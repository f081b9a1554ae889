"""Hours of a simulated station at real time: one calibration after the other, and every pass that comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from qkd_gs.bench.endurance.trend import Trend
from qkd_gs.bench.live_pass import LivePass, Place, demo_processes
from qkd_gs.errors import StationError
from qkd_gs.monitoring.snapshot import Snapshot
from qkd_gs.nodes.clients.operator import Operator
from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.station.usage import usage_of

_SITE, _AT = 'mohe', '2018-10-04T15:28:36Z'  # and again 94 minutes later
_FROM_EL_DEG = 10.0
_LOOK_S = 0.5
_SAMPLE_S = 10.0
_WARM_UP_S = 600.0  # the first pass and the first calibration load what they need
_STARS = 14  # two may be missed
_PAUSE_S = 300.0  # idle between two calibrations
_NEAR_NS = 360 * 10**9  # a pass that comes sooner is waited for


@dataclass
class _Process:
    """Resources that one process has used in the course of time."""

    memory_mb: Trend = field(default_factory=Trend)  # its own, without what it shares with others
    files: Trend = field(default_factory=Trend)
    threads: Trend = field(default_factory=Trend)


class Samples:
    """Usage of every process, sampled every ten seconds after the warm-up.

    Parameters
    ----------
    pids : callable
        Process of each node now.
    began_s : float
        Of a steady clock.
    """

    def __init__(self, pids: Callable[[], dict[str, int]], began_s: float) -> None:
        self._pids, self._began_s, self._due_s = pids, began_s, began_s + _WARM_UP_S
        self._processes: dict[tuple[str, int], _Process] = {}

    def look(self, now_s: float) -> None:
        """Take a sample if one is due."""
        if now_s < self._due_s:
            return
        self._due_s += _SAMPLE_S
        hour = (now_s - self._began_s) / 3600
        for name, pid in self._pids().items():
            try:
                usage = usage_of(pid)
                files, threads = (len(os.listdir(f'/proc/{pid}/{what}')) for what in ('fd', 'task'))
            except OSError:  # it has just ended
                continue
            process = self._processes.setdefault((name, pid), _Process())
            process.memory_mb.add(hour, usage.memory_mb - usage.shared_mb)
            process.files.add(hour, files)
            process.threads.add(hour, threads)

    def figures(self) -> dict[str, Any]:
        """By node; of a restarted one its last process."""
        return {name: _figures(process) for (name, _), process in self._processes.items()}


def _figures(process: _Process) -> dict[str, Any]:
    slope, error = process.memory_mb.slope()
    return {
        'memory_mb': [round(process.memory_mb.values[place]) for place in (0, -1)],
        'memory_mb_per_hour': [round(slope, 2), round(error, 2)],
        'memory_mb_by_minute': process.memory_mb.by_minute(),
        'files': [round(process.files.values[0]), round(process.files.values[-1]), round(max(process.files.values))],
        'threads': [round(process.threads.values[0]), round(process.threads.values[-1])],
    }


def run(hours: float = 2.0) -> dict[str, Any]:
    """Run a station at real time.

    Parameters
    ----------
    hours : float
        Of wall time.  One pass over Mohe comes at the start, another one 94 minutes later.

    Returns
    -------
    dict
        ``hours``; ``passes``, ``calibrations``, ``failed``: what was done; ``restarts`` of nodes; ``logs_mb``;
        ``sessions_mb``, of all sessions; ``nodes``: by node ``memory_mb`` first and last after a warm-up of ten minutes
        (without shared memory), ``memory_mb_per_hour`` with its standard error, ``files`` and ``threads`` open first,
        last (and at most); ``memory_mb_by_minute``: hour and mean of each minute.  ``done``: hours from and to, and
        what was done then.
    """
    with demo_processes(_FROM_EL_DEG, site=_SITE, at=_AT) as place:
        station = place.processes
        operator: Operator | None = None
        try:
            station.start()
            operator = Operator()
            began_s = LivePass(station, operator, _LOOK_S).until_ready()
            evening = _Evening(place, operator, began_s, began_s + 3600 * hours)
            evening.run()
            return evening.figures()
        finally:
            station.stop()
            if operator is not None:
                operator.close()


class _Over(Exception):
    """The time is up."""


class _Evening:
    """Operator of an endurance run."""

    def __init__(self, place: Place, operator: Operator, began_s: float, end_s: float) -> None:
        self._place, self._operator, self._began_s, self._end_s = place, operator, began_s, end_s
        self._samples = Samples(place.processes.pids, began_s)
        self._passes = self._calibrations = 0
        self._failed: list[str] = []
        self._done: list[tuple[float, float, str]] = []

    def run(self) -> None:
        """Until the time is up."""
        try:
            self._track(parse_utc(_AT, 'at'))
            while True:
                self._calibrate()
                self._idle()
        except (_Over, KeyboardInterrupt):  # an operator who ends it gets the figures so far
            return

    def _look(self, snapshot: Snapshot, said: str = '') -> None:
        now_s = monotonic()
        self._place.processes.watch(now_s)
        self._samples.look(now_s)
        if now_s > self._end_s:
            raise _Over

    def _track(self, at_ns: int) -> None:
        with self._attempt('pass'):
            self._operator.track(at_ns, '', self._look, step_s=_LOOK_S, aborts=False)
            self._passes += 1

    def _calibrate(self) -> None:
        with self._attempt('calibration'):
            self._operator.calibrate(_STARS, self._look)
            self._calibrations += 1

    @contextmanager
    def _attempt(self, what: str) -> Iterator[None]:
        from_h = self._hour()
        try:
            yield
        except StationError as error:
            self._failed.append(str(error))
        finally:
            self._done.append((round(from_h, 4), round(self._hour(), 4), what))

    def _hour(self) -> float:
        return (monotonic() - self._began_s) / 3600

    def _idle(self) -> None:
        """Wait some minutes; a pass that comes meanwhile is tracked."""
        until_s = monotonic() + _PAUSE_S
        while monotonic() < until_s:
            snapshot = self._operator.listen(_LOOK_S)
            self._look(snapshot)
            coming = snapshot.coming
            if coming is not None and coming.usable and 0 < coming.start_ns - snapshot.now_ns < _NEAR_NS:
                self._track(coming.culmination_ns)

    def figures(self) -> dict[str, Any]:
        """Figures of `run`."""
        return {
            'hours': round(self._hour(), 3),
            'passes': self._passes,
            'calibrations': self._calibrations,
            'failed': self._failed,
            'restarts': sum(count - 1 for count in self._place.processes.starts().values()),
            'logs_mb': round(sum(_sizes(self._place.sessions.parent / 'logs')) / 1e6, 1),
            'sessions_mb': round(sum(_sizes(self._place.sessions)) / 1e6, 1),
            'done': self._done,
            'nodes': self._samples.figures(),
        }


def _sizes(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob('*') if path.is_file())
