"""Bits of a key as blocks of a key store: giving some of them out rewrites only the blocks that they lie in."""

from __future__ import annotations

from qkd_gs.keys.pieces import wipe_bits
from qkd_gs.keys.sealed_items import SealedItems

BLOCK_BYTES = 2048


def write_blocks(items: SealedItems, packed: bytes, head: bytes) -> int:
    """Store a packed key; returns its group."""
    group = items.new_group()
    for number, start in enumerate(range(0, max(len(packed), 1), BLOCK_BYTES)):
        items.put(group, number, packed[start : start + BLOCK_BYTES], head)
    return group


def read_blocks(items: SealedItems, group: int, head: bytes, first_byte: int, end_byte: int) -> bytearray:
    """Bytes of a packed key, [first_byte, end_byte); zeros where a block was destroyed."""
    first = first_byte // BLOCK_BYTES
    found = bytearray()
    for number in range(first, -(-end_byte // BLOCK_BYTES)):
        found += items.get(group, number, head) or bytes(BLOCK_BYTES)
    start = first * BLOCK_BYTES
    return found[first_byte - start : end_byte - start]


def wipe_blocks(items: SealedItems, group: int, head: bytes, first_bit: int, end_bit: int) -> None:
    """Destroy bits of a key; the first one begins a byte, or follows bits of its byte that were destroyed."""
    block_bits = 8 * BLOCK_BYTES
    for number in range(first_bit // block_bits, -(-end_bit // block_bits)):
        start = number * block_bits
        if first_bit <= start and start + block_bits <= end_bit:
            items.drop(group, number)
        elif (block := items.get(group, number, head)) is not None:
            left = bytearray(block)
            wipe_bits(left, max(first_bit - start, 0), min(end_bit - start, 8 * len(left)))
            items.put(group, number, bytes(left), head)
            wipe_bits(left, 0, 8 * len(left))
