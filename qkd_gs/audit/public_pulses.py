"""The rule of the public pulses, once more: which pulses of a source without a beacon are never part of the key."""

from __future__ import annotations

from typing import Any

import numpy as np

from qkd_gs.arrays import BoolArray, IntArray


def number(rule: dict[str, Any], spans: IntArray) -> int:
    """Public pulses in spans (n, 2), first and last."""
    total, size = 0, rule['block'] * rule['every']
    for first, last in spans.tolist():
        begin = _begin(rule, np.arange(first // size, last // size + 1))
        total += int(np.maximum(np.minimum(begin + rule['block'], last + 1) - np.maximum(begin, first), 0).sum())
    return total


def among(rule: dict[str, Any], pulses: IntArray) -> BoolArray:
    """Mask of the public ones."""
    begin = _begin(rule, pulses // (rule['block'] * rule['every']))
    return np.asarray((pulses >= begin) & (pulses < begin + rule['block']))


def _begin(rule: dict[str, Any], groups: IntArray) -> IntArray:
    """First pulse of the public block of each group; its place is the SplitMix64 of the group's number."""
    z = (groups + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # modulo 2^64, as all of it
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        z = (z ^ z >> np.uint64(shift)) * np.uint64(factor)
    begin: IntArray = (groups * rule['every'] + (z % np.uint64(rule['every'])).astype(np.int64)) * rule['block']
    return begin
