"""Worker threads of numerical libraries, which no process of the station may have."""

from __future__ import annotations

import os

_VARIABLES = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'NUMBA_NUM_THREADS', 'OPENCV_FOR_THREADS_NUM')


def one_thread_environment() -> dict[str, str]:
    """Environment variables of a process of the station: one thread for each library, unless the environment says more.

    A worker has the real-time priority of its process and spins while it waits, so that it holds up the loops of other
    nodes.
    """
    return {name: os.environ.get(name, '1') for name in _VARIABLES}
