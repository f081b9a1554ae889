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
        Of the session.

    Raises
    ------
    StationError
        No such folder, or one that this user must not write into.
    """
    file = _opened(folder, _FILE)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def wait_until_written(folder: Path) -> None:
    """Wait until nobody writes into a session any more: each has closed its files, or has died."""
    with _opened(folder, _FILE) as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def is_being_written(folder: Path) -> bool:
    """Whether somebody writes into a session now."""
    with _opened(folder, _FILE) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Be the only one, of all processes and threads, who changes the manifest of a session.

    Raises
    ------
    StationError
        No such folder, or one that this user must not write into.
    """
    with _opened(folder, _MANIFEST) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(folder: Path, name: str) -> IO[bytes]:
    try:
        return open(folder / name, 'ab')
    except FileNotFoundError as error:
        raise StationError('no such folder', where=folder) from error
    except OSError as error:
        raise StationError(f'cannot be written into: {error.strerror}', where=folder) from error
