"""The root file of a key store: its monotonic counter and the key that opens its present state, and no earlier one."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qkd_gs.errors import StationError
from qkd_gs.keys.files import overwrite, read_secret, write_secret

_HEAD, _HEAD_1 = b'qkd_gs root 2', b'qkd_gs root 1'
_KEY_BYTES = 32
_PLACE_BYTES = 512  # a sector: head, state with an even count, state with an odd count


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
        content = read_secret(self.path)
        head, *lines = content.splitlines() or [b'']
        if head == _HEAD_1:
            found = self._version_1(lines)
        elif head.rstrip(b'\0') == _HEAD:
            places = (content[start : start + _PLACE_BYTES] for start in (_PLACE_BYTES, 2 * _PLACE_BYTES))
            found = dict(state for state in map(_state_at, places) if state is not None)
        else:
            raise StationError('is not the root file of a key store, or one of another version', where=self.path)
        if not found or any(len(key) != _KEY_BYTES for key in found.values()):
            raise StationError('is damaged', where=self.path)
        return found

    def write(self, keys: Mapping[int, bytes]) -> None:
        """Replace the content, on the disk before this returns; the old one is overwritten where it lay.

        One state that comes or goes is written in its place, so that the other one cannot be harmed.

        Parameters
        ----------
        keys : mapping of int to bytes
            Root key by count; two states have counts that follow each other.
        """
        content = _content(keys)
        old = read_secret(self.path) if self.path.exists() else b''
        changed = [start for start in range(0, len(content), _PLACE_BYTES) if not _same_place(old, content, start)]
        if len(old) == len(content) and len(changed) <= 1:
            for start in changed:
                overwrite(self.path, start, content[start : start + _PLACE_BYTES])
        else:
            write_secret(self.path, content, replace=True)

    def _version_1(self, lines: list[bytes]) -> dict[int, bytes]:
        try:
            return dict(map(_state_of_version_1, lines))
        except ValueError as error:
            raise StationError('is damaged', where=self.path) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all processes and threads, who changes store and root file."""
        with open(self.path.with_name(f'{self.path.name}.lock'), 'ab', opener=_private) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _content(keys: Mapping[int, bytes]) -> bytes:
    places = [_HEAD, b'', b'']
    for count, key in keys.items():
        state = f'{count} {key.hex()}'
        places[1 + count % 2] = f'{state} {_check(state)}'.encode()
    return b''.join(one.ljust(_PLACE_BYTES - 1, b'\0') + b'\n' for one in places)


def _same_place(one: bytes, other: bytes, start: int) -> bool:
    return one[start : start + _PLACE_BYTES] == other[start : start + _PLACE_BYTES]


def _state_at(place: bytes) -> tuple[int, bytes] | None:
    """Count and root key; None if the place is empty, or was being written when the power failed."""
    words = place.rstrip(b'\0\n').decode('ascii', 'replace').split(' ')
    if len(words) != 3 or words[2] != _check(f'{words[0]} {words[1]}'):
        return None
    return int(words[0]), bytes.fromhex(words[1])


def _check(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _state_of_version_1(line: bytes) -> tuple[int, bytes]:
    count, key = line.split()
    return int(count), bytes.fromhex(key.decode())
