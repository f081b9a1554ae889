"""One-way LDPC reconciliation: Alice sends syndromes, and Bob finds the errors with these syndromes.

LDPC codes are far from the Slepian-Wolf limit on a binary symmetric channel with few errors, near it with many errors,
and nearer still on an erasure channel.  So the sums modulo 2 of pairs of bits, which have twice the error rate, are
corrected first.  Where a pair's sum was right, its second bit is almost certainly right; where it was wrong, one of the
two bits is wrong, and which one is unknown: an erasure.  This is the step of polar coding (Arikan, IEEE Trans. Inf.
Theory 55, 3051); it is repeated until the error rate of the sums is high enough.  It loses nothing: n h(q) is the sum
of the limits of all layers.  Codes are generated for the number of checks that the error rate requires (Slepian-Wolf
coding by syndromes; in quantum key distribution: Elkouss et al., arXiv:0901.2140).

The length of the syndromes depends only on the codeword's length and on the error rate, so the leakage is known in
advance.  Bob reveals nothing about the positions of his errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, sqrt

import numpy as np

from qkd_gs.arrays import ByteArray, Float32Array
from qkd_gs.errors import StationError
from qkd_gs.qkd.finite_key.entropy import binary_entropy
from qkd_gs.qkd.reconciliation.belief_propagation import find_errors
from qkd_gs.qkd.reconciliation.cascade_bob import MAX_QBER
from qkd_gs.qkd.reconciliation.key_blocks import even_slices
from qkd_gs.qkd.reconciliation.ldpc_code import SparseCode, sparse_code
from qkd_gs.qkd.reconciliation.parity import checked_bits, checked_seed
from qkd_gs.qkd.reconciliation.permutation import positions_of, shuffle

_MIN_QBER = 5e-4
_BLOCK_ERRORS = 1500
_ENOUGH = 0.045  # error rate above which sums are not paired again
# Column weights in per mille, from a linear programme over the codes' EXIT functions (Richardson, Urbanke,
# Modern Coding Theory, section 4.10) for error rates of 5 to 10 % and for erasures of 1 to 12 %
_SUM_WEIGHTS = ((8, 110), (20, 80))
_LIGHT_SUMS = 700  # columns of weight 2, per mille of the checks
_PAIR_WEIGHTS = ((2, 80), (8, 50), (10, 40), (20, 100))
_SUM_EXCESS, _PAIR_EXCESS = 1.11, 1.08  # ratio of the checks to the Slepian-Wolf limit
_DOUBLES_EXCESS = 1.2  # additional ratio for pairs, times the error rate: some pairs have two errors
_SPREAD = 2.9  # standard deviations by which a codeword may have more errors than expected
_MORE_ATTEMPTS, _PERTURBATION = 2, 0.5
_FINITE_SUM, _FINITE_PAIR = 0.3, 4.6  # additional checks, times the root of the limit: finite-length loss


@dataclass(frozen=True)
class Layer:
    """One syndrome: of the last sums, or of the second bits of pairs."""

    code: SparseCode
    qber: float  # error rate of the bits that were paired, or of the last sums


@dataclass(frozen=True)
class Plan:
    """Codes for a codeword, the same on both sides.

    Attributes
    ----------
    bits : int
        Length of the codeword.
    layers : tuple of Layer
        The last sums first, then the pairs of each pairing, the last pairing first.
    """

    bits: int
    layers: tuple[Layer, ...]

    @property
    def disclosed_bits(self) -> int:
        """Bits of the syndromes."""
        return sum(layer.code.checks for layer in self.layers)


def plan(bits: int, qber: float) -> Plan:
    """Plan for a codeword.

    Parameters
    ----------
    bits : int
        Length of the codeword.
    qber : float
        Expected error rate, 0 to 0.11; the plan allows for statistical fluctuations, not for a wrong estimate.

    Raises
    ------
    StationError
        The error rate is above `MAX_QBER`.
    """
    if not 0.0 <= qber <= MAX_QBER:
        raise StationError(f'an error rate of {qber:.3g} is not between 0 and {MAX_QBER}: there is no key in it')
    if not bits:
        return Plan(0, ())
    usual = max(qber, _MIN_QBER)
    worst = min(0.5, usual + _SPREAD * sqrt(usual * (1.0 - usual) / bits))
    size, layers = bits, []
    while usual < _ENOUGH and size > 1:
        size = -(-size // 2)
        layers.append(_pair_layer(size, usual, worst))
        usual, worst = 2.0 * usual * (1.0 - usual), 2.0 * worst * (1.0 - worst)
    return Plan(bits, (_sum_layer(size, usual, worst), *reversed(layers)))


def _sum_layer(size: int, usual: float, worst: float) -> Layer:
    need = size * binary_entropy(worst)
    checks = min(size, ceil(_SUM_EXCESS * need + _FINITE_SUM * sqrt(need)))
    light = _LIGHT_SUMS * checks // size
    return Layer(sparse_code(size, checks, ((2, light), *_SUM_WEIGHTS)), usual)


def _pair_layer(size: int, usual: float, worst: float) -> Layer:
    erased = 2.0 * worst * (1.0 - worst)
    need = size * (erased + (1.0 - erased) * binary_entropy(_both_wrong(worst)))
    checks = min(size, ceil((_PAIR_EXCESS + _DOUBLES_EXCESS * usual) * need + _FINITE_PAIR * sqrt(need)))
    return Layer(sparse_code(size, checks, _PAIR_WEIGHTS), usual)


def _both_wrong(qber: float) -> float:
    """Probability that both bits of a pair are wrong, given that their sum is right."""
    return qber**2 / (qber**2 + (1.0 - qber) ** 2)


def codeword_slices(blocks: list[slice], qber: float) -> list[slice]:
    """Slices of the codewords: adjacent blocks are joined until about 1500 errors are expected in each.

    Longer codewords have smaller relative fluctuations of the number of errors.
    """
    errors = max(qber, _MIN_QBER) * max(1, blocks[-1].stop) / len(blocks)  # in a block
    together = max(1, min(len(blocks), round(_BLOCK_ERRORS / errors)))
    groups = even_slices(len(blocks), len(blocks) // together)
    return [slice(blocks[group.start].start, blocks[group.stop - 1].stop) for group in groups]


def syndrome(bits: ByteArray, qber: float, seed: int) -> ByteArray:
    """Alice: syndromes of a codeword, (plan(...).disclosed_bits,) uint8.

    Parameters
    ----------
    bits : (n,) uint8
        Alice's bits, 0 or 1.
    qber : float
        Expected error rate, the same as Bob's.
    seed : int
        Public seed of the permutation, 0 to 2^64 - 1.
    """
    layers = plan(len(checked_bits(bits)), qber).layers
    parts = [layer.code.syndrome(part) for layer, part in zip(layers, _split(bits, seed, layers), strict=True)]
    return np.concatenate(parts) if parts else np.empty(0, np.uint8)


def decode(bits: ByteArray, qber: float, seed: int, sent: ByteArray) -> tuple[ByteArray, bool]:
    """Bob: corrected codeword.

    Parameters
    ----------
    bits : (n,) uint8
        Bob's bits, 0 or 1.
    qber, seed : float, int
        The same as Alice's.
    sent : (m,) uint8
        Alice's `syndrome`.

    Returns
    -------
    corrected : (n,) uint8
    found : bool
        True if errors with this syndrome were found.  If not, or if they are the wrong ones, verification drops
        the blocks.

    Raises
    ------
    StationError
        The syndrome does not have the planned length.
    """
    planned = plan(len(checked_bits(bits)), qber)
    if len(sent) != planned.disclosed_bits:
        raise StationError(f'the syndrome has {len(sent)} bits instead of {planned.disclosed_bits}')
    if not len(bits):
        return bits.copy(), True
    own = syndrome(bits, qber, seed)
    errors, found, at = np.empty(0, np.uint8), True, 0
    for layer in planned.layers:
        difference = (own ^ sent)[at : at + layer.code.checks]
        at += layer.code.checks
        if not at - layer.code.checks:
            prior_llr = np.full(layer.code.bits, _llr(layer.qber), np.float32)
            errors, found = _errors(layer.code, difference, prior_llr)
        else:
            errors = errors[: layer.code.bits]  # an odd number of bits was padded
            prior_llr = np.where(errors == 1, 0.0, _llr(_both_wrong(layer.qber))).astype(np.float32)
            second, right = _errors(layer.code, difference, prior_llr)
            errors = np.concatenate([errors ^ second, second])
            found &= right
    order = shuffle(len(bits), checked_seed(seed), 1)
    return bits ^ errors[positions_of(order)], found


def _errors(code: SparseCode, syndrome: ByteArray, prior_llr: Float32Array) -> tuple[ByteArray, bool]:
    """Errors with this syndrome; if BP does not converge, it is repeated with randomly perturbed prior LLRs.

    The perturbation breaks ties between a few bits.
    """
    errors, found = find_errors(code, syndrome, prior_llr)
    for attempt in range(_MORE_ATTEMPTS):
        if found:
            break
        perturbation = np.random.default_rng(attempt).normal(0.0, _PERTURBATION, len(prior_llr))
        errors, found = find_errors(code, syndrome, (prior_llr + perturbation).astype(np.float32))
    return errors, found


def _split(bits: ByteArray, seed: int, layers: tuple[Layer, ...]) -> list[ByteArray]:
    """Input of each layer's code: the last sums, and the second bits of the pairs of each pairing."""
    if not layers:
        return []
    sums = bits[shuffle(len(bits), checked_seed(seed), 1)]
    seconds: list[ByteArray] = []
    for _ in layers[1:]:
        half = -(-len(sums) // 2)
        second = np.zeros(half, np.uint8)
        second[: len(sums) - half] = sums[half:]
        sums = sums[:half] ^ second
        seconds.append(second)
    return [sums, *reversed(seconds)]


def _llr(qber: float) -> float:
    return log((1.0 - qber) / qber)
