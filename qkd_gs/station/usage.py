"""Resources that a process has used so far, as the kernel counts, and memory that it can give back."""

from __future__ import annotations

import ctypes
import gc
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Since the start of a process.

    Attributes
    ----------
    cpu_s : float
        Processor time of all its threads.
    up_s : float
        Age of the process.
    memory_mb, shared_mb : float
        Resident memory, and how much of it is shared with others.
    """

    cpu_s: float
    up_s: float
    memory_mb: float
    shared_mb: float


def usage_of(pid: int) -> Usage:
    """Usage of a process.

    Raises
    ------
    OSError
        It has ended.
    """
    tick_s, page = os.sysconf('SC_CLK_TCK'), os.sysconf('SC_PAGE_SIZE')
    fields = Path(f'/proc/{pid}/stat').read_text(encoding='ascii').rsplit(')', 1)[1].split()
    resident, shared = map(int, Path(f'/proc/{pid}/statm').read_text(encoding='ascii').split()[1:3])
    up_s = float(Path('/proc/uptime').read_text(encoding='ascii').split()[0]) - int(fields[19]) / tick_s
    return Usage((int(fields[11]) + int(fields[12])) / tick_s, up_s, resident * page / 1e6, shared * page / 1e6)


def give_back_memory() -> None:
    """Return memory that is free within this process to the system.

    The allocator of glibc keeps what is freed below a block in use, for as long as the process lives.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:  # of glibc alone
        trim(0)
