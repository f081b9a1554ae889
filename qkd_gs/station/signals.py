"""Signals that ask a process to stop: deferred while something must not be interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@contextmanager
def signals_afterwards() -> Iterator[list[int]]:
    """Defer the signals of `STOPPING` to the end; one that is ignored stays ignored.

    An exception raised within a callback of ROS may be lost, and one between the start of a process and the note of its
    id would lose the process.  Yields the list of signals received so far; those removed from it are dealt with.  Only
    the main thread receives any.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in heeded}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)
