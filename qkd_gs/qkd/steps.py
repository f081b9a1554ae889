"""Steps that both sides compute alike: what is disclosed, how long the key is, and the key itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from math import ceil

import numpy as np
from numpy.typing import NDArray

from qkd_gs.errors import StationError
from qkd_gs.qkd import conversation, verify
from qkd_gs.qkd.amplify import toeplitz_packed
from qkd_gs.qkd.counts import KeyCounts
from qkd_gs.qkd.entropy import binary_entropy
from qkd_gs.qkd.faults import ProtocolError
from qkd_gs.qkd.key_length import KeyLength, Overhead, key_length
from qkd_gs.qkd.terms import Terms

Bits = NDArray[np.uint8]
Progress = Callable[[str, float], None]
_AMPLIFY = struct.Struct('>QQ')


def silent(step: str, fraction: float) -> None:
    """Progress that nobody watches."""


def overhead(terms: Terms, sizes: list[int]) -> Overhead:
    """What verification of frames of these sizes, and the tags of the pass, take from the key.

    Every frame's digest is disclosed, and so is the one bit that says whether it fits.
    """
    return Overhead(
        verification_bits=len(sizes) * (terms.verification_bits + 1),
        verification_epsilon=sum(verify.collision_probability(size, terms.verification_bits) for size in sizes),
        authentication_bits=conversation.SECRET_BITS,
        authentication_epsilon=conversation.EPSILON,
    )


def certified(terms: Terms, counts: KeyCounts, sizes: list[int], disclosed_bits: int) -> KeyLength:
    """Key length of the pass, per basis, for the failure probability agreed upon.

    Parameters
    ----------
    terms, counts
        Agreed and observed.
    sizes : list of int
        Bits of each frame.
    disclosed_bits : int
        Parities of this and earlier attempts, and every bit of the frames that were dropped: all single
        photons might have been in those.
    """
    return key_length(
        counts,
        epsilon_total=terms.epsilon_total,
        disclosed_bits=disclosed_bits,
        overhead=overhead(terms, sizes),
    )


def hopeless(
    terms: Terms,
    counts: KeyCounts,
    sizes: list[int],
    qber: float,
    disclosed_before: int,
    planned_bits: int | None = None,
) -> str:
    """Why a run should end before anything of the key is disclosed; empty if there is hope.

    The counts have to allow a key after what reconciliation is planned to disclose; if that is not known
    beforehand, after a reconciliation at the Slepian-Wolf limit.
    """
    if not counts.sifted_bits:
        return 'no sifted bits'
    if qber > terms.max_qber:
        return f'the decoy states foretell an error rate of {qber:.1%}, above the limit of {terms.max_qber:.1%}'
    limit = ceil(counts.sifted_bits * binary_entropy(qber)) if planned_bits is None else planned_bits
    try:
        return certified(terms, counts, sizes, limit + disclosed_before).reason
    except StationError as error:  # e.g. a failure probability that the hashes alone use up
        return error.what


def amplify_request(
    key_bits: int, secret_bits: int, disclosed_bits: int, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Payload that asks for a key of this length, with a fresh Toeplitz matrix."""
    seed = random_bytes(ceil(_seed_bits(key_bits, secret_bits) / 8))
    return _AMPLIFY.pack(secret_bits, disclosed_bits) + seed


def read_amplify(payload: bytes) -> tuple[int, int, bytes]:
    """Secret bits, disclosed bits and matrix of an `amplify_request`."""
    if len(payload) < _AMPLIFY.size:
        raise ProtocolError('malformed', 'the request to amplify is too short')
    secret_bits, disclosed_bits = _AMPLIFY.unpack(payload[: _AMPLIFY.size])
    return secret_bits, disclosed_bits, payload[_AMPLIFY.size :]


def amplify(key: Bits, secret_bits: int, seed: bytes) -> Bits:
    """Compress the corrected key.

    Raises
    ------
    ProtocolError
        The matrix does not have the size that goes with it.
    """
    count = _seed_bits(len(key), secret_bits)
    if len(seed) != ceil(count / 8):
        raise ProtocolError('malformed', 'the matrix of privacy amplification has the wrong size')
    if not secret_bits:
        return np.empty(0, np.uint8)
    return toeplitz_packed(key, np.frombuffer(seed, np.uint8), secret_bits)


def verified_bits(bits: Bits, cuts: list[slice], agreed: Bits) -> Bits:
    """Bits of the frames whose digests agreed; the same array if all did."""
    if agreed.all() and cuts:
        return bits
    kept = [bits[cut] for cut, good in zip(cuts, agreed, strict=True) if good]
    return np.concatenate(kept) if kept else np.empty(0, np.uint8)


def dropped_bits(cuts: list[slice], agreed: Bits) -> int:
    """Bits of the frames whose digests did not agree."""
    return sum(cut.stop - cut.start for cut, good in zip(cuts, agreed, strict=True) if not good)


def sizes_of(cuts: list[slice]) -> list[int]:
    """Bits of each frame."""
    return [cut.stop - cut.start for cut in cuts]


def wipe(*arrays: NDArray[np.uint8]) -> None:
    """Overwrite arrays that held secret bits; copies made by libraries are out of reach."""
    for array in arrays:
        if array.flags.writeable:
            array[:] = 0


def _seed_bits(key_bits: int, secret_bits: int) -> int:
    return key_bits + secret_bits - 1 if secret_bits else 0
