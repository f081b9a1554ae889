"""Imported first by the server that forks the nodes: a signal to a whole process group is for the owner of the station.

The owner stops the nodes in order and waits for them.  If the server died of the same signal, its children would all be
told to end at once, and the owner could not know when they have ended.
"""

from __future__ import annotations

import os
import signal
import sys

from qkd_gs.children import end_with_parent


def leave_the_group() -> None:
    """Heed no signal of the owner's terminal or group, and end when the owner does.

    Nodes inherit that SIGINT is blocked: one that comes before a node has a handler for it waits until then.
    """
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)


if any('multiprocessing.forkserver' in word for word in sys.orig_argv):  # not where the module is imported otherwise
    leave_the_group()
