"""Processes of a station without `ros2 launch`: started from the graph, restarted after a crash, stopped together."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from qkd_gs.children import end_with_parent, protected_children
from qkd_gs.errors import StationError
from qkd_gs.station.graph import Process
from qkd_gs.station.hang_watch import HangWatch
from qkd_gs.station.instance_lock import Held, started
from qkd_gs.station.library_threads import one_thread_environment
from qkd_gs.station.signals import signals_afterwards

REFUSED = 2  # exit status of a node that refuses to start; restarting would not help
_AGAIN_S = 0.3
_LONGEST_S = 10.0
_KEPT_LINES = 20
_LAST_LINE_S = 5.0  # until the output of a process that has ended is read, at most: another may hold it open
_STOP_S = 2.7  # SIGINT first, the rest of this long later SIGKILL


@dataclass
class _Running:
    process: Process
    child: ForkServerProcess
    reader: threading.Thread  # of its output
    lines: deque[str]  # the last ones, of all its starts
    starts: int = 1
    again_s: float | None = None


class StationProcesses:
    """A running station.

    Parameters
    ----------
    graph : sequence of Process
    log_dir : Path
        Of NAME.log with the output of every node.
    say : callable
        Called with (node, line) for every line of output.
    environment : mapping, optional
        Of the nodes, added to this process's own.
    """

    def __init__(
        self,
        graph: Sequence[Process],
        log_dir: Path,
        say: Callable[[str, str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._graph, self._log_dir, self._say = graph, log_dir, say
        self._environment = dict(environment or {})
        self._running: dict[str, _Running] = {}
        self._alone: Held | None = None
        self._hangs = HangWatch(say)

    def start(self) -> None:
        """Start every node.

        Raises
        ------
        StationError
            Another station or a replay runs in this ROS domain; nothing of this one was started.
        """
        if self._graph:
            self._alone = started(self._graph[0].namespace, self._environment.get('ROS_DOMAIN_ID'))
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for process in self._graph:
            with signals_afterwards():  # whoever stops the station knows each process that was started
                lines = deque[str](maxlen=_KEPT_LINES)
                self._running[process.spec.name] = _Running(process, *self._spawn(process, lines), lines)

    def pids(self) -> dict[str, int]:
        """Process of each node."""
        return {name: running.child.pid or 0 for name, running in self._running.items()}

    def starts(self) -> dict[str, int]:
        """Number of starts of each node."""
        return {name: running.starts for name, running in self._running.items()}

    def watch(self, now_s: float) -> None:
        """End nodes that hang, restart those that have died; to be called about every 0.1 s.

        Raises
        ------
        StationError
            A node refuses to start; with its last line of output.
        """
        for name, running in self._running.items():
            code = running.child.exitcode
            if code is None:
                continue
            if code == REFUSED:
                running.reader.join(_LAST_LINE_S)
                said = running.lines[-1] if running.lines else 'no reason given'
                raise StationError(said, where=name)
            if running.again_s is None:
                # immediately the first time, then after a growing delay
                running.again_s = now_s + min(_AGAIN_S * (running.starts - 1) ** 2, _LONGEST_S)
                self._say(name, f'ended ({_ended(code)}); restarting')
            if now_s >= running.again_s:
                running.again_s = None
                with signals_afterwards() as came:
                    if not came:  # after the order to stop nothing is restarted
                        running.starts += 1
                        running.child, running.reader = self._spawn(running.process, running.lines)
        self._hangs.step(
            now_s, {name: one.child.pid or 0 for name, one in self._running.items() if one.child.exitcode is None}
        )

    def stop(self) -> None:
        """Stop every process; those that do not end in time are killed."""
        children = [running.child for running in self._running.values()]
        for child in children:
            _signal(child, signal.SIGINT)
        end_s = time.monotonic() + _STOP_S
        for child in children:
            child.join(max(end_s - time.monotonic(), 0.0))
            _signal(child, signal.SIGKILL)
        for child in children:
            child.join()
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # it would outlive us for a moment
        if self._alone is not None:
            self._alone.close()

    def _spawn(self, process: Process, lines: deque[str]) -> tuple[ForkServerProcess, threading.Thread]:
        name = process.spec.name
        child, reading = fork_node(name, process.spec.module, process.ros_arguments(), self._environment)
        reader = threading.Thread(target=self._read, args=(name, reading, lines), daemon=True)
        reader.start()
        return child, reader

    def _read(self, name: str, reading: int, lines: deque[str]) -> None:
        """Copy the output of a process into its log and to the callback, until it ends."""
        log = Log(self._log_dir / f'{name}.log')
        with open(reading, encoding='utf-8', errors='replace') as output:
            for line in output:
                if not log.write(line):
                    self._say(name, f'not in its log: {log.trouble}')
                lines.append(line.rstrip())
                self._say(name, line.rstrip())


class Log:
    """Log file of a node; a disk that does not take it must not hold up the node, which would wait for its output.

    Attributes
    ----------
    trouble : str
        Reason why the last line is not in it; empty: it is.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.trouble = path, ''

    def write(self, line: str) -> bool:
        """Append a line; False for the first one of those that cannot be written."""
        before = self.trouble
        try:
            with open(self._path, 'a', encoding='utf-8') as file:
                file.write(line)
            self.trouble = ''
        except OSError as error:
            self.trouble = f'{self._path}: {error.strerror}'
        return not self.trouble or bool(before)


class _Output:
    """Writing end of a pipe that is passed to a child."""

    def __init__(self, fd: int) -> None:
        self._fd: Any = fd

    def __getstate__(self) -> Any:
        return DupFd(self._fd)

    def __setstate__(self, state: Any) -> None:
        self._fd = state.detach()

    def use(self) -> None:
        """Standard output and error of this process from now on."""
        os.dup2(self._fd, 1)
        os.dup2(self._fd, 2)
        os.close(self._fd)


def fork_node(
    name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[ForkServerProcess, int]:
    """Fork a node from a server that has imported everything once: it then starts within 0.1 s instead of 2 s.

    Parameters
    ----------
    name, module : str
        Of the node.
    arguments : sequence of str
        Of its executable.
    environment : mapping
        Added to that of the server.

    Returns
    -------
    child : ForkServerProcess
    reading : int
        Pipe with its output.
    """
    os.environ.update(one_thread_environment())
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['qkd_gs.station.fork_server', 'qkd_gs.nodes.runtime.preload'])
    reading, writing = os.pipe()
    started_as = (name, module, list(arguments), _Output(writing), dict(environment))
    child = context.Process(target=_run_node, args=started_as, name=name, daemon=True)
    with protected_children():  # the first one starts the server
        child.start()
    os.close(writing)
    return child, reading


def _run_node(
    name: str, module: str, arguments: Sequence[str], output: _Output, environment: Mapping[str, str]
) -> None:
    """Main function of a node's process."""
    os.setsid()  # the parent handles Ctrl-C and stops the nodes in order
    for number in (signal.SIGTERM, signal.SIGHUP):  # which the server ignores
        signal.signal(number, signal.SIG_DFL)
    end_with_parent(signal.SIGTERM)  # no node outlives a killed parent
    output.use()
    Path('/proc/self/comm').write_text(name[:15], encoding='ascii')  # for ps and top
    os.environ.update(environment)
    raise SystemExit(importlib.import_module(module).main(['qkd_gs', *arguments]))


def _signal(child: ForkServerProcess, number: int) -> None:
    if child.pid is not None and child.exitcode is None:
        os.kill(child.pid, number)


def _ended(code: int) -> str:
    return f'by {signal.Signals(-code).name}' if code < 0 else f'exit status {code}'
