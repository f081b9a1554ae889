"""Locks of a session's folder: they belong to the kernel, and end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from qkd_gs.errors import StationError

_FILE = '.writers'
_MANIFEST = '.session.json.lock'  # session.json itself is replaced by each writing, and so is not the file to lock


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


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Be the only one, of all processes and threads, who changes the manifest of a session.

    Raises
    ------
    StationError
        No such folder, or one that this user must not write into.
    """
    try:
        file = open(folder / _MANIFEST, 'ab')  # noqa: SIM115  closed below; the try is for the opening alone
    except FileNotFoundError as error:
        raise StationError('no such folder', where=folder) from error
    except OSError as error:
        raise StationError(f'cannot be written into: {error.strerror}', where=folder) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
