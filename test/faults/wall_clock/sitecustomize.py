"""With this folder on PYTHONPATH a process sees a wall clock that somebody has set by ``$WALL_CLOCK_FILE`` ns.

Python loads a module of this name before anything else.  The monotonic clock is left alone, as the kernel does.
"""

import os
import time

_PATH = os.environ['WALL_CLOCK_FILE']
_real_ns = time.time_ns


def _time_ns():
    with open(_PATH, encoding='ascii') as file:
        return _real_ns() + int(file.read() or 0)


time.time_ns = _time_ns
time.time = lambda: _time_ns() * 1e-9
