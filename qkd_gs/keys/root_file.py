"""The root file of a key store: its monotonic counter and the key that opens its present state, and no earlier one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.files import read_secret, write_secret

_HEAD = b'qkd_gs root 1'
_KEY_BYTES = 32


class RootFile:
    """Counter and root key of each state in which the store may be.

    The file holds one state, or two while a change is written: the state before and the one after.  An older copy of
    the store opens with neither, so restoring one is noticed; what was deleted from the store stays unreadable, even
    in a copy of it, once the root key of that state has been overwritten.

    Parameters
    ----------
    path : Path
        On the same disk as the store, or better elsewhere: a copy of both is noticed by nobody.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """True if it has been written."""
        return self.path.exists()

    def read(self) -> dict[int, bytes]:
        """Root key by count.

        Raises
        ------
        StationError
            Missing, damaged, or of another version.
        """
        head, *lines = read_secret(self.path).splitlines()
        if head != _HEAD:
            raise StationError('is not the root file of a key store, or one of another version', where=self.path)
        try:
            found = {int(count): bytes.fromhex(key.decode()) for count, key in (line.split() for line in lines)}
        except ValueError as error:
            raise StationError('is damaged', where=self.path) from error
        if not found or any(len(key) != _KEY_BYTES for key in found.values()):
            raise StationError('is damaged', where=self.path)
        return found

    def write(self, keys: Mapping[int, bytes]) -> None:
        """Replace the content; the old one is overwritten on the disk."""
        lines = [f'{count} {key.hex()}'.encode() for count, key in sorted(keys.items())]
        write_secret(self.path, b'\n'.join([_HEAD, *lines, b'']), replace=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all processes and threads, who changes store and root file."""
        with open(self.path.with_name(f'{self.path.name}.lock'), 'ab', opener=_private) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
