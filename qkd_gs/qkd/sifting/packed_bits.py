"""Long rows of secret bits, eight a byte: what is worked on is unpacked piece by piece, and wiped after use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from qkd_gs.arrays import ByteArray, IntArray
from qkd_gs.qkd.link.codes import unpacked

_ALL = slice(None)


class PackedBits:
    """A row of bits of fixed length; slices of it are ordinary arrays of 0 and 1, and copies.

    Parameters
    ----------
    packed : (ceil(count / 8),) uint8
        Eight bits a byte, the first one in the highest place; taken over, not copied.
    count : int
        How many.
    """

    def __init__(self, packed: ByteArray, count: int):
        if len(packed) != -(-count // 8):
            raise ValueError(f'{len(packed)} bytes do not hold {count} bits')
        self._packed, self._count = packed, count

    @classmethod
    def of(cls, bits: ByteArray) -> PackedBits:
        """Bits (0 or 1) that are all there."""
        return cls(np.packbits(bits), len(bits))

    @classmethod
    def zeros(cls, count: int) -> PackedBits:
        """So many zeros, to be filled."""
        return cls(np.zeros(-(-count // 8), np.uint8), count)

    @classmethod
    def joined(cls, parts: list[PackedBits]) -> PackedBits:
        """All parts in a row; the list is emptied, and each part wiped once it is copied."""
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
            raise ValueError(f'{len(bits)} bits do not go into the place of {stop - start}')
        around = self._packed[start >> 3 : (stop + 7) >> 3]
        whole = np.unpackbits(around)
        whole[start & 7 : (start & 7) + len(bits)] = bits
        around[:] = np.packbits(whole)
        whole[:] = 0

    @contextmanager
    def plain(self, part: slice = _ALL) -> Iterator[ByteArray]:
        """Some of the bits (all, unless said otherwise) as an array, which is wiped when they are done with."""
        bits = self[part]
        try:
            yield bits
        finally:
            bits[:] = 0

    def tobytes(self) -> bytes:
        """Eight bits a byte; behind the last one zeros."""
        return self._packed.tobytes()

    def at(self, places: IntArray) -> ByteArray:
        """Bits at these places."""
        bits: ByteArray = self._packed[places >> 3] >> (7 - (places & 7)).astype(np.uint8) & 1
        return bits

    def copy(self) -> PackedBits:
        """The same bits in a buffer of their own."""
        return PackedBits(self._packed.copy(), self._count)

    def wipe(self) -> None:
        """Overwrite them with zeros; copies made by libraries are out of reach."""
        self._packed[:] = 0
