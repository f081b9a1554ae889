"""An append-only file that survives a full disk: what could not be written is kept, in order, and tried again.

A `Reserve` holds space for it on the same disk, which nothing else can take.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from pathlib import Path

from qkd_gs.errors import StationError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_RESERVE = '.reserved-for-tags'
_STEP = 1 << 24  # bytes that a full disk gets back at a time


class Reserve:
    """Space on the disk of a folder, kept by a file of that size.

    A reserve that a killed process has left behind is taken over.

    Parameters
    ----------
    folder : Path
        Of the session.
    size : int
        Bytes.

    Raises
    ------
    StationError
        There is not so much space, or the folder cannot be written into.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / _RESERVE
        try:
            self._file = open(self._path, 'ab')  # noqa: SIM115  as long as the session is recorded
        except OSError as error:
            raise StationError(f'cannot be written into: {error.strerror}', where=folder) from error
        try:
            os.posix_fallocate(self._file.fileno(), 0, size)
        except OSError as error:
            self.release()
            hint = f'{size / 1e6:.0f} MB are kept free for the tags of a pass: delete old sessions'
            raise StationError(f'no space for a pass: {error.strerror}', where=folder, hint=hint) from error

    @property
    def size(self) -> int:
        """Bytes that are still held."""
        return 0 if self._file.closed else os.fstat(self._file.fileno()).st_size

    def give(self) -> bool:
        """Give a part back to the disk; False: nothing was left."""
        left = self.size
        if not left:
            return False
        os.ftruncate(self._file.fileno(), max(left - _STEP, 0))
        return True

    def release(self) -> None:
        """Give everything back; any number of times."""
        if not self._file.closed:
            os.ftruncate(self._file.fileno(), 0)
            self._file.close()
            self._path.unlink(missing_ok=True)


def release_left_behind(folder: Path) -> None:
    """Give back what a process that was killed has reserved in a session's folder."""
    (folder / _RESERVE).unlink(missing_ok=True)


class DurableFile:
    """Append to a file; what has been appended is on the disk, or waits and is written first the next time.

    Parameters
    ----------
    path : Path
        Must not exist yet.
    reserve : Reserve, optional
        Used up when the disk is full.

    Raises
    ------
    StationError
        It cannot be created.
    """

    def __init__(self, path: Path, reserve: Reserve | None = None) -> None:
        self._path, self._reserve = path, reserve
        self._waiting: deque[bytes] = deque()
        self._end = 0  # of what is certainly on the disk
        try:
            self._file = open(path, 'xb', buffering=0)  # noqa: SIM115  lives as long as the recording
        except OSError as error:
            raise StationError(f'cannot be created: {error.strerror}', where=path) from error

    @property
    def waiting(self) -> int:
        """Bytes that are not on the disk yet."""
        return sum(map(len, self._waiting))

    def append(self, data: bytes) -> None:
        """Write what waits, then `data`; after an error the file ends where it ended before.

        Raises
        ------
        StationError
            Not everything could be written: the rest waits.
        """
        if data:
            self._waiting.append(data)
        while self._waiting:
            try:
                self._write(self._waiting[0])
            except OSError as error:
                if error.errno in _FULL and self._reserve is not None and self._reserve.give():
                    continue
                raise StationError(f'cannot be written: {error.strerror}', where=self._path) from error
            self._waiting.popleft()

    def require_in_place(self) -> None:
        """Make sure that what is written can be found.

        Raises
        ------
        StationError
            The file is not where it was created any more: what is written goes where it went.
        """
        try:
            if os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
                return
        except FileNotFoundError:
            pass
        raise StationError('was moved or deleted while it is written', where=self._path)

    def close(self) -> None:
        """Close the file; any number of times."""
        self._file.close()

    def discard(self) -> None:
        """Close the file and delete it."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        number, at, left = self._file.fileno(), self._end, memoryview(data)
        try:
            while left:
                written = os.pwrite(number, left, at)
                at, left = at + written, left[written:]
            os.fdatasync(number)  # after an error of it nobody knows what is on the disk: all of it is written again
        except OSError:
            self._cut()
            raise
        self._end = at

    def _cut(self) -> None:
        try:
            os.ftruncate(self._file.fileno(), self._end)
        except OSError:  # the next attempt writes over it
            return
