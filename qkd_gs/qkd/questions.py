"""Questions about parities as they cross the channel: which pass, which node of its tree.

A batch is an ascending int64 array of ``pass << 32 | node``.  Passes from `SUBSETS` on are random subsets of the key,
those before are shuffles of it; the node numbers are those of `qkd_gs.qkd.parity`.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from qkd_gs.errors import StationError

Questions = NDArray[np.int64]

PASS_SHIFT = 32
NODE_MASK = (1 << PASS_SHIFT) - 1
SUBSETS = 1 << 10
MAX_BATCH = 1 << 26  # questions; a batch that claims more is refused before memory is taken for it
_COUNT_BYTES = 4


def encode(batch: Questions) -> bytes:
    """Batch as bytes: differences, packed plane by plane; about a byte a question."""
    steps = np.diff(batch, prepend=np.int64(0)).astype('<i8')
    planes = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 8).T)
    return len(batch).to_bytes(_COUNT_BYTES, 'little') + zlib.compress(planes.tobytes(), 1)


def decode(message: bytes) -> Questions:
    """Batch of a message.

    Raises
    ------
    StationError
        If the message is damaged.
    """
    number = int.from_bytes(message[:_COUNT_BYTES], 'little')
    if len(message) < _COUNT_BYTES or number > MAX_BATCH:
        raise StationError('a message with questions about parities is damaged')
    inflater = zlib.decompressobj()
    try:
        planes = inflater.decompress(message[_COUNT_BYTES:], 8 * number + 1)
    except zlib.error as error:
        raise StationError(f'a message with questions about parities is damaged: {error}') from error
    if len(planes) != 8 * number or not inflater.eof:
        raise StationError('a message with questions about parities is damaged')
    steps = np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(8, -1).T).view('<i8').ravel()
    return np.cumsum(steps, dtype=np.int64)


def encode_answers(answers: NDArray[np.uint8]) -> bytes:
    """Parities, eight a byte."""
    return np.packbits(answers).tobytes()


def decode_answers(message: bytes, number: int) -> NDArray[np.uint8]:
    """Parities of a message that answers `number` questions.

    Raises
    ------
    StationError
        If the message has another length.
    """
    if len(message) != -(-number // 8):
        raise StationError(f'{len(message)} bytes do not answer {number} questions about parities')
    return np.unpackbits(np.frombuffer(message, np.uint8))[:number]
