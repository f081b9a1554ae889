"""The sealed tag file: the detector process can write it and not read it back.

Layout (little-endian)::

    header   8s magic 'QKDGSTAG' | u16 version | 16s session id | i64 UTC of the run's start, ns
             | 32s ephemeral X25519 public key | 1088s ciphertext of ML-KEM-768 | 8s recipient
             | 32s digest of the frozen settings
    chunk    u32 length | u8 last | ciphertext with its 16-byte tag      ... repeated, about two a second

A file holds one run of the TDC: its tags count from a start of their own.  A fresh secret is shared
with the session's public key for each file (`qkd_gs.timing.hybrid`); it gives the first chunk
key (HKDF-SHA256), and each chunk's key is hashed into the next and forgotten, so that even the memory of the
writing process opens nothing that is already on disk.  A chunk is AES-256-GCM; its number, the header and the
mark of the last chunk are authenticated with it, so calibration, gate and source cannot be changed behind the tags
(`StationSettings.frozen_digest`).  Inside is one unsigned 64-bit word a tag:
``time_ps << 3 | channel``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qkd_gs.errors import StationError
from qkd_gs.jit import njit
from qkd_gs.session.durable_file import DurableFile, Reserve
from qkd_gs.timing.hybrid import ENCAPSULATED_BYTES, SealingKey, encapsulate
from qkd_gs.timing.tags import TagBlock

MAGIC = b'QKDGSTAG'
VERSION = 3
_HEADER = struct.Struct(f'<8sH16sq{ENCAPSULATED_BYTES}s8s32s')
_VERSION = struct.Struct('<8sH')
_CHUNK = struct.Struct('<IB')
_LEAST_CHUNK, _MAX_CHUNK = 16, 1 << 28
_MAX_TIME_PS = 1 << 60
_MOST_WAITING = 1 << 28  # bytes of chunks that wait for the disk: twenty minutes of a pass
_CHANNEL_BITS = 3


def fingerprint(public_key: bytes) -> bytes:
    """Eight bytes that tell one recipient from another."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b'qkd_gs recipient' + public_key)
    return digest.finalize()[:8]


class SealedWriter:
    """Append tags; nothing that is written can be read back with what this object knows.

    A chunk that cannot be written (disk full) is kept, sealed, and written before the next one as soon as that is
    possible: neither tags nor the file are lost.

    Parameters
    ----------
    path : Path
        Must not exist yet.
    session_id : bytes
        16 bytes, bound to every chunk.
    recipient : bytes
        Public key of the session (`qkd_gs.timing.hybrid`).
    start_ns : int
        UTC at which the TDC's clock read 0, good to 0.1 s.
    frozen : bytes
        Digest of the settings that are frozen for the session, 32 bytes.
    flush_ns : int
        A chunk is written when this much station time has passed since the last one; a crash loses no more.
    flush_tags : int
        Or when so many tags wait.
    reserve : Reserve, optional
        Space that is released when the disk is full.
    waits : bool
        `append` goes on while the disk does not take a chunk, and `trouble` tells of it; False: it raises.

    Attributes
    ----------
    chunks, tags : int
        Sealed so far.
    discarded : int
        Tags that were discarded since more waited for the disk than this process keeps.
    trouble : StationError or None
        Why what was appended is not in the file; None: all of it is.

    Raises
    ------
    StationError
        The file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        session_id: bytes,
        recipient: bytes,
        start_ns: int,
        frozen: bytes,
        flush_ns: int = 400_000_000,
        flush_tags: int = 1 << 22,
        reserve: Reserve | None = None,
        waits: bool = False,
    ) -> None:
        secret, encapsulated = encapsulate(recipient)
        header = _HEADER.pack(MAGIC, VERSION, session_id, start_ns, encapsulated, fingerprint(recipient), frozen)
        self._ratchet = _Ratchet(secret, header)
        self._flush_ns, self._flush_tags = flush_ns, flush_tags
        self._waits = waits
        self._pending: list[TagBlock] = []
        self._waiting = 0
        self._flushed_ns: int | None = None
        self._ended = False
        self.chunks = self.tags = self.discarded = 0
        self.trouble: StationError | None = None
        self._file = DurableFile(path, reserve)
        try:
            self._file.append(header)
        except StationError:
            self._file.discard()  # an empty file would be one more run
            raise

    def append(self, now_ns: int, block: TagBlock) -> None:
        """Take tags; write a chunk if it is time to.

        Raises
        ------
        ValueError
            A time that does not fit into the file; nothing of the block is taken.
        StationError
            A chunk cannot be written now; nothing is lost yet.
        """
        if self._ended:
            raise ValueError('the sealed file is closed')
        _check_times(block)
        if len(block):
            self._pending.append(block)
            self._waiting += len(block)
        if self._flushed_ns is None:
            self._flushed_ns = now_ns
        due = now_ns - self._flushed_ns >= self._flush_ns or self._waiting >= self._flush_tags
        if due and self._pending:
            self._flushed_ns = now_ns
            self._take(self._sealed(last=False))
            if self.trouble is not None and not self._waits:
                raise self.trouble

    def close(self) -> None:
        """Write what is left and the mark of the last chunk; any number of times, until it succeeds.

        Raises
        ------
        StationError
            It cannot be written; the next call tries again.
        """
        if not self._ended:
            self._ended = True
            self._take(self._sealed(last=True))
        else:
            self._take(b'')
        if self._file.waiting and self.trouble is not None:
            raise self.trouble
        self._file.close()

    def abandon(self) -> int:
        """Close the file as it is; returns the number of bytes that could not be written."""
        self._file.close()
        return self._file.waiting

    def _take(self, chunk: bytes) -> None:
        try:
            self._file.append(chunk)
            self._file.require_in_place()
            self.trouble = None
        except StationError as error:
            self.trouble = error

    def _sealed(self, last: bool) -> bytes:
        if self._file.waiting > _MOST_WAITING:
            self.discarded += sum(len(block) for block in self._pending)
            self._pending.clear()
        words = np.concatenate([_packed(block) for block in self._pending]) if self._pending else np.empty(0, '<u8')
        self._pending.clear()
        self._waiting = 0
        plain = bytearray(words.tobytes())
        sealed = self._ratchet.seal(self.chunks, last, bytes(plain))
        words[:] = 0
        plain[:] = bytes(len(plain))
        self.chunks += 1
        self.tags += len(words)
        return _CHUNK.pack(len(sealed), last) + sealed


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
        """UTC at which the run began, ns.  It is vouched for once `blocks` has given its first block.

        Raises
        ------
        StationError
            As `blocks`.
        """
        with _readable(self.path) as file:
            header = file.read(_HEADER.size)
        self._opened(header)
        return int(_HEADER.unpack(header)[3])

    def derived_key(self, purpose: bytes) -> bytes:
        """A secret of 32 bytes that belongs to this file and purpose, always the same; gone with the private key.

        Raises
        ------
        StationError
            As `blocks`.
        """
        with _readable(self.path) as file:
            header = file.read(_HEADER.size)
        return self._opened(header).derived_key(purpose)

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

    def _read(self, file: BinaryIO, require_end: bool) -> Iterator[TagBlock]:
        header = file.read(_HEADER.size)
        ratchet = self._opened(header)
        number, last = 0, False
        while not last:
            head = file.read(_CHUNK.size)
            length, last = _CHUNK.unpack(head) if len(head) == _CHUNK.size else (0, False)
            if length and not _LEAST_CHUNK <= length <= _MAX_CHUNK:
                raise StationError(f'chunk {number} has an impossible length', where=self.path)
            sealed = file.read(length)
            if not length or len(sealed) < length:
                if require_end or not _only_zeros(file):
                    raise StationError(f'is cut short after chunk {number}: tags are missing', where=self.path)
                return
            try:
                plain = ratchet.open(number, bool(last), sealed)
            except InvalidTag as error:
                if not require_end and _only_zeros(file):  # nothing behind it: half-written when the power went
                    return
                raise StationError(f'chunk {number} has been changed since it was written', where=self.path) from error
            yield _unpacked(plain)
            number += 1
        if file.read(1):
            raise StationError('has something behind its last chunk', where=self.path)

    def _opened(self, header: bytes) -> _Ratchet:
        _check_version(header, self.path)
        _, _, session_id, _, encapsulated, recipient, frozen = _HEADER.unpack(header)
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
        return _Ratchet(secret, header)


def check_header(path: Path, session_id: bytes, frozen: bytes) -> None:
    """Look at the header of a sealed file; needs no key, so what is behind it is not vouched for.

    Raises
    ------
    StationError
        Not a sealed file, of another version, of another session, or recorded with other frozen settings.
    """
    with _readable(path) as file:
        header = file.read(_HEADER.size)
    _check_version(header, path)
    _, _, found_id, _, _, _, found_frozen = _HEADER.unpack(header)
    if found_id != session_id:
        raise _of_another_session(path)
    if found_frozen != frozen:
        raise _of_other_settings(path)


def _check_version(header: bytes, path: Path) -> None:
    if len(header) < _VERSION.size or not header.startswith(MAGIC):
        raise StationError('is not a sealed tag file', where=path)
    version = _VERSION.unpack(header[: _VERSION.size])[1]
    if version != VERSION:
        raise StationError(
            f'version {version} is not {VERSION}', where=path, hint='process it with the software that took it'
        )
    if len(header) < _HEADER.size:
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
        at, size, last = _HEADER.size, file.seek(0, os.SEEK_END), 0
        while at + _CHUNK.size <= size:
            file.seek(at)
            length, last = _CHUNK.unpack(file.read(_CHUNK.size))
            if not _LEAST_CHUNK <= length <= _MAX_CHUNK:  # e.g. the zeros that a power cut leaves
                return False
            at += _CHUNK.size + length
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


class _Ratchet:
    """A key for each chunk, the next one hashed from it."""

    def __init__(self, secret: bytes, header: bytes) -> None:
        self._header = header
        self._key = HKDF(hashes.SHA256(), 32, salt=None, info=b'qkd_gs tags' + header).derive(secret)

    def derived_key(self, purpose: bytes) -> bytes:
        """Secret for another purpose; only of the key that opens the first chunk."""
        return HKDF(hashes.SHA256(), 32, salt=None, info=b'qkd_gs ' + purpose).derive(self._key)

    def seal(self, number: int, last: bool, plain: bytes) -> bytes:
        return self._next().encrypt(bytes(12), plain, self._context(number, last))

    def open(self, number: int, last: bool, sealed: bytes) -> bytes:
        return self._next().decrypt(bytes(12), sealed, self._context(number, last))

    def _next(self) -> AESGCM:
        cipher = AESGCM(self._key)  # each key seals one chunk, so the nonce may be constant
        digest = hashes.Hash(hashes.SHA256())
        digest.update(b'qkd_gs next chunk' + self._key)
        self._key = digest.finalize()
        return cipher

    def _context(self, number: int, last: bool) -> bytes:
        return self._header + struct.pack('<QB', number, last)


def _check_times(block: TagBlock) -> None:
    if len(block) and not (block.time_ps.min() >= 0 and block.time_ps.max() < _MAX_TIME_PS):
        raise ValueError('a time tag is out of range')


def _packed(block: TagBlock) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return (block.time_ps.astype('<u8') << np.uint64(_CHANNEL_BITS)) | block.channel


def _unpacked(plain: bytes) -> TagBlock:
    words = np.frombuffer(plain, '<i8')  # no time uses the sign
    time_ps, channel = np.empty(len(words), np.int64), np.empty(len(words), np.uint8)
    _unpack(words, time_ps, channel)
    return TagBlock(time_ps, channel)


@njit(cache=True)
def _unpack(words, time_ps, channel):  # type: ignore[no-untyped-def]
    for k in range(len(words)):
        time_ps[k], channel[k] = words[k] >> _CHANNEL_BITS, words[k] & ((1 << _CHANNEL_BITS) - 1)
