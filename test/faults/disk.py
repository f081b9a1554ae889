"""A disk that is full, for one file of this process."""

import errno
import os
from unittest import mock


class Disk:
    """Stands between this process and the disk of one file: `capacity` bytes fit, then it is full.

    Attributes
    ----------
    capacity : int
        Bytes of the file that fit.
    number : int
        Error that a full disk gives.
    sync_fails, allocation_fails : bool
        `fdatasync` or `posix_fallocate` reports a full disk.
    reserve : Reserve or None
        What it has given back fits as well.
    """

    def __init__(self, path, capacity):
        self.path, self.capacity = path, capacity
        self.number, self.sync_fails, self.allocation_fails, self.reserve = errno.ENOSPC, False, False, None
        self._reserved = 0
        self._patches = [
            mock.patch('os.pwrite', self._pwrite), mock.patch('os.fdatasync', self._sync),
            mock.patch('os.posix_fallocate', self._allocate),
        ]  # fmt: skip
        self._real = os.pwrite, os.fdatasync, os.posix_fallocate

    def __enter__(self):
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *_):
        for patch in self._patches:
            patch.stop()

    def _is_mine(self, number):
        return os.path.samestat(os.fstat(number), os.stat(self.path))

    def _pwrite(self, number, data, at):
        if not self._is_mine(number):
            return self._real[0](number, data, at)
        given = 0 if self.reserve is None else self._reserved - self.reserve.size
        fits = max(self.capacity + given - at, 0)
        if not fits and len(data):
            raise OSError(self.number, os.strerror(self.number))
        return self._real[0](number, data[:fits], at)

    def _sync(self, number):
        if self.sync_fails:
            raise OSError(self.number, os.strerror(self.number))
        self._real[1](number)

    def _allocate(self, number, offset, size):
        if self.allocation_fails:
            raise OSError(self.number, os.strerror(self.number))
        self._reserved = size
        self._real[2](number, offset, size)
