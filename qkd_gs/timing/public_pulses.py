"""Numbers of the public pulses: a rule that both sides, and anybody else, can compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qkd_gs.arrays import BoolArray, IntArray
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.timing.spans import PulseSpan

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = np.uint64(31)


def starts(rule: PublicPulses, group: IntArray) -> IntArray:
    """First pulse of the public block of each group of ``rule.every`` blocks, (n,).

    The block's place in its group is a hash of the group's number (SplitMix64), so that no frequency of the clock looks
    like another one.
    """
    value = (group.astype(np.uint64) + np.uint64(1)) * _STEP
    for shift, factor in _FACTORS:
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    place = ((value ^ (value >> _LAST_SHIFT)) % np.uint64(rule.every)).astype(np.int64)
    first: IntArray = (group * rule.every + place) * rule.block
    return first


def is_public(rule: PublicPulses, pulse: IntArray, margin: int = 0) -> BoolArray:
    """Mask of the pulses (n,) that are public; with a margin, of those so far from the ends of their block."""
    into = pulse - starts(rule, pulse // (rule.block * rule.every))
    inside: BoolArray = (into >= margin) & (into < rule.block - margin)
    return inside


def public_in(rule: PublicPulses, spans: Sequence[PulseSpan]) -> int:
    """Number of public pulses in disjoint spans."""
    size, total = rule.block * rule.every, 0
    for first, last in spans:
        begin = starts(rule, np.arange(first // size, last // size + 1, dtype=np.int64))
        shared = np.minimum(begin + rule.block, last + 1) - np.maximum(begin, first)
        total += int(np.maximum(shared, 0).sum())
    return total


def disclosed_in(rule: PublicPulses, first: int, last: int) -> IntArray:
    """First pulses of the disclosed blocks that lie between two pulses, both included, ascending."""
    size = rule.block * rule.every
    group = np.arange(-(-(first // size) // rule.disclosed), last // size // rule.disclosed + 1, dtype=np.int64)
    begin = starts(rule, group * rule.disclosed)
    whole: IntArray = begin[(begin >= first) & (begin + rule.block - 1 <= last)]
    return whole
