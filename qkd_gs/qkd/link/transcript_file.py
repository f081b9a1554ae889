"""The public messages of a run in a file, chained by hashes; what an auditor replays.

Layout: a line `MAGIC`, then for each message: sender u8 (0 satellite, 1 ground), kind u8, length u32 (big-endian),
payload, and SHA-256 of the hash before (first: of `MAGIC`) and of all that.  Everything in it has been said in public.
"""

from __future__ import annotations

import os
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from qkd_gs.errors import StationError

MAGIC = b'qkd_gs transcript 1\n'
_HEAD = struct.Struct('>BBI')


class TranscriptFile:
    """Writes the messages of a run; the file is made with the first of them.

    Parameters
    ----------
    folder : Path
        The file gets the next free number in it.
    stem : str
        Name without number and ending.
    """

    def __init__(self, folder: Path, stem: str = 'transcript'):
        self._folder, self._stem = folder, stem
        self._file: BinaryIO | None = None
        self._path = folder
        self._chain, self._messages = sha256(MAGIC).digest(), 0

    def record(self, sender: int, kind: int, payload: bytes) -> None:
        """Append a message.

        Raises
        ------
        StationError
            The file cannot be written.
        """
        head = _HEAD.pack(sender, kind, len(payload))
        self._chain = sha256(self._chain + head + payload).digest()
        self._messages += 1
        try:
            file = self._file or self._begin()
            for part in (head, payload, self._chain):
                file.write(part)
        except OSError as error:
            raise self._unwritten(error) from error

    def seal(self) -> dict[str, Any]:
        """Name of the file, number of messages and last hash, with all of it on the disk."""
        try:
            file = self._file or self._begin()
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritten(error) from error
        return {'file': self._path.name, 'messages': self._messages, 'sha256': self._chain.hex()}

    def close(self) -> None:
        """Close the file; may be called repeatedly."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> TranscriptFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> BinaryIO:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        number = 1
        while True:
            self._path = self._folder / f'{self._stem}-{number}.qgt'
            try:
                self._file = open(self._path, 'xb')  # noqa: SIM115  closed by `close`
            except FileExistsError:
                number += 1
                continue
            self._file.write(MAGIC)
            return self._file

    def _unwritten(self, error: OSError) -> StationError:
        return StationError(f'cannot be written: {error.strerror or error}', where=self._path)
