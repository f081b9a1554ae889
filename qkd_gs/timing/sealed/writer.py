"""Write a sealed tag file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qkd_gs.errors import StationError
from qkd_gs.session.durable_file import DurableFile, Reserve
from qkd_gs.timing.sealed.hybrid import encapsulate
from qkd_gs.timing.sealed.layout import (
    CHUNK,
    HEADER,
    MAGIC,
    VERSION,
    Ratchet,
    check_times,
    fingerprint,
    packed,
)
from qkd_gs.timing.tags import TagBlock

_MOST_WAITING = 1 << 28  # bytes of chunks that wait for the disk: twenty minutes of a pass


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
        Public key of the session (`qkd_gs.timing.sealed.hybrid`).
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
        Reason why what was appended is not in the file; None: all of it is.

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
        header = HEADER.pack(MAGIC, VERSION, session_id, start_ns, encapsulated, fingerprint(recipient), frozen)
        self._ratchet = Ratchet(secret, header)
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
        check_times(block)
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
        words = np.concatenate([packed(block) for block in self._pending]) if self._pending else np.empty(0, '<u8')
        self._pending.clear()
        self._waiting = 0
        plain = bytearray(words.tobytes())
        sealed = self._ratchet.seal(self.chunks, last, bytes(plain))
        words[:] = 0
        plain[:] = bytes(len(plain))
        self.chunks += 1
        self.tags += len(words)
        return CHUNK.pack(len(sealed), last) + sealed
