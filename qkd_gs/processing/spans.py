"""Stretches of time as ascending, disjoint pairs (start, end)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qkd_gs.arrays import BoolArray, IntArray

Spans = IntArray


def spans(pairs: ArrayLike) -> Spans:
    """Pairs as an (n, 2) int64 array; empty ones are dropped."""
    array = np.asarray(pairs, np.int64).reshape(-1, 2)
    return array[array[:, 1] > array[:, 0]]


def intersect(a: Spans, b: Spans) -> Spans:
    """Where both are."""
    found = [(max(s, t), min(e, f)) for s, e in a.tolist() for t, f in b.tolist() if max(s, t) < min(e, f)]
    return spans(found)


def where_true(t_ns: IntArray, condition: BoolArray) -> Spans:
    """Stretches of an evenly sampled condition, from its first true sample to its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], condition, [False]]).astype(np.int8)))
    return spans([(t_ns[first], t_ns[last - 1]) for first, last in zip(edges[::2], edges[1::2], strict=True)])
