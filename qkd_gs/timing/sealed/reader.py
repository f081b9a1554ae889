"""Read a sealed tag file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag

from qkd_gs.errors import StationError
from qkd_gs.timing.sealed.hybrid import SealingKey
from qkd_gs.timing.sealed.layout import (
    CHUNK,
    HEADER,
    LEAST_CHUNK,
    MAGIC,
    MAX_CHUNK,
    VERSION,
    VERSION_OF_HEADER,
    Ratchet,
    fingerprint,
    unpacked,
)
from qkd_gs.timing.tags import TagBlock


@dataclass(frozen=True)
class SealedFile:
    """A sealed file and the key that opens it.

    Attributes
    ----------
    path : Path
    private_key : SealingKey
        Of the session.
    session_id : bytes, optional
        16 bytes; a file of another session is refused.
    frozen : bytes, optional
        Digest of the frozen settings; a file that was recorded with other ones is refused.
    """

    path: Path
    private_key: SealingKey
    session_id: bytes | None = None
    frozen: bytes | None = None

    def start_ns(self) -> int:
        """UTC at which the run began, ns.  It is authenticated once `blocks` has given its first block.

        Raises
        ------
        StationError
            As `blocks`.
        """
        with _readable(self.path) as file:
            header = file.read(HEADER.size)
        self._opened(header)
        return int(HEADER.unpack(header)[3])

    def blocks(self, require_end: bool = True) -> Iterator[TagBlock]:
        """Tags chunk by chunk, in the order they were written.

        Parameters
        ----------
        require_end : bool
            Whether a file that stops without its last chunk is refused.  False reads a file whose writer
            was killed, or lost its power, up to the last whole chunk.

        Raises
        ------
        StationError
            Not a sealed file, sealed for another key, tampered with, or cut short.
        """
        with _readable(self.path) as file:
            yield from self._read(file, require_end)

    def followed(self) -> Callable[[], Iterator[TagBlock]]:
        """Each call of the result gives the tags that were written since the call before.

        Raises
        ------
        StationError
            As `blocks`.
        """
        with _readable(self.path) as file:
            ratchet, chunks, at = self._opened(file.read(HEADER.size)), count(), file.tell()

        def newer() -> Iterator[TagBlock]:
            nonlocal at
            with _readable(self.path) as file:
                file.seek(at)
                while chunk := _whole_chunk(file):
                    at = file.tell()
                    yield self._unsealed(ratchet, next(chunks), *chunk)

        return newer

    def _unsealed(self, ratchet: Ratchet, number: int, last: bool, sealed: bytes) -> TagBlock:
        try:
            return unpacked(ratchet.open(number, last, sealed))
        except InvalidTag as error:
            raise StationError(f'chunk {number} has been changed since it was written', where=self.path) from error

    def _read(self, file: BinaryIO, require_end: bool) -> Iterator[TagBlock]:
        header = file.read(HEADER.size)
        ratchet = self._opened(header)
        number, last = 0, False
        while not last:
            head = file.read(CHUNK.size)
            length, last = CHUNK.unpack(head) if len(head) == CHUNK.size else (0, False)
            if length and not LEAST_CHUNK <= length <= MAX_CHUNK:
                raise StationError(f'chunk {number} has an impossible length', where=self.path)
            sealed = file.read(length)
            if not length or len(sealed) < length:
                if require_end or not _only_zeros(file):
                    raise StationError(f'is cut short after chunk {number}: tags are missing', where=self.path)
                return
            try:
                block = self._unsealed(ratchet, number, bool(last), sealed)
            except StationError:
                if not require_end and _only_zeros(file):  # nothing behind it: half-written when the power went
                    return
                raise
            yield block
            number += 1
        if file.read(1):
            raise StationError('has something behind its last chunk', where=self.path)

    def _opened(self, header: bytes) -> Ratchet:
        _check_version(header, self.path)
        _, _, session_id, _, encapsulated, recipient, frozen = HEADER.unpack(header)
        if recipient != fingerprint(self.private_key.public_bytes()):
            raise StationError(
                'is sealed for another key', where=self.path, hint='give the keys folder of the station that took it'
            )
        if self.session_id not in (None, session_id):
            raise _of_another_session(self.path)
        if self.frozen not in (None, frozen):
            raise _of_other_settings(self.path)
        try:
            secret = self.private_key.decapsulate(encapsulated)
        except ValueError as error:  # a public key of low order: only a forged header has one
            raise StationError('has a forged header', where=self.path) from error
        return Ratchet(secret, header)


def _whole_chunk(file: BinaryIO) -> tuple[bool, bytes] | None:
    """The next chunk; None while not all of it is written."""
    head = file.read(CHUNK.size)
    length, last = CHUNK.unpack(head) if len(head) == CHUNK.size else (0, 0)
    sealed = file.read(min(length, MAX_CHUNK))
    return (bool(last), sealed) if length and len(sealed) == length else None


def check_header(path: Path, session_id: bytes, frozen: bytes) -> None:
    """Look at the header of a sealed file; needs no key, so what is behind it is not authenticated.

    Raises
    ------
    StationError
        Not a sealed file, of another version, of another session, or recorded with other frozen settings.
    """
    with _readable(path) as file:
        header = file.read(HEADER.size)
    _check_version(header, path)
    _, _, found_id, _, _, _, found_frozen = HEADER.unpack(header)
    if found_id != session_id:
        raise _of_another_session(path)
    if found_frozen != frozen:
        raise _of_other_settings(path)


def _check_version(header: bytes, path: Path) -> None:
    if len(header) < VERSION_OF_HEADER.size or not header.startswith(MAGIC):
        raise StationError('is not a sealed tag file', where=path)
    version = VERSION_OF_HEADER.unpack(header[: VERSION_OF_HEADER.size])[1]
    if version != VERSION:
        raise StationError(
            f'version {version} is not {VERSION}', where=path, hint='process it with the software that took it'
        )
    if len(header) < HEADER.size:
        raise StationError('is cut short in its header', where=path)


def _of_another_session(path: Path) -> StationError:
    return StationError('belongs to another session', where=path, hint='take it out of this folder')


def _of_other_settings(path: Path) -> StationError:
    return StationError(
        'was recorded with other settings of detectors, source or key than session.json has',
        where=path,
        hint='delays, gate and source are frozen before the pass; put the session.json of the recording back',
    )


def has_end(path: Path) -> bool:
    """True if a sealed file ends with a last chunk; needs no key, and only reading the file proves it.

    False for one that is still written, or whose writer died.

    Raises
    ------
    StationError
        It cannot be read.
    """
    with _readable(path) as file:
        at, size, last = HEADER.size, file.seek(0, os.SEEK_END), 0
        while at + CHUNK.size <= size:
            file.seek(at)
            length, last = CHUNK.unpack(file.read(CHUNK.size))
            if not LEAST_CHUNK <= length <= MAX_CHUNK:  # e.g. the zeros that a power cut leaves
                return False
            at += CHUNK.size + length
        return bool(last) and at == size


def _only_zeros(file: BinaryIO) -> bool:
    """True if only zeros follow, as some file systems leave after a power failure, or nothing."""
    return not any(block.strip(b'\0') for block in iter(lambda: file.read(1 << 20), b''))


@contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, 'rb') as file:
            yield file
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
