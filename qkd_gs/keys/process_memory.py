"""Keeps the memory of a process that holds secrets from core dumps, other processes of the user, and the swap."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

log = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # linux/mman.h; the last: pages are locked when they are first used
_CAP_IPC_LOCK = 14


@cache
def protect_memory() -> tuple[str, ...]:
    """Protect the memory of this process, once; a key folder does so when it is opened.

    No core dump is written (`RLIMIT_CORE`, inherited by child processes).  Other processes of the same user can neither
    attach a debugger nor read ``/proc/PID/mem`` (`PR_SET_DUMPABLE`).  Where the machine has swap, the memory is locked
    if this user may do so.

    Returns
    -------
    tuple of str
        Protections that failed, which are logged, too; empty if none did.
    """
    missing = []
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        missing.append(f'other processes of this user may read the memory of this one: {_last_error()}')
    if has_swap() and not (may_lock() and not libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)):
        missing.append('secrets may be swapped out: give this user `memlock unlimited`, encrypt the swap, or have none')
    for line in missing:
        log.warning('%s', line)
    return tuple(missing)


def allow_swapping(mapped: NDArray[Any]) -> None:
    """Take a mapped file, which is on the disk in any case, out of the locked memory."""
    address, page = int(mapped.ctypes.data), resource.getpagesize()
    start = address - address % page
    ctypes.CDLL(None).munlock(ctypes.c_void_p(start), ctypes.c_size_t(address + mapped.nbytes - start))


def has_swap(swaps: Path = Path('/proc/swaps')) -> bool:
    """Whether this machine may write memory to a disk; unknown counts as yes."""
    try:
        return len(swaps.read_text(encoding='utf-8').splitlines()) > 1
    except OSError:
        return True


def may_lock(status: Path = Path('/proc/self/status')) -> bool:
    """Whether all memory may be locked; a limit that is reached later would make the process fail."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        lines = dict(line.split(':', 1) for line in status.read_text(encoding='utf-8').splitlines())
    except OSError:
        return False
    return soft == resource.RLIM_INFINITY or bool(int(lines['CapEff'], 16) >> _CAP_IPC_LOCK & 1)


def _last_error() -> str:
    return os.strerror(ctypes.get_errno())
