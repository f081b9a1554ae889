"""Who still writes into a session: told by a lock of the kernel, which ends with its process, however that ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

_FILE = '.writers'


def writing(folder: Path) -> IO[bytes]:
    """Hold a place among the writers of a session, until the file is closed.

    Parameters
    ----------
    folder : Path
        Of the session; it exists.
    """
    file = open(folder / _FILE, 'ab')  # noqa: SIM115  open as long as the session is written
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def wait_until_written(folder: Path) -> None:
    """Wait until nobody writes into a session any more: each has closed its files, or has died."""
    with open(folder / _FILE, 'ab') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
