"""Long sequences of secret bits, eight to a byte; parts are unpacked for use and wiped afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.qkd.link.codes import unpacked

_ALL = slice(None)


class PackedBits:
    """A sequence of bits of fixed length; slices of it are arrays of 0 and 1, and copies.

    Parameters
    ----------
    packed : (ceil(count / 8),) uint8
        Eight bits to a byte, most significant bit first; not copied.
    count : int
        Number of bits.
    """

    def __init__(self, packed: ByteArray, count: int):
        if len(packed) != -(-count // 8):
            raise ValueError(f'{len(packed)} bytes do not hold {count} bits')
        self._packed, self._count = packed, count

    @classmethod
    def of(cls, bits: ByteArray) -> PackedBits:
        """Packed copy of an array of bits (0 or 1)."""
        return cls(np.packbits(bits), len(bits))

    @classmethod
    def zeros(cls, count: int) -> PackedBits:
        """`count` zeros."""
        return cls(np.zeros(-(-count // 8), np.uint8), count)

    @classmethod
    def joined(cls, parts: list[PackedBits]) -> PackedBits:
        """Concatenation; each part is wiped after it is copied, and the list is emptied."""
        whole, at = cls.zeros(sum(map(len, parts))), 0
        for part in parts:
            with part.plain() as bits:
                whole[at : at + len(bits)] = bits
            at += len(part)
            part.wipe()
        parts.clear()
        return whole

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:  # never the contents: a repr ends up in logs
        return f'<PackedBits: {self._count}>'

    def __getitem__(self, part: slice) -> ByteArray:
        start, stop, _ = part.indices(self._count)
        return unpacked(self._packed, start, max(start, stop))

    def __setitem__(self, part: slice, bits: ByteArray) -> None:
        start, stop, _ = part.indices(self._count)
        if len(bits) != stop - start:
            raise ValueError(f'{len(bits)} bits do not fit a slice of {stop - start}')
        around = self._packed[start >> 3 : (stop + 7) >> 3]
        whole = np.unpackbits(around)
        whole[start & 7 : (start & 7) + len(bits)] = bits
        around[:] = np.packbits(whole)
        whole[:] = 0

    @contextmanager
    def plain(self, part: slice = _ALL) -> Iterator[ByteArray]:
        """Context with a slice of the bits (default: all) as an array, which is wiped at the end."""
        bits = self[part]
        try:
            yield bits
        finally:
            bits[:] = 0

    def tobytes(self) -> bytes:
        """Packed bits, eight to a byte; the last byte is padded with zeros."""
        return self._packed.tobytes()

    def at(self, index: IntArray) -> ByteArray:
        """Bits at these indices."""
        bits: ByteArray = self._packed[index >> 3] >> (7 - (index & 7)).astype(np.uint8) & 1
        return bits

    def copy(self) -> PackedBits:
        """Independent copy."""
        return PackedBits(self._packed.copy(), self._count)

    def wipe(self) -> None:
        """Overwrite the bits with zeros; copies made by libraries are not reached."""
        self._packed[:] = 0
