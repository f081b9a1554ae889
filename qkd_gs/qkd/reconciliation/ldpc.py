"""Reconciliation in one message: Alice sends syndromes, Bob finds the errors that explain them, and asks nothing.

Sparse codes over a binary symmetric channel of few errors are far from the Slepian-Wolf limit, those over one of many
errors are near it, and those over erasures nearer still.  So a frame is halved first: the sums of pairs of bits have
twice the error rate, and are corrected by themselves.  Where a pair's sum was right, its second bit is as good as
right; where it was wrong, one of the two bits is, and nobody knows which: an erasure.  This is the step of polar coding
(Arikan, IEEE Trans. Inf. Theory 55, 3051), taken until the sums have errors enough.  Nothing is lost by it: n h(q) is
the sum of what all stages need.  Codes are drawn for the number of checks that the error rate asks for (syndromes as
in Slepian-Wolf coding; for their use in quantum key distribution: Elkouss et al., arXiv:0901.2140).

What Alice sends depends on the frame's length and on the error rate alone, so it is known, and booked, beforehand.
Bob reveals nothing at all about where his errors are.
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
from qkd_gs.qkd.reconciliation.ldpc_code import SparseCode, sparse_code
from qkd_gs.qkd.reconciliation.parity import checked_bits, checked_seed
from qkd_gs.qkd.reconciliation.permutation import places_of, shuffle
from qkd_gs.qkd.sifting.sift import even_cuts

_MIN_QBER = 5e-4
_BLOCK_ERRORS = 1500
_ENOUGH = 0.045  # error rate from which on sums are not summed again
# Column weights in per mille, from a linear programme over the codes' transfer of information (Richardson, Urbanke,
# Modern Coding Theory, section 4.10) for error rates of 5 to 10 % and for erasures of 1 to 12 %
_SUM_WEIGHTS = ((8, 110), (20, 80))
_LIGHT_SUMS = 700  # columns of weight 2, per mille of the checks
_PAIR_WEIGHTS = ((2, 80), (8, 50), (10, 40), (20, 100))
_SUM_EXCESS, _PAIR_EXCESS = 1.11, 1.08  # checks over the limit that the codes need
_DOUBLES_EXCESS = 1.2  # more of them for pairs, times the error rate, since some hide two errors
_SPREAD = 2.9  # standard deviations by which a frame may have more errors than expected
_MORE_ATTEMPTS, _PUSH = 2, 0.5
_FINITE_SUM, _FINITE_PAIR = 0.3, 4.6  # further checks, times the root of that limit: what short codes lose


@dataclass(frozen=True)
class Stage:
    """One syndrome: of the last sums, or of the second bits of pairs."""

    code: SparseCode
    qber: float  # of the bits that were summed, or of the last sums themselves


@dataclass(frozen=True)
class Plan:
    """How a frame is corrected: the same on both sides.

    Attributes
    ----------
    bits : int
        Of the frame.
    stages : tuple of Stage
        The last sums first, then the pairs of each halving, the last one first.
    """

    bits: int
    stages: tuple[Stage, ...]

    @property
    def disclosed_bits(self) -> int:
        """What Alice sends."""
        return sum(stage.code.checks for stage in self.stages)


def plan(bits: int, qber: float) -> Plan:
    """Plan for a frame.

    Parameters
    ----------
    bits : int
        Of the frame.
    qber : float
        Expected error rate, 0 to 0.11; fluctuations within a frame are allowed for, those of the estimate are not.

    Raises
    ------
    StationError
        If the error rate is beyond `MAX_QBER`.
    """
    if not 0.0 <= qber <= MAX_QBER:
        raise StationError(f'an error rate of {qber:.3g} is not between 0 and {MAX_QBER}: there is no key in it')
    if not bits:
        return Plan(0, ())
    usual = max(qber, _MIN_QBER)
    worst = min(0.5, usual + _SPREAD * sqrt(usual * (1.0 - usual) / bits))
    size, stages = bits, []
    while usual < _ENOUGH and size > 1:
        size = -(-size // 2)
        stages.append(_pair_stage(size, usual, worst))
        usual, worst = 2.0 * usual * (1.0 - usual), 2.0 * worst * (1.0 - worst)
    return Plan(bits, (_sum_stage(size, usual, worst), *reversed(stages)))


def _sum_stage(size: int, usual: float, worst: float) -> Stage:
    need = size * binary_entropy(worst)
    checks = min(size, ceil(_SUM_EXCESS * need + _FINITE_SUM * sqrt(need)))
    light = _LIGHT_SUMS * checks // size
    return Stage(sparse_code(size, checks, ((2, light), *_SUM_WEIGHTS)), usual)


def _pair_stage(size: int, usual: float, worst: float) -> Stage:
    erased = 2.0 * worst * (1.0 - worst)
    need = size * (erased + (1.0 - erased) * binary_entropy(_both_wrong(worst)))
    checks = min(size, ceil((_PAIR_EXCESS + _DOUBLES_EXCESS * usual) * need + _FINITE_PAIR * sqrt(need)))
    return Stage(sparse_code(size, checks, _PAIR_WEIGHTS), usual)


def _both_wrong(qber: float) -> float:
    """Probability that both bits of a pair are wrong if their sum is right."""
    return qber**2 / (qber**2 + (1.0 - qber) ** 2)


def blocks(cuts: list[slice], qber: float) -> list[slice]:
    """Frames joined to blocks that share a syndrome: few errors fluctuate much, so a block expects about 1500."""
    errors = max(qber, _MIN_QBER) * max(1, cuts[-1].stop) / len(cuts)  # in a frame
    together = max(1, min(len(cuts), round(_BLOCK_ERRORS / errors)))
    groups = even_cuts(len(cuts), len(cuts) // together)
    return [slice(cuts[group.start].start, cuts[group.stop - 1].stop) for group in groups]


def syndrome(bits: ByteArray, qber: float, seed: int) -> ByteArray:
    """Alice: all that she sends for a frame, (plan(...).disclosed_bits,) uint8.

    Parameters
    ----------
    bits : (n,) uint8
        Hers, 0 or 1.
    qber : float
        As Bob has it.
    seed : int
        Public, 0 to 2^64 - 1.
    """
    stages = plan(len(checked_bits(bits)), qber).stages
    parts = [stage.code.syndrome(part) for stage, part in zip(stages, _split(bits, seed, stages), strict=True)]
    return np.concatenate(parts) if parts else np.empty(0, np.uint8)


def decode(bits: ByteArray, qber: float, seed: int, sent: ByteArray) -> tuple[ByteArray, bool]:
    """Bob: his frame, corrected.

    Parameters
    ----------
    bits : (n,) uint8
        His, 0 or 1.
    qber, seed : float, int
        As Alice has them.
    sent : (m,) uint8
        From `syndrome`.

    Returns
    -------
    corrected : (n,) uint8
    found : bool
        Whether errors were found that explain the syndrome.  If not, or if they are the wrong ones, the
        comparison of hashes drops the frame.

    Raises
    ------
    StationError
        If not as many bits came as planned.
    """
    planned = plan(len(checked_bits(bits)), qber)
    if len(sent) != planned.disclosed_bits:
        raise StationError(f'{len(sent)} bits of syndrome came, {planned.disclosed_bits} were planned')
    if not len(bits):
        return bits.copy(), True
    own = syndrome(bits, qber, seed)
    errors, found, at = np.empty(0, np.uint8), True, 0
    for stage in planned.stages:
        difference = (own ^ sent)[at : at + stage.code.checks]
        at += stage.code.checks
        if not at - stage.code.checks:
            beforehand = np.full(stage.code.bits, _odds(stage.qber), np.float32)
            errors, found = _errors(stage.code, difference, beforehand)
        else:
            errors = errors[: stage.code.bits]  # an odd number of bits was filled up
            beforehand = np.where(errors == 1, 0.0, _odds(_both_wrong(stage.qber))).astype(np.float32)
            second, right = _errors(stage.code, difference, beforehand)
            errors = np.concatenate([errors ^ second, second])
            found &= right
    order = shuffle(len(bits), checked_seed(seed), 1)
    return bits ^ errors[places_of(order)], found


def _errors(code: SparseCode, syndrome: ByteArray, beforehand: Float32Array) -> tuple[ByteArray, bool]:
    """Errors that explain a syndrome; where belief comes to a tie between a few bits, chance is given a say."""
    errors, found = find_errors(code, syndrome, beforehand)
    for attempt in range(_MORE_ATTEMPTS):
        if found:
            break
        push = np.random.default_rng(attempt).normal(0.0, _PUSH, len(beforehand))
        errors, found = find_errors(code, syndrome, (beforehand + push).astype(np.float32))
    return errors, found


def _split(bits: ByteArray, seed: int, stages: tuple[Stage, ...]) -> list[ByteArray]:
    """What each stage's code is over: the last sums, and the second bits of the pairs of each halving."""
    if not stages:
        return []
    sums = bits[shuffle(len(bits), checked_seed(seed), 1)]
    seconds: list[ByteArray] = []
    for _ in stages[1:]:
        half = -(-len(sums) // 2)
        second = np.zeros(half, np.uint8)
        second[: len(sums) - half] = sums[half:]
        sums = sums[:half] ^ second
        seconds.append(second)
    return [sums, *reversed(seconds)]


def _odds(qber: float) -> float:
    return log((1.0 - qber) / qber)
