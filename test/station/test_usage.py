"""What a process uses, and gives back."""

import ctypes
import os

from qkd_gs.station.usage import give_back_memory, usage_of

BLOCK, COUNT = 1024, 60_000


def test_memory_that_is_free_below_a_block_in_use_is_given_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    kept = blocks.pop()
    for block in blocks:
        libc.free(block)
    before_mb = usage_of(os.getpid()).memory_mb
    give_back_memory()
    assert usage_of(os.getpid()).memory_mb < before_mb - BLOCK * COUNT / 2e6
    libc.free(kept)
