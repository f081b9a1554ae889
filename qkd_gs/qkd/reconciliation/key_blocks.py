"""Division of the sifted key into blocks: slices of about equal length, verified one by one."""

from __future__ import annotations

from itertools import pairwise

from qkd_gs.arrays import ByteArray
from qkd_gs.qkd.sifting.packed_bits import PackedBits


def key_blocks(bits: int, block_bits: int = 100_000) -> list[slice]:
    """Slices of the blocks of a key of `bits` bits: about `block_bits` long each, in the order of time."""
    return even_slices(bits, max(1, round(bits / block_bits)))


def even_slices(bits: int, number: int) -> list[slice]:
    """Divide ``range(bits)`` into `number` slices whose lengths differ by at most 1."""
    borders = [bits * i // number for i in range(number + 1)]
    return [slice(start, stop) for start, stop in pairwise(borders)]


def block_sizes(blocks: list[slice]) -> list[int]:
    """Bits of each block."""
    return [block.stop - block.start for block in blocks]


def verified_bits(bits: PackedBits, blocks: list[slice], agreed: ByteArray) -> PackedBits:
    """Bits of the blocks whose digests agreed; the same buffer if all did."""
    if agreed.all() and blocks:
        return bits
    kept = []
    for block, good in zip(blocks, agreed, strict=True):
        if good:
            with bits.plain(block) as plain:
                kept.append(PackedBits.of(plain))
    return PackedBits.joined(kept)


def dropped_bits(blocks: list[slice], agreed: ByteArray) -> int:
    """Number of bits in the blocks whose digests did not agree."""
    return sum(block.stop - block.start for block, good in zip(blocks, agreed, strict=True) if not good)
