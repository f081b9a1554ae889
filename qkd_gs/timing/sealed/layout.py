"""Layout of the sealed tag file, its keys from chunk to chunk, and its words."""

from __future__ import annotations

import struct

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qkd_gs.jit import njit
from qkd_gs.timing.sealed.hybrid import ENCAPSULATED_BYTES
from qkd_gs.timing.tags import TagBlock

MAGIC = b'QKDGSTAG'
VERSION = 3
HEADER = struct.Struct(f'<8sH16sq{ENCAPSULATED_BYTES}s8s32s')
VERSION_OF_HEADER = struct.Struct('<8sH')
CHUNK = struct.Struct('<IB')
LEAST_CHUNK, MAX_CHUNK = 16, 1 << 28
_MAX_TIME_PS = 1 << 60
_CHANNEL_BITS = 3


def fingerprint(public_key: bytes) -> bytes:
    """Eight bytes that tell one recipient from another."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b'qkd_gs recipient' + public_key)
    return digest.finalize()[:8]


class Ratchet:
    """A key for each chunk, the next one hashed from it."""

    def __init__(self, secret: bytes, header: bytes) -> None:
        self._header = header
        self._key = HKDF(hashes.SHA256(), 32, salt=None, info=b'qkd_gs tags' + header).derive(secret)

    def seal(self, number: int, last: bool, plain: bytes) -> bytes:
        """Encrypt the chunk of this number; its key is forgotten."""
        return self._next().encrypt(bytes(12), plain, self._context(number, last))

    def open(self, number: int, last: bool, sealed: bytes) -> bytes:
        """Decrypt the chunk of this number; raises `InvalidTag` if it was changed."""
        return self._next().decrypt(bytes(12), sealed, self._context(number, last))

    def _next(self) -> AESGCM:
        cipher = AESGCM(self._key)  # each key seals one chunk, so the nonce may be constant
        digest = hashes.Hash(hashes.SHA256())
        digest.update(b'qkd_gs next chunk' + self._key)
        self._key = digest.finalize()
        return cipher

    def _context(self, number: int, last: bool) -> bytes:
        return self._header + struct.pack('<QB', number, last)


def check_times(block: TagBlock) -> None:
    """Refuse times that do not fit into a word; raises ValueError."""
    if len(block) and not (block.time_ps.min() >= 0 and block.time_ps.max() < _MAX_TIME_PS):
        raise ValueError('a time tag is out of range')


def packed(block: TagBlock) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Words of the tags, shape (n,)."""
    return (block.time_ps.astype('<u8') << np.uint64(_CHANNEL_BITS)) | block.channel


def unpacked(plain: bytes) -> TagBlock:
    """Tags of the words of a chunk."""
    words = np.frombuffer(plain, '<i8')  # no time uses the sign
    time_ps, channel = np.empty(len(words), np.int64), np.empty(len(words), np.uint8)
    _unpack(words, time_ps, channel)
    return TagBlock(time_ps, channel)


@njit(cache=True)
def _unpack(words, time_ps, channel):  # type: ignore[no-untyped-def]
    for k in range(len(words)):
        time_ps[k], channel[k] = words[k] >> _CHANNEL_BITS, words[k] & ((1 << _CHANNEL_BITS) - 1)
