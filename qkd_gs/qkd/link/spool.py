"""Temporary storage on disk for public data of a long session, so that they do not fill the memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from qkd_gs.errors import StationError


class Spool:
    """Records in a file, read back by number; for public data only.

    Parameters
    ----------
    file : binary file, optional
        Open for writing and reading, preferably without a name, so that it disappears with the process.  In memory
        if not given.
    """

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file = io.BytesIO() if file is None else file
        self._ends = [0]

    def add(self, record: bytes) -> int:
        """Write a record; return its number.

        Raises
        ------
        StationError
            The disk is full or cannot be written.
        """
        with _reporting_errors():
            self._file.seek(self._ends[-1])
            self._file.write(record)
        self._ends.append(self._ends[-1] + len(record))
        return len(self._ends) - 2

    def record(self, number: int) -> bytes:
        """Read a record by its number.

        Raises
        ------
        StationError
            The disk is full or cannot be read.
        """
        start, end = self._ends[number : number + 2]
        with _reporting_errors():
            self._file.seek(start)  # flushes buffered writes
            return self._file.read(end - start)


@contextmanager
def _reporting_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StationError(
            f'cannot be written or read: {error.strerror}', where='temporary file', hint='is the disk full?'
        ) from error
