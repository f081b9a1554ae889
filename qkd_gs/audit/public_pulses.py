"""The rule of the public pulses, once more: which pulses of a source without a beacon are never part of the key."""

from __future__ import annotations

from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, IntArray

_WORD = (1 << 64) - 1


def number(rule: dict[str, Any], spans: IntArray) -> int:
    """Public pulses in spans (n, 2), first and last."""
    total, size = 0, rule['block'] * rule['every']
    for first, last in spans.tolist():
        for group in range(first // size, last // size + 1):
            begin = _begin(rule, group)
            total += max(min(begin + rule['block'] - 1, last) - max(begin, first) + 1, 0)
    return total


def among(rule: dict[str, Any], pulses: IntArray) -> BoolArray:
    """Mask of the public ones."""
    groups, where = np.unique(pulses // (rule['block'] * rule['every']), return_inverse=True)
    begin = np.array([_begin(rule, group) for group in groups.tolist()], np.int64)[where]
    mask: BoolArray = (pulses >= begin) & (pulses < begin + rule['block'])
    return mask


def _begin(rule: dict[str, Any], group: int) -> int:
    """First pulse of the public block of a group; its place is the SplitMix64 of the group's number."""
    z = (group + 1) * 0x9E3779B97F4A7C15 & _WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _WORD
    place = (z ^ z >> 31) % rule['every']
    return int((group * rule['every'] + place) * rule['block'])
