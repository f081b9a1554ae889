"""Request for a key over the link: its length and the seed of the Toeplitz matrix."""

from __future__ import annotations

import struct
from math import ceil

from qkd_gs.qkd.amplification.amplify import compress
from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import MAX_PAYLOAD, Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.sifting.packed_bits import PackedBits

_HEAD = struct.Struct('>QQ')  # secret bits, disclosed bits
_PART = MAX_PAYLOAD - _HEAD.size  # bytes of a matrix in one message


def amplified_bits(link: AuthenticatedChannel, secret_bits: int) -> int:
    """Bits that privacy amplification makes: the key, and as many pre-shared bits as the tags of the run used."""
    return secret_bits + link.pre_shared_bits if secret_bits else 0


def compressed(
    link: AuthenticatedChannel, bits: PackedBits, secret_bits: int, matrix: bytes
) -> tuple[PackedBits, PackedBits]:
    """Key and pre-shared bits of a corrected key."""
    whole = compress(bits, amplified_bits(link, secret_bits), matrix)
    with whole.plain(slice(0, secret_bits)) as key, whole.plain(slice(secret_bits, None)) as refill:
        parts = PackedBits.of(key), PackedBits.of(refill)
    whole.wipe()
    return parts


def matrix_bytes(key_bits: int, output_bits: int) -> int:
    """Size of the seed of a Toeplitz matrix."""
    return ceil((key_bits + output_bits - 1) / 8) if output_bits else 0


def request_key(link: AuthenticatedChannel, secret_bits: int, disclosed_bits: int, matrix: bytes) -> None:
    """Ground: request a key of this length with a fresh matrix; a long matrix is sent in several messages."""
    link.send(Kind.AMPLIFY, _HEAD.pack(secret_bits, disclosed_bits) + matrix[:_PART])
    for start in range(_PART, len(matrix), _PART):
        link.send(Kind.MATRIX, matrix[start : start + _PART])


def requested_key(link: AuthenticatedChannel, key_bits: int) -> tuple[int, int, bytes]:
    """Satellite: secret bits, disclosed bits and matrix of a `request_key`, for a corrected key of `key_bits` bits.

    Raises
    ------
    ProtocolError
        The request has more bits than the key, or a matrix of another size.
    """
    payload = link.receive(Kind.AMPLIFY).payload
    if len(payload) < _HEAD.size:
        raise ProtocolError('malformed', 'the request to amplify is too short')
    secret_bits, disclosed_bits = _HEAD.unpack(payload[: _HEAD.size])
    if amplified_bits(link, secret_bits) > key_bits:
        raise ProtocolError('malformed', f'{secret_bits} secret bits are requested of {key_bits}')
    size, parts = matrix_bytes(key_bits, amplified_bits(link, secret_bits)), [payload[_HEAD.size :]]
    for start in range(0, size, _PART):
        if start:
            parts.append(link.receive(Kind.MATRIX).payload)
        if len(parts[-1]) != min(_PART, size - start):
            break
    matrix = b''.join(parts)
    if len(matrix) != size:
        raise ProtocolError('malformed', 'the matrix of privacy amplification has the wrong size')
    return secret_bits, disclosed_bits, matrix
