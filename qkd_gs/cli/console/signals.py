"""Signals that stop a command that runs until it is interrupted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from qkd_gs.station.signals import STOPPING


@contextmanager
def ended_by_signals(once: bool = False) -> Iterator[None]:
    """SIGTERM and the hang-up of a terminal are as good as Ctrl-C.

    Ctrl-C and SIGTERM also work for a script in the background, where they are ignored at first; a hang-up that is
    ignored (`nohup`) stays so.

    Parameters
    ----------
    once : bool
        Only the first signal interrupts: what it starts takes a limited time and must not be broken off.
    """
    came: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        came.append(number)
        if not once or len(came) == 1:
            raise KeyboardInterrupt

    kept = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    before = {number: signal.signal(number, interrupt) for number in STOPPING if number not in kept}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
