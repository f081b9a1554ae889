"""Binary entropy."""

from __future__ import annotations

from math import log1p, log2

_LOG2_E = 1.4426950408889634


def binary_entropy(p: float) -> float:
    """Shannon entropy h(p) of a bit that is 1 with probability `p`, in bits.

    Raises
    ------
    ValueError
        `p` is not a probability.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f'{p} is not a probability')
    if p in (0.0, 1.0):
        return 0.0
    return -p * log2(p) - (1.0 - p) * log1p(-p) * _LOG2_E
