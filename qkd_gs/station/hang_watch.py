"""Finds processes that hang for good: their main thread sleeps, though it should turn a loop ten times a second.

How long a node has been silent proves nothing, since a busy, paused or slow machine makes everybody late.  The kernel
knows more: it counts how often a thread was given a processor.  The main thread of a node waits for at most a tenth of
a second at a time, so a thread that sleeps and was not given a processor since the last look, a second ago, is stopped
by a signal or waits for something else than its next message.  A thread that waits for a processor or for the disk does
not sleep; and if other threads of the process compute, the main thread may wait for them.  Twenty such looks in a row
are a hang.  A look that is late counts as one, so a pause of the machine is no hang, whoever goes on first after it.

The same holds for the thread of Fast DDS that keeps its timers, which wakes to announce the process every 1.6 s
(``config/fastdds.xml``).  It may end in a deadlock with a thread that receives (eProsima/Fast-DDS issue 6502), when a
writer disappears that it is just answering.  Such a process is heard, and hears nothing any more.  Nothing of Python
and no driver holds this thread up, so it does not matter what the others do.

What is not found: a main thread that computes without end, and one that waits for Python's global lock, for which it
wakes 200 times a second.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.station.dds_profile import uses_own_profile

_EVERY_S = 1.0
_LOOKS = 20  # the longest that a driver waits for anything in one go is 10 s
_ASK = 10  # looks until it is asked where it hangs
_BUSY_S = 0.2  # of processor time from one look to the next; the threads of DDS alone use less
_ASLEEP = 'ST'
_TIMERS = 'dds.ev.'  # begin of the name of the thread that keeps the timers of a participant
SAY_WHERE = signal.SIGUSR1  # a node then writes the stack of each of its threads to its log


@dataclass(frozen=True)
class _Thread:
    """A thread, as the kernel says."""

    state: str
    debugger: int
    switches: int


@dataclass
class _Seen:
    """A process as the last look has found it."""

    pid: int
    switches: int  # of its main thread
    cpu_s: float = 0.0  # so the first look at a process finds it busy, and does not count
    looks: int = 0
    asked: bool = False
    told: int = 0  # process of a debugger that was named


@dataclass
class _Timers:
    """The thread of a process that keeps the timers of DDS."""

    pid: int
    thread: int
    switches: int
    looks: int = 0


class HangWatch:
    """Ends processes that hang; to be told often which processes there are.

    Parameters
    ----------
    say : callable
        Told (name, words) of what is found and done.
    proc : Path
        Of the kernel.
    send : callable
        Sends (process, signal).
    timers : bool
        Watch the timers of DDS, too.  By default where the station's own profile wakes them often enough.
    """

    def __init__(
        self,
        say: Callable[[str, str], None],
        proc: Path = Path('/proc'),
        send: Callable[[int, int], None] = os.kill,
        timers: bool | None = None,
    ) -> None:
        self._say, self._proc, self._send = say, proc, send
        self._watch_timers = uses_own_profile() if timers is None else timers
        self._seen: dict[str, _Seen] = {}
        self._timers: dict[str, _Timers] = {}
        self._next_s = 0.0

    def step(self, now_s: float, pids: Mapping[str, int]) -> None:
        """Look at processes that have not ended, once a second, and end those that hang.

        Parameters
        ----------
        now_s : float
            Of a steady clock.
        pids : mapping
            Process by name.
        """
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        self._seen = {name: seen for name, seen in self._seen.items() if pids.get(name) == seen.pid}
        self._timers = {name: seen for name, seen in self._timers.items() if pids.get(name) == seen.pid}
        for name, pid in pids.items():
            try:
                if self._look(name, pid) and self._watch_timers:
                    self._look_at_timers(name, pid)
            except (FileNotFoundError, ProcessLookupError):  # it, or the thread, has just ended
                self._seen.pop(name, None)
                self._timers.pop(name, None)

    def _look(self, name: str, pid: int) -> bool:
        """Whether the main thread runs, as far as is known."""
        main, seen = self._thread(pid, pid), self._seen.get(name)
        if seen is not None and seen.asked and main.switches != seen.switches:
            seen.asked, seen.switches = False, main.switches  # it woke to say where it hangs
            return False
        if seen is None or main.switches != seen.switches:
            if seen is not None:
                self._went_on(name, seen.looks)
            self._seen[name] = _Seen(pid, main.switches)
            return not main.debugger
        cpu_s, idle = self._rest(pid)
        used_s, seen.cpu_s = cpu_s - seen.cpu_s, cpu_s
        if main.debugger:
            seen.looks = 0
            if seen.told != main.debugger:
                self._say(name, f'is held by a debugger (process {main.debugger}) and left alone')
            seen.told = main.debugger
        elif main.state in _ASLEEP and idle and used_s < _BUSY_S:
            seen.looks += 1
            why = 'is stopped by a signal' if main.state == 'T' else 'sleeps and does not wake'
            seen.asked |= self._act(name, pid, seen.looks, f'its main thread {why}')
        return False

    def _look_at_timers(self, name: str, pid: int) -> None:
        seen = self._timers.get(name)
        if seen is None:
            for thread in self._threads(pid):
                if self._called(thread).startswith(_TIMERS):
                    number = int(thread.name)
                    self._timers[name] = _Timers(pid, number, self._thread(pid, number).switches)
            return
        timers = self._thread(pid, seen.thread)
        if timers.switches != seen.switches:
            self._went_on(name, seen.looks)
            seen.switches, seen.looks = timers.switches, 0
        elif timers.state == 'S' and not timers.debugger:
            seen.looks += 1
            self._act(name, pid, seen.looks, 'its DDS sleeps and does not wake')

    def _went_on(self, name: str, looks: int) -> None:
        """Take back what was said after so many looks; one that was killed runs once more, to end."""
        if _ASK <= looks < _LOOKS:
            self._say(name, 'goes on')

    def _act(self, name: str, pid: int, looks: int, why: str) -> bool:
        """Do what is due after so many looks; whether the process was asked where it hangs."""
        if looks == _ASK:
            self._say(name, f'hangs: {why}; the process is killed in {_LOOKS - _ASK} s, unless it goes on')
            self._send(pid, SAY_WHERE)
        elif looks == _LOOKS:
            self._say(name, f'hangs: {why}; killed')
            self._send(pid, signal.SIGKILL)
        return looks == _ASK

    def _thread(self, pid: int, thread: int) -> _Thread:
        text = (self._proc / f'{pid}/task/{thread}/status').read_text(encoding='utf-8', errors='replace')
        found = dict(line.split(':', 1) for line in text.splitlines() if ':' in line)
        try:
            switches = int(found['voluntary_ctxt_switches']) + int(found['nonvoluntary_ctxt_switches'])
            return _Thread(found['State'].split()[0], int(found['TracerPid']), switches)
        except (KeyError, ValueError) as error:
            raise StationError(f'this kernel does not say how a process does: {error}', where=f'/proc/{pid}') from None

    def _threads(self, pid: int) -> list[Path]:
        return list((self._proc / f'{pid}/task').iterdir())

    def _called(self, thread: Path) -> str:
        try:
            return (thread / 'comm').read_text(encoding='utf-8', errors='replace')
        except (FileNotFoundError, ProcessLookupError):  # that thread has ended
            return ''

    def _rest(self, pid: int) -> tuple[float, bool]:
        """Processor time of all threads, and whether all others sleep, too."""
        fields = (self._proc / f'{pid}/stat').read_text(encoding='utf-8', errors='replace').rsplit(')', 1)[1].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
        states = []
        for thread in self._threads(pid):
            try:
                text = (thread / 'stat').read_text(encoding='utf-8', errors='replace')
            except (FileNotFoundError, ProcessLookupError):  # that thread has ended
                continue
            states.append(text.rsplit(')', 1)[1].split()[0])
        return cpu_s, all(state in _ASLEEP for state in states)
