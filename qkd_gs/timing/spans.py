"""Spans: intervals of time as (n, 2) arrays [start, end), and intervals of pulse numbers as (first, last) pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from qkd_gs.arrays import BoolArray, IntArray

Spans = IntArray
"""Intervals of time, (n, 2) int64: start and end of each, ascending and disjoint."""

PulseSpan = tuple[int, int]
"""First and last pulse number of an interval, both included."""

MAX_PULSE = 1 << 56  # of 10 ns: 22 years


def spans(pairs: ArrayLike) -> Spans:
    """Spans from (start, end) pairs; empty ones are dropped."""
    array = np.asarray(pairs, np.int64).reshape(-1, 2)
    return array[array[:, 1] > array[:, 0]]


def intersect(a: Spans, b: Spans) -> Spans:
    """Intersection of two sets of spans."""
    found = [(max(s, t), min(e, f)) for s, e in a.tolist() for t, f in b.tolist() if max(s, t) < min(e, f)]
    return spans(found)


def where_true(t_ns: IntArray, condition: BoolArray) -> Spans:
    """Spans in which a sampled condition holds, each from its first true sample to its last."""
    return spans([(t_ns[first], t_ns[end - 1]) for first, end in true_runs(condition)])


def true_runs(condition: BoolArray) -> IntArray:
    """First index, and the index behind the last, of each run of true samples, (n, 2) int64."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], condition, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def pulses_in(spans: Sequence[PulseSpan]) -> int:
    """Number of pulses in disjoint spans."""
    return sum(last - first + 1 for first, last in spans)


def ascending(spans: Sequence[PulseSpan]) -> bool:
    """True if there are spans, none is empty, and they are ascending, disjoint and within 0 ... `MAX_PULSE`."""
    borders = [border for span in spans for border in span]
    whole = all(first <= last for first, last in spans)
    in_range = bool(spans) and borders[0] >= 0 and borders[-1] < MAX_PULSE
    return in_range and whole and all(a[1] < b[0] for a, b in pairwise(spans))


def within(pulse: IntArray, spans: Sequence[PulseSpan]) -> BoolArray:
    """Mask of the pulses that lie in one of the ascending spans, (n,) bool."""
    borders = np.array([border for first, last in spans for border in (first, last + 1)], np.int64)
    inside: BoolArray = np.searchsorted(borders, pulse, side='right') % 2 == 1
    return inside


def checked_spans(spans: Sequence[PulseSpan]) -> list[PulseSpan]:
    """The spans as plain integers.

    Raises
    ------
    ValueError
        They are empty, overlap or do not ascend.
    """
    plain = [(int(first), int(last)) for first, last in spans]
    if not ascending(plain):
        raise ValueError('locked spans overlap or are not ascending')
    return plain
