"""Key material that is never shown by accident."""

from __future__ import annotations

from types import TracebackType


class Secret:
    """Key material: prints as its length only, refuses to be pickled, and can be overwritten.

    Parameters
    ----------
    material : bytes or bytearray
        Copied.  Python may keep the caller's `bytes` until they are garbage-collected; where that
        matters, pass a `bytearray` and wipe it.
    """

    __slots__ = ('_buffer',)

    def __init__(self, material: bytes | bytearray | memoryview):
        self._buffer = bytearray(material)

    def reveal(self) -> bytes:
        """Return the material; the caller must keep it secret."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros."""
        self._buffer[:] = bytes(len(self._buffer))

    def __len__(self) -> int:
        return len(self._buffer)

    def __repr__(self) -> str:
        return f'<Secret of {len(self)} bytes>'

    def __reduce__(self) -> str:
        raise TypeError('a secret cannot be pickled')

    def __enter__(self) -> Secret:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()
