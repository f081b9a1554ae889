"""Processes that this one starts: their environment, and when they end.

Python puts the current folder first on the module path of ``python -m`` and ``python -c``, and the latter is how
`multiprocessing` starts its servers.  A file ``secrets.py`` in a session's folder would be executed beside the keys.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
_CHANGED = ('PYTHONSAFEPATH', 'PYTHONPATH')


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment, in which Python imports nothing from the current folder.

    The absolute folders of ``PYTHONPATH`` stay, since a package built by colcon is found through them.  An empty or
    relative one means the current folder, or one below it, and is left out.
    """
    safe = {**environment, 'PYTHONSAFEPATH': '1'}
    folders = [folder for folder in safe.pop('PYTHONPATH', '').split(os.pathsep) if os.path.isabs(folder)]
    return safe | ({'PYTHONPATH': os.pathsep.join(folders)} if folders else {})


@contextmanager
def protected_children() -> Iterator[None]:
    """Give every interpreter that `multiprocessing` starts meanwhile such an environment; then all is as it was."""
    before = {name: os.environ.get(name) for name in _CHANGED}
    safe = child_environment(os.environ)
    try:
        _set({name: safe.get(name) for name in _CHANGED})
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def end_with_parent(number: int) -> None:
    """Have this process sent a signal when the thread that started it ends (Linux, prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


@contextmanager
def ended_after(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Terminate a process at the end of the context, and wait for it."""
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
