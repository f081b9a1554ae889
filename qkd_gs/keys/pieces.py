"""Bits of a key that make a piece, and cutting them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from qkd_gs.keys.entries import Partition


class PieceRange(NamedTuple):
    """Bits of a key."""

    key_id: str
    first_bit: int
    bits: int

    @property
    def end_bit(self) -> int:
        """First bit behind it."""
        return self.first_bit + self.bits

    @property
    def name(self) -> str:
        """As `KeyPiece.name`."""
        return f'{self.key_id}-{self.first_bit}-{self.bits}'


def allocate(left: Mapping[str, Partition], groups: Sequence[Sequence[int]]) -> list[list[PieceRange] | None]:
    """Choose bits for groups of pieces; each piece comes from the first key that has so many bits left.

    Parameters
    ----------
    left : mapping of str to Partition
        By key, in the order in which the keys are to be used.
    groups : sequence of sequences of int
        Bits of each piece, at least 1.

    Returns
    -------
    list
        Pieces of each group; None where the group does not fit, which then takes nothing.
    """
    next_bit = {key_id: part.next_bit for key_id, part in left.items()}
    return [_allocate_group(left, next_bit, group) for group in groups]


def _allocate_group(
    left: Mapping[str, Partition], next_bit: dict[str, int], group: Sequence[int]
) -> list[PieceRange] | None:
    before, chosen = dict(next_bit), []
    for bits in group:
        key_id = next((one for one, part in left.items() if 0 < bits <= part.end - next_bit[one]), None)
        if key_id is None:
            next_bit.update(before)
            return None
        chosen.append(PieceRange(key_id, next_bit[key_id], bits))
        next_bit[key_id] += bits
    return chosen


def cut_bits(packed: bytes | bytearray, first_bit: int, bits: int) -> bytes:
    """Bits of a packed key, packed; the last byte is padded with zeros."""
    start, end = first_bit // 8, -(-(first_bit + bits) // 8)
    if first_bit % 8 == 0 and bits % 8 == 0:
        return bytes(packed[start:end])
    shift = first_bit - 8 * start
    unpacked = np.unpackbits(np.frombuffer(packed[start:end], np.uint8))[shift : shift + bits]
    return np.packbits(unpacked).tobytes()


def wipe_bits(packed: bytearray, first_bit: int, end_bit: int) -> None:
    """Overwrite bits of a packed key with zeros, the first one at the beginning of a byte."""
    first, full = first_bit // 8, end_bit // 8
    packed[first:full] = bytes(full - first)
    if end_bit % 8 and full < len(packed):
        packed[full] &= 0xFF >> end_bit % 8
