"""Random bits of the system's generator that a session draws once, and reads again in every later run."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np

from qkd_gs.arrays import ByteArray
from qkd_gs.keys.files import read_secret, write_secret


class RandomTape:
    """Secret random bits in a file; a second reader of the file gets the same.

    A repeated run must draw what the first one drew, since the draws are part of what it announces.

    Parameters
    ----------
    path : Path
        Does not exist before the first `save`.
    """

    def __init__(self, path: Path):
        self._path = path
        self._content = bytearray(read_secret(path) if path.exists() else b'')
        self._saved, self._next = len(self._content), 0

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<RandomTape of {len(self._content)} bytes>'

    def bits(self, count: int) -> ByteArray:
        """The next `count` bits, (count,) uint8 of 0 and 1; drawn where the tape ends."""
        end = self._next + -(-count // 8)
        self._content += secrets.token_bytes(max(0, end - len(self._content)))
        part = np.frombuffer(bytes(self._content[self._next : end]), np.uint8)
        self._next = end
        return np.unpackbits(part, count=count)

    def save(self) -> None:
        """Write what was drawn, on the disk before it returns.

        Raises
        ------
        StationError
            The file cannot be written.
        """
        if len(self._content) > self._saved:
            write_secret(self._path, bytes(self._content), replace=True)
            self._saved = len(self._content)
