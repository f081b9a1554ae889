"""What was or will be said in public anyway, written aside so that a long session does not fill the memory with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from qkd_gs.errors import StationError


class Spool:
    """Records in a file, each to be read again by its number.

    Never anything secret: neither bits nor what would tell them.

    Parameters
    ----------
    file : binary file, optional
        Open for writing and reading, and better without a name, so that nothing of it is left behind.  Without one
        the records are kept in memory.
    """

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file = io.BytesIO() if file is None else file
        self._ends = [0]

    def add(self, record: bytes) -> int:
        """Write a record; its number.

        Raises
        ------
        StationError
            The disk is full, or does not write.
        """
        with _told():
            self._file.seek(self._ends[-1])
            self._file.write(record)
        self._ends.append(self._ends[-1] + len(record))
        return len(self._ends) - 2

    def record(self, number: int) -> bytes:
        """A record that was written.

        Raises
        ------
        StationError
            The disk is full, or does not read.
        """
        start, end = self._ends[number : number + 2]
        with _told():
            self._file.seek(start)  # writes what was still waiting
            return self._file.read(end - start)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StationError(
            f'cannot be written or read: {error.strerror}', where='temporary file', hint='is the disk full?'
        ) from error
